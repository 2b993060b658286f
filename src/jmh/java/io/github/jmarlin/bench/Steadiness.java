package io.github.jmarlin.bench;

/**
 * Decides when a warm-up is over: clocks have settled, code is compiled and caches are in their usual state once the last few
 * times lie close to each other.
 */
final class Steadiness {
    /** As many samples have to agree. */
    private static final int WINDOW = 5;

    private final double tolerance;
    private final double[] last = new double[WINDOW];
    private int count;

    /** @param tolerance the largest spread of the last samples relative to the smallest, for instance 0.02 */
    Steadiness(double tolerance) {
        this.tolerance = tolerance;
    }

    /** Adds a sample and tells whether the last ones agree. */
    boolean add(double sample) {
        last[count++ % WINDOW] = sample;
        if (count < WINDOW) {
            return false;
        }
        double least = Double.POSITIVE_INFINITY;
        double most = Double.NEGATIVE_INFINITY;
        for (double value : last) {
            least = Math.min(least, value);
            most = Math.max(most, value);
        }
        return most - least <= tolerance * least;
    }
}
