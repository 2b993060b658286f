package io.github.jmarlin.bench;

import java.time.Duration;
import java.util.function.LongSupplier;

/** How much of the time given to a run is left. */
public final class TimeBudget {
    private final LongSupplier nanoClock;
    private final long start;
    private final long nanos;

    /** A budget that starts now. */
    public TimeBudget(Duration budget) {
        this(budget, System::nanoTime);
    }

    TimeBudget(Duration budget, LongSupplier nanoClock) {
        if (budget.isNegative() || budget.isZero()) {
            throw new IllegalArgumentException("a time budget of " + budget + " is not above zero");
        }
        this.nanoClock = nanoClock;
        this.nanos = budget.toNanos();
        this.start = nanoClock.getAsLong();
    }

    /** Time since the start. */
    public Duration spent() {
        return Duration.ofNanos(nanoClock.getAsLong() - start);
    }

    /** Time left, never negative. */
    public Duration left() {
        return Duration.ofNanos(Math.max(0, nanos - spent().toNanos()));
    }

    /** Whether all of the time is used. */
    public boolean isSpent() {
        return left().isZero();
    }

    /**
     * The time one part may take if what is left is shared by equal parts.
     *
     * @param parts still to do, this one included
     */
    public Duration share(int parts) {
        return left().dividedBy(Math.max(1, parts));
    }
}
