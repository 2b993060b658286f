package io.github.jmarlin.bench;

import java.util.Arrays;

/**
 * Where the middle of a sample lies and how wide it is.
 *
 * @param p10 a tenth of the samples is below
 * @param median half of the samples is below
 * @param p90 nine tenths of the samples are below
 * @param count of the samples
 */
public record Quantiles(double p10, double median, double p90, int count) {
    /**
     * @param samples at least one, none NaN; stays as it is
     * @return the quantiles, interpolated between neighbours
     */
    public static Quantiles of(double... samples) {
        double[] sorted = samples.clone();
        Arrays.sort(sorted);
        // NaN sorts last.
        if (sorted.length == 0 || Double.isNaN(sorted[sorted.length - 1])) {
            throw new IllegalArgumentException("quantiles of " + Arrays.toString(samples) + ": at least one sample, none NaN");
        }
        return new Quantiles(at(sorted, 0.1), at(sorted, 0.5), at(sorted, 0.9), sorted.length);
    }

    /** The same with every figure multiplied, for another unit. */
    public Quantiles times(double factor) {
        return new Quantiles(p10 * factor, median * factor, p90 * factor, count);
    }

    private static double at(double[] sorted, double fraction) {
        double position = fraction * (sorted.length - 1);
        int below = (int) position;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
    }
}
