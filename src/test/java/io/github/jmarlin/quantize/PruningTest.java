package io.github.jmarlin.quantize;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Two of every four inputs, chosen and made up for. */
final class PruningTest {
    private static final int N = 64;

    private static void assertTwoOfFour(QuantizedMatrix matrix) {
        int stored = 0;
        for (int output = 0; output < matrix.n(); output++) {
            for (int quad = 0; quad < matrix.k(); quad += 4) {
                int nonzero = 0;
                for (int i = quad; i < Math.min(matrix.k(), quad + 4); i++) {
                    nonzero += matrix.weight(i, output) == 0 ? 0 : 1;
                }
                assertTrue(nonzero <= 2, nonzero + " of inputs " + quad + " to " + (quad + 3) + " of output " + output);
                stored += nonzero;
            }
        }
        assertTrue(stored > matrix.k() * matrix.n() / 3, "no more than " + stored + " weights are not zero");
    }

    private static QuantizedMatrix quantize(Hessian hessian, float[] weights, int groupSize, boolean actOrder, Pruning pruning) {
        GptqOptions options = new GptqOptions(groupSize, DataType.FP16, true, actOrder, 0.01, true, pruning);
        return new GptqQuantizer(hessian, options).quantize(weights, weights.length / hessian.k());
    }

    /** The two largest of each four to the nearest, nothing made up for. */
    private static QuantizedMatrix magnitude(float[] weights, int k, int groupSize) {
        float[] transposed = new float[weights.length];
        boolean[] kept = new boolean[k];
        for (int output = 0; output < N; output++) {
            float[] row = Arrays.copyOfRange(weights, output * k, (output + 1) * k);
            Pruning.MAGNITUDE.choose(row, 0, k, new float[k][k], kept);
            for (int i = 0; i < k; i++) {
                transposed[i * N + output] = kept[i] ? row[i] : 0;
            }
        }
        return new RoundToNearest(groupSize, DataType.FP16, false, true).quantize(transposed, k, N);
    }

    @ParameterizedTest
    @CsvSource({"256,128,false", "256,128,true", "192,64,false", "250,64,true", "256,-1,false"})
    void errorOnCorrelatedInputsIsAtMostHalfOfMagnitudes(int k, int groupSize, boolean actOrder) {
        Hessian hessian = GptqQuantizerTest.correlated(k, 1024);
        float[] weights = GptqQuantizerTest.weights(N, k);
        try (QuantizedMatrix sparse = quantize(hessian, weights, groupSize, actOrder, Pruning.SPARSE_GPT);
                QuantizedMatrix made = quantize(hessian, weights, groupSize, actOrder, Pruning.MAGNITUDE);
                QuantizedMatrix plain = magnitude(weights, k, groupSize)) {
            assertTwoOfFour(sparse);
            assertTwoOfFour(made);
            assertTwoOfFour(plain);
            double error = GptqQuantizer.outputError(weights, sparse, hessian);
            double madeError = GptqQuantizer.outputError(weights, made, hessian);
            double plainError = GptqQuantizer.outputError(weights, plain, hessian);
            System.out.printf("k %d, group %4d, %s: output error SparseGPT %.3f, magnitude made up for %.3f, magnitude %.3f%n", k,
                    groupSize, actOrder ? "act order" : "in order ", error, madeError, plainError);
            assertTrue(error <= 0.5 * plainError, error + " against " + plainError);
            assertTrue(error < madeError, error + " against " + madeError);
        }
    }

    /** Against the paper's method written out: no blocks, doubles, every error over all inputs to come. */
    @Test
    void masksAndCodesAreThePapers() {
        int k = 128;
        Hessian hessian = GptqQuantizerTest.correlated(k, 600);
        float[] weights = GptqQuantizerTest.weights(N, k);
        GptqOptions options = new GptqOptions(64, DataType.FP16, true, false, 0.01, false, Pruning.SPARSE_GPT);
        int[] order = IntStream.range(0, k).toArray();
        float[][] factor = hessian.inverseFactor(order, 0.01);
        int different = 0;
        try (QuantizedMatrix matrix = new GptqQuantizer(hessian, options).quantize(weights, N)) {
            for (int output = 0; output < N; output++) {
                double[] row = new double[k];
                for (int i = 0; i < k; i++) {
                    row[i] = weights[output * k + i];
                }
                boolean[] stays = new boolean[k];
                for (int i = 0; i < k; i++) {
                    for (int j = i; i % 4 == 0 && j < i + 4; j++) {     // before the first of the four is quantized
                        int larger = 0;
                        for (int other = i; other < i + 4; other++) {
                            larger += Math.abs(row[other] / factor[other][other]) > Math.abs(row[j] / factor[j][j]) ? 1 : 0;
                        }
                        stays[j] = larger < 2;
                    }
                    // The grid is the quantizer's own: only what it does with it is looked at here.
                    double scale = matrix.scale(i / 64, output);
                    int code = stays[i] ? (int) Math.max(0, Math.min(15, Math.round(row[i] / scale) + 8)) : 8;
                    different += code == matrix.code(i, output) ? 0 : 1;
                    double error = (row[i] - (code - 8) * scale) / factor[i][i];
                    for (int j = i; j < k; j++) {
                        row[j] -= error * factor[i][j];
                    }
                }
            }
        }
        assertTrue(different <= N * k / 100, different + " of " + N * k + " codes differ");
    }

