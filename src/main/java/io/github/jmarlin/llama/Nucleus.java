package io.github.jmarlin.llama;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The tokens that a sampler draws among, most probable first where some were left out.
 *
 * @param sum of their weights
 */
record Nucleus(int[] tokens, double sum) {
    static Nucleus all(int count, double sum) {
        return new Nucleus(IntStream.range(0, count).toArray(), sum);
    }

    /** The fewest tokens with the largest weights that add up to {@code enough}; of equal weights the smaller id first. */
    static Nucleus of(double[] weights, double enough) {
        int[] sorted = IntStream.range(0, weights.length).boxed()
                .sorted((a, b) -> weights[a] != weights[b] ? Double.compare(weights[b], weights[a]) : Integer.compare(a, b))
                .mapToInt(Integer::intValue).toArray();
        double sum = 0;
        int count = 0;
        while (count < sorted.length && (sum < enough || count == 0)) {
            sum += weights[sorted[count++]];
        }
        return new Nucleus(Arrays.copyOf(sorted, count), sum);
    }
}
