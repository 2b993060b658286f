package io.github.jmarlin.quantize;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** GPTQ against its definition, and against round-to-nearest on inputs that move together. */
final class GptqQuantizerTest {
    private static final int K = 256;
    private static final int N = 96;

    /** Activations that are mixtures of a few factors plus noise, with a few inputs much larger than the rest. */
    static Hessian correlated(int k, int samples) {
        Random random = new Random(7);
        int factors = k / 8;
        float[] mixing = new float[factors * k];
        for (int i = 0; i < mixing.length; i++) {
            mixing[i] = (float) random.nextGaussian();
        }
        float[] activations = new float[samples * k];
        for (int row = 0; row < samples; row++) {
            double[] factor = random.doubles(factors, -1, 1).toArray();
            for (int i = 0; i < k; i++) {
                double x = 0.3 * random.nextGaussian();
                for (int f = 0; f < factors; f++) {
                    x += factor[f] * mixing[f * k + i];
                }
                activations[row * k + i] = (float) (i % 37 == 5 ? 8 * x : x);
            }
        }
        Hessian hessian = new Hessian(k);
        hessian.add(activations, samples);
        return hessian;
    }

    static float[] weights(int n, int k) {
        Random random = new Random(8);
        float[] weights = new float[n * k];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = (float) (0.02 * random.nextGaussian());
        }
        return weights;
    }

    @ParameterizedTest
    @CsvSource({"128,true,true", "128,true,false", "32,false,true", "-1,true,true", "64,false,false", "256,true,true"})
    void errorIsClearlyBelowRoundToNearest(int groupSize, boolean symmetric, boolean actOrder) {
        Hessian hessian = correlated(K, 1024);
        float[] weights = weights(N, K);
        GptqOptions options = new GptqOptions(groupSize, DataType.FP16, symmetric, actOrder, 0.01, true);
        try (QuantizedMatrix gptq = new GptqQuantizer(hessian, options).quantize(weights, N);
                QuantizedMatrix nearest = new RoundToNearest(groupSize, DataType.FP16, !symmetric, true)
                        .quantize(transposed(weights), K, N)) {
            double error = GptqQuantizer.outputError(weights, gptq, hessian);
            double nearestError = GptqQuantizer.outputError(weights, nearest, hessian);
            System.out.printf("group %4d, %s, %s: output error GPTQ %.4f, round to nearest %.4f%n", groupSize,
                    symmetric ? "symmetric " : "asymmetric", actOrder ? "act order" : "in order ", error, nearestError);
            assertTrue(error < 0.7 * nearestError, "GPTQ " + error + ", round to nearest " + nearestError);
            assertEquals(actOrder, gptq.hasInputOrder());
        }
    }

    private static float[] transposed(float[] weights) {
        float[] transposed = new float[weights.length];
        for (int i = 0; i < weights.length; i++) {
            transposed[i % K * N + i / K] = weights[i];
        }
        return transposed;
    }

    /** The same grids, each weight on its own. */
    private static QuantizedMatrix roundToNearest(float[] weights, int n, int k, GptqOptions options) {
        double[] even = IntStream.range(0, k).mapToDouble(i -> 1).toArray();
        var matrix = QuantizedMatrix.builder(k, n, options.groupSize(), options.scaleType());
        if (!options.symmetric()) {
            matrix.withZeroPoints();
        }
        int rows = options.groupSize() < 0 ? k : options.groupSize();
        for (int output = 0; output < n; output++) {
            float[] row = java.util.Arrays.copyOfRange(weights, output * k, (output + 1) * k);
            for (int from = 0; from < k; from += rows) {
                GroupGrid grid = GroupGrid.of(row, from, Math.min(k, from + rows), even, options);
                matrix.setScale(from / rows, output, grid.scale());
                if (!options.symmetric()) {
                    matrix.setZeroPoint(from / rows, output, grid.zeroPoint());
                }
                for (int i = from; i < Math.min(k, from + rows); i++) {
                    matrix.setCode(i, output, grid.code(row[i]));
                }
            }
        }
        return matrix.build();
    }

    /** Against the method as the paper writes it: every error spread over all inputs to come at once, in doubles, no blocks. */
    @Test
    void blocksChangeNothingButRounding() {
        Hessian hessian = correlated(K, 1024);
        float[] weights = weights(N, K);
        GptqOptions options = new GptqOptions(64, DataType.FP16, true, true, 0.01, false);
        int[] order = GptqQuantizer.actOrder(hessian.diagonal(), Pruning.NONE);
        float[][] factor = hessian.inverseFactor(order, 0.01);
        double[] even = IntStream.range(0, K).mapToDouble(i -> 1).toArray();
        int different = 0;
        try (QuantizedMatrix gptq = new GptqQuantizer(hessian, options).quantize(weights, N)) {
            for (int output = 0; output < N; output++) {
                double[] row = new double[K];
                for (int i = 0; i < K; i++) {
                    row[i] = weights[output * K + order[i]];
                }
                GroupGrid grid = null;
                for (int i = 0; i < K; i++) {
                    if (i % 64 == 0) {
                        float[] floats = new float[K];
                        for (int j = 0; j < K; j++) {
                            floats[j] = (float) row[j];
                        }
                        grid = GroupGrid.of(floats, i, i + 64, even, options);
                    }
                    int code = grid.code(row[i]);
                    double error = (row[i] - grid.value(code)) / factor[i][i];
                    for (int j = i; j < K; j++) {
                        row[j] -= error * factor[i][j];
                    }
                    different += code == gptq.code(i, output) ? 0 : 1;
                }
            }
        }
        assertTrue(different <= N * K / 200, different + " of " + N * K + " codes differ");
    }

    @Test
    void factorIsThatOfTheInverse() {
        int k = 40;
        Hessian hessian = correlated(k, 200);
        int[] order = IntStream.range(0, k).map(i -> (i * 7 + 2) % k).toArray();
        float[][] factor = hessian.inverseFactor(order, 0.1);
        double mean = IntStream.range(0, k).mapToDouble(i -> hessian.get(i, i)).average().orElseThrow();
        // (U^T U) (P H P^T + d I) is the identity.
        for (int i = 0; i < k; i++) {
            for (int j = 0; j < k; j++) {
                double product = 0;
                for (int l = 0; l < k; l++) {
                    double inverse = 0;
                    for (int r = 0; r <= Math.min(i, l); r++) {
                        inverse += (double) factor[r][i] * factor[r][l];
                    }
                    product += inverse * (hessian.get(order[l], order[j]) + (l == j ? 0.1 * mean : 0));
                }
                assertEquals(i == j ? 1 : 0, product, 1e-4, "element " + i + ", " + j);
            }
        }
    }

    @Test
    void hessianIsTheAverageOfProducts() {
        Hessian hessian = new Hessian(3);
        hessian.add(new float[] {1, 2, 3, 4, 5, 6}, 2);
        hessian.add(new float[] {-1, 0, 1}, 1);
        double[][] sums = {{18, 22, 26}, {22, 29, 36}, {26, 36, 46}};
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++) {
                assertEquals(sums[i][j] * 2 / 3, hessian.get(i, j), 1e-12);
            }
        }
        assertEquals(3, hessian.samples());
    }

    @Test
    void independentInputsOfOneGroupRoundToNearest() {
        Hessian hessian = new Hessian(64);
        float[] unit = new float[64 * 64];
        for (int i = 0; i < 64; i++) {
            unit[i * 64 + i] = 1;
        }
        hessian.add(unit, 64);
        float[] weights = weights(5, 64);
        GptqOptions options = new GptqOptions(-1, DataType.FP16, false, false, 0.01, false);
        try (QuantizedMatrix gptq = new GptqQuantizer(hessian, options).quantize(weights, 5);
                QuantizedMatrix nearest = roundToNearest(weights, 5, 64, options)) {
            for (int i = 0; i < 64; i++) {
                for (int output = 0; output < 5; output++) {
                    assertEquals(nearest.code(i, output), gptq.code(i, output));
                    assertEquals(nearest.weight(i, output), gptq.weight(i, output));
                }
            }
        }
    }

    @Test
    void deadInputsAndZeroRowsAreNoProblem() {
        Hessian hessian = new Hessian(64);
        float[] activations = new float[64 * 128];
        Random random = new Random(3);
        for (int i = 0; i < activations.length; i++) {
            activations[i] = i % 64 < 60 ? (float) random.nextGaussian() : 0;
        }
        hessian.add(activations, 128);
        float[] weights = weights(3, 64);
        java.util.Arrays.fill(weights, 64, 128, 0);
        try (QuantizedMatrix gptq = new GptqQuantizer(hessian, GptqOptions.DEFAULT).quantize(weights, 3)) {
            for (int i = 0; i < 64; i++) {
                assertEquals(0, gptq.weight(i, 1));
            }
        }
    }

    @Test
    void badInputs() {
        Hessian hessian = new Hessian(64);
        assertThrows(IllegalArgumentException.class, () -> new Hessian(46341));
        assertThrows(IllegalArgumentException.class, () -> hessian.add(new float[65], 1));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> hessian.add(new float[] {Float.NaN}, 1)).getMessage()
                .contains("not [rows 1][k 64]"));
        float[] activations = new float[64];
        activations[5] = Float.NaN;
        assertTrue(assertThrows(IllegalArgumentException.class, () -> hessian.add(activations, 1)).getMessage()
                .contains("row 0, column 5"));
        float[] weights = new float[64];
        weights[7] = Float.POSITIVE_INFINITY;
        assertTrue(assertThrows(IllegalArgumentException.class,
                () -> new GptqQuantizer(hessian, GptqOptions.DEFAULT).quantize(weights, 1)).getMessage().contains("input 7"));
        assertThrows(IllegalArgumentException.class, () -> new GptqQuantizer(hessian,
                GptqOptions.DEFAULT).quantize(new float[64], 2));
        assertThrows(IllegalArgumentException.class, () -> new GptqOptions(128, DataType.FP16, true, true, Double.NaN, true));
        assertThrows(IllegalArgumentException.class, () -> new GptqOptions(48, DataType.FP16, true, true, 0.01, true));
        hessian.add(new float[64], 1);
        float[] large = new float[64];
        large[0] = 1e30f;
        assertTrue(assertThrows(IllegalArgumentException.class,
                () -> new GptqQuantizer(hessian, GptqOptions.DEFAULT).quantize(large,
                1)).getMessage().contains("no finite FP16"));
    }
}
