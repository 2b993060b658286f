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

    /**
     * The fewest tokens with the largest weights that add up to {@code topP * sum}; of equal weights the smaller id first.
     *
     * @param sum of all weights
     */
    static Nucleus of(double[] weights, double sum, double topP) {
        // All that are left out here add up to less than what may be missing: only few have to be sorted.
        double least = (1 - topP) * sum / weights.length;
        int[] sorted = IntStream.range(0, weights.length).filter(i -> weights[i] >= least).boxed()
                .sorted((a, b) -> weights[a] != weights[b] ? Double.compare(weights[b], weights[a]) : Integer.compare(a, b))
                .mapToInt(Integer::intValue).toArray();
        double own = 0;
        int count = 0;
        while (count < sorted.length && (own < topP * sum || count == 0)) {
            own += weights[sorted[count++]];
        }
        return new Nucleus(Arrays.copyOf(sorted, count), own);
    }
}
