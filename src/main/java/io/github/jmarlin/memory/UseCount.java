package io.github.jmarlin.memory;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * Counts the uses of something that must not be closed under its users: a use begins with {@link #acquire} and ends with
 * {@link #release}, {@link #close} fails while there is one and ends all further uses. Safe for any number of threads; allocates
 * nothing.
 */
public final class UseCount {
    private static final int CLOSED = -1;
    private static final VarHandle USERS;

    static {
        try {
            USERS = MethodHandles.lookup().findVarHandle(UseCount.class, "users", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final String what;
    /** The number of users, or {@link #CLOSED}. */
    private volatile int users;

    /** @param what is counted, for messages */
    public UseCount(String what) {
        this.what = what;
    }

    /**
     * Begins a use.
     *
     * @throws IllegalStateException after {@link #close}
     */
    public void acquire() {
        int now;
        do {
            now = users;
            if (now == CLOSED) {
                throw closed();
            }
        } while (!USERS.compareAndSet(this, now, now + 1));
    }

    /** Ends a use. */
    public void release() {
        int now;
        do {
            now = users;
            if (now <= 0) {
                throw new IllegalStateException(what + " released without being acquired");
            }
        } while (!USERS.compareAndSet(this, now, now - 1));
    }

    /** Whether {@link #close} was called. */
    public boolean isClosed() {
        return users == CLOSED;
    }

    /**
     * Fails after {@link #close}.
     *
     * @throws IllegalStateException then
     */
    public void checkOpen() {
        if (users == CLOSED) {
            throw closed();
        }
    }

    /**
     * Closes.
     *
     * @return whether this call did it; false if it was closed before
     * @throws IllegalStateException while there are users
     */
    public boolean close() {
        if (USERS.compareAndSet(this, 0, CLOSED)) {
            return true;
        }
        int now = users;
        if (now == CLOSED) {
            return false;
        }
        throw new IllegalStateException(what + " closed while in use by " + now + " holder(s): every use must have ended before close");
    }

    private IllegalStateException closed() {
        return new IllegalStateException(what + " used after close");
    }
}
