package io.github.jmarlin.bench;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Where contenders meet: a device with the operands of the case at hand. Used by one thread. */
public interface Arena extends AutoCloseable {
    /** Where results come from. */
    RunInfo info();

    /** Clocks, temperature and power right now, or why they are unknown. Never changes them. */
    String state();

    /** Makes the contenders of a case ready and checks their answers. The result has to be closed before the next case. */
    Prepared prepare(BenchCase benchCase);

    /**
     * The contenders of a case, ready to be timed.
     *
     * @param entrants those that can run
     * @param skipped one for each that cannot, for lack of memory, say, with the reason
     * @param closing frees the operands
     */
    record Prepared(List<Entrant> entrants, List<Measurement> skipped, Runnable closing) implements AutoCloseable {
        @Override
        public void close() {
            closing.run();
        }
    }

    /**
     * Checks the contenders' answers and times them.
     *
     * @param share how long the timing should take
     * @return a measurement for every contender
     */
    default List<Measurement> run(BenchCase benchCase, Duration share) {
        try (Prepared prepared = prepare(benchCase)) {
            List<Measurement> measurements = new ArrayList<>(
                    Interleaver.measure(benchCase.subject(), benchCase.mode(), prepared.entrants(), share));
            measurements.addAll(prepared.skipped());
            return measurements;
        }
    }

    @Override
    void close();
}
