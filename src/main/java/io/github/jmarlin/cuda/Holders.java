package io.github.jmarlin.cuda;

import java.util.concurrent.atomic.AtomicInteger;

/** Counts who uses something that can be closed, so that it is neither closed under a user nor used after that. */
final class Holders {
    private static final int CLOSED = -1;

    private final String what;
    private final AtomicInteger count = new AtomicInteger();

    /** @param what is counted, as messages name it */
    Holders(String what) {
        this.what = what;
    }

    /** @throws IllegalStateException after {@link #close} */
    void acquire() {
        int now;
        do {
            now = count.get();
            if (now == CLOSED) {
                throw new IllegalStateException(what + " used after close");
            }
        } while (!count.compareAndSet(now, now + 1));
    }

    void release() {
        count.decrementAndGet();
    }

    void checkOpen() {
        if (count.get() == CLOSED) {
            throw new IllegalStateException(what + " used after close");
        }
    }

    /**
     * @return whether this call closed it; false if it was closed before
     * @throws IllegalStateException while there are holders
     */
    boolean close() {
        if (count.compareAndSet(0, CLOSED)) {
            return true;
        }
        int now = count.get();
        if (now == CLOSED) {
            return false;
        }
        throw new IllegalStateException(what + " closed while in use by " + now
                + " holder(s): every use must have ended before close");
    }

    /** What is counted. */
    @Override
    public String toString() {
        return what;
    }
}
