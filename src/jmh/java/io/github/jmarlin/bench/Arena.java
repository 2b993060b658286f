package io.github.jmarlin.bench;

import java.time.Duration;
import java.util.List;

/** Where contenders meet: a device with the operands of the case at hand. Used by one thread. */
public interface Arena extends AutoCloseable {
    /** Where results come from. */
    RunInfo info();

    /** Clocks, temperature and power right now, or why they are unknown. Never changes them. */
    String state();

    /**
     * Checks the contenders' answers and times them.
     *
     * @param share how long the timing should take
     * @return a measurement for every contender: one that cannot run (for lack of memory, say) is skipped with the reason
     */
    List<Measurement> run(BenchCase benchCase, Duration share);

    @Override
    void close();
}
