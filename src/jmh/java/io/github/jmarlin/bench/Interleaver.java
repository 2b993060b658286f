package io.github.jmarlin.bench;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Times entrants in turn, one sample each per round, so that whatever drifts (clocks, temperature, another user) drifts for all
 * of them alike. Warms up until every entrant's last times agree.
 */
public final class Interleaver {
    private static final double STEADY = 0.03;
    private static final int FEWEST_SAMPLES = 5;
    private static final int MOST_SAMPLES = 50;
    /** The share of the time that the warm-up may take. */
    private static final double WARM_UP_SHARE = 0.4;

    private Interleaver() {
    }

    /**
     * Takes between 5 and 50 samples of each.
     *
     * @param share how long warm-up and samples should take together; the fewest samples are taken even if they take longer
     * @return microseconds, in the order of the entrants
     */
    public static List<Quantiles> time(List<Entrant> entrants, Duration share) {
        TimeBudget budget = new TimeBudget(share.isZero() ? Duration.ofNanos(1) : share);
        warmUp(entrants, budget, (long) (share.toNanos() * WARM_UP_SHARE));
        double[][] samples = new double[entrants.size()][MOST_SAMPLES];
        int rounds = 0;
        while (rounds < FEWEST_SAMPLES || rounds < MOST_SAMPLES && !budget.isSpent()) {
            for (int i = 0; i < samples.length; i++) {
                samples[i][rounds] = entrants.get(i).sampler().sampleMicros();
            }
            rounds++;
        }
        List<Quantiles> quantiles = new ArrayList<>();
        for (double[] micros : samples) {
            quantiles.add(Quantiles.of(Arrays.copyOf(micros, rounds)));
        }
        return quantiles;
    }

    /** Times the entrants and makes their measurements. */
    public static List<Measurement> measure(Subject subject, TimingMode mode, List<Entrant> entrants, Duration share) {
        List<Quantiles> times = time(entrants, share);
        List<Measurement> measurements = new ArrayList<>();
        for (int i = 0; i < times.size(); i++) {
            measurements.add(entrants.get(i).measurement(subject, mode, times.get(i)));
        }
        return measurements;
    }

    /** At least one sample each: it pays for what only the first time costs. */
    private static void warmUp(List<Entrant> entrants, TimeBudget budget, long nanos) {
        List<Steadiness> steadiness = entrants.stream().map(e -> new Steadiness(STEADY)).toList();
        boolean steady;
        do {
            steady = true;
            for (int i = 0; i < entrants.size(); i++) {
                steady &= steadiness.get(i).add(entrants.get(i).sampler().sampleMicros());
            }
        } while (!steady && budget.spent().toNanos() < nanos);
    }
}