    @Test
    void zerosThatAreGivenStayAndAreMadeUpFor() {
        int k = 128;
        Hessian hessian = GptqQuantizerTest.correlated(k, 600);
        float[] weights = GptqQuantizerTest.weights(N, k);
        boolean[] kept = new boolean[k];
        for (int output = 0; output < N; output++) {
            float[] row = Arrays.copyOfRange(weights, output * k, (output + 1) * k);
            Pruning.MAGNITUDE.choose(row, 0, k, new float[k][k], kept);
            for (int i = 0; i < k; i++) {
                weights[output * k + i] = kept[i] ? row[i] : 0;
            }
        }
        try (QuantizedMatrix matrix = quantize(hessian, weights, 64, false, Pruning.GIVEN)) {
            assertTwoOfFour(matrix);
            for (int i = 0; i < weights.length; i++) {
                assertTrue(weights[i] != 0 || matrix.code(i % k, i / k) == 8, "input " + i % k + ", output " + i / k);
            }
            double nearest;
            try (QuantizedMatrix plain = magnitude(weights, k, 64)) {
                nearest = GptqQuantizer.outputError(weights, plain, hessian);
            }
            double error = GptqQuantizer.outputError(weights, matrix, hessian);
            assertTrue(error < 0.8 * nearest, error + " against " + nearest);
        }
        weights[5 * k + 12] = weights[5 * k + 13] = weights[5 * k + 14] = 1;
        String message = assertThrows(IllegalArgumentException.class, () -> quantize(hessian, weights, 64, false, Pruning.GIVEN)).getMessage();
        assertTrue(message.startsWith("output 5, inputs 12 to 15: "), message);
        assertThrows(IllegalArgumentException.class, () -> quantize(hessian, weights, 64, true, Pruning.GIVEN));
    }

    /** Of each four inputs two are of the half that matters more. */
    @ParameterizedTest
    @CsvSource({"8,0 1 4 5 2 3 6 7", "6,0 1 4 5 2 3", "5,0 1 3 4 2", "1,0"})
    void actOrderMixesTheHalves(int k, String ranks) {
        double[] diagonal = IntStream.range(0, k).mapToDouble(i -> -i).toArray();
        int[] expected = Stream.of(ranks.split(" ")).mapToInt(Integer::parseInt).toArray();
        assertArrayEquals(expected, GptqQuantizer.actOrder(diagonal, Pruning.SPARSE_GPT));
        assertArrayEquals(IntStream.range(0, k).toArray(), GptqQuantizer.actOrder(diagonal, Pruning.NONE));
    }

    @Test
    void equalWeightsKeepTheFirstTwo() {
        boolean[] kept = new boolean[7];
        float[][] factor = new float[7][7];
        for (int i = 0; i < 7; i++) {
            factor[i][i] = 1;
        }
        Pruning.SPARSE_GPT.choose(new float[] {1, 1, 1, 1, 0, -3, 2}, 0, 7, factor, kept);
        assertArrayEquals(new boolean[] {true, true, false, false, false, true, true}, kept);
        factor[5][5] = 10;
        Pruning.SPARSE_GPT.choose(new float[] {1, 1, 1, 1, 1, -3, 2}, 4, 7, factor, kept);
        assertArrayEquals(new boolean[] {true, true, false, false, true, false, true}, kept);
        Pruning.MAGNITUDE.choose(new float[] {1, 1, 1, 1, 1, -3, 2}, 4, 7, factor, kept);
        assertArrayEquals(new boolean[] {true, true, false, false, false, true, true}, kept);
    }

    @Test
    void zeroPointsAreRefused() {
        assertEquals(Pruning.NONE, GptqOptions.DEFAULT.pruning());
        GptqOptions zeroPoints = new GptqOptions(128, DataType.FP16, false, true, 0.01, true);
        assertTrue(assertThrows(IllegalArgumentException.class, () -> zeroPoints.withPruning(Pruning.SPARSE_GPT)).getMessage()
                .contains("ZERO_POINT"));
    }
}
