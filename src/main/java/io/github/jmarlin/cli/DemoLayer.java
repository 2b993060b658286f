package io.github.jmarlin.cli;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** Made-up data shaped like a language model's, the same for a seed on every machine and thread count. */
final class DemoLayer {
    /** Weights of trained layers are about this large; outputs then stay near 1 and far from the end of fp16. */
    private static final double WEIGHT_DEVIATION = 0.02;

    private DemoLayer() {
    }

    static float[] weights(long seed, int k, int n) {
        return gaussian(seed, k, n, WEIGHT_DEVIATION);
    }

    /** Weights {@code [k][n]} with the smaller two of every four neighbouring rows of a column set to 0. */
    static float[] pruned(float[] weights, int k, int n) {
        float[] pruned = weights.clone();
        IntStream.range(0, (k + 3) / 4).parallel().forEach(quad -> {
            float[] magnitudes = new float[4];
            for (int column = 0; column < n; column++) {
                for (int i = 0; i < 4; i++) {
                    magnitudes[i] = 4 * quad + i < k ? Math.abs(weights[(4 * quad + i) * n + column]) : -1;
                }
                float[] sorted = magnitudes.clone();
                Arrays.sort(sorted);
                for (int i = 0; i < 4; i++) {
                    if (magnitudes[i] >= 0 && magnitudes[i] <= sorted[1]) {
                        pruned[(4 * quad + i) * n + column] = 0;
                    }
                }
            }
        });
        return pruned;
    }

    /** The same matrix, of which two of every four rows are stored. */
    static QuantizedMatrix sparse(QuantizedMatrix matrix, DataType scaleType) {
        try (QuantizedMatrix.Builder sparse = QuantizedMatrix.builder(matrix.k(), matrix.n(),
                matrix.form().withSparsity(WeightForm.Sparsity.TWO_OF_FOUR), scaleType)) {
            copy(matrix.codes(), sparse.codes());
            copy(matrix.scales(), sparse.scales());
            return sparse.build();
        }
    }

    private static void copy(NativeMemory source, NativeMemory target) {
        for (long at = 0; at < source.size();) {
            int length = source.contiguous(at, source.size() - at);
            target.copyFrom(at, source.slice(at, length));
            at += length;
        }
    }

    /** Activations {@code [m][k]}, already rounded to the type: what every contender is given. */
    static float[] activations(long seed, int m, int k, DataType type) {
        float[] values = gaussian(~seed, m, k, 1);
        for (int i = 0; i < values.length; i++) {
            values[i] = HalfFloats.decode(type, HalfFloats.encode(type, values[i]));
        }
        return values;
    }

    private static float[] gaussian(long seed, int rows, int columns, double deviation) {
        float[] values = new float[Math.multiplyExact(rows, columns)];
        long[] rowSeeds = new SplittableRandom(seed).longs(rows).toArray();
        IntStream.range(0, rows).parallel().forEach(row -> {
            SplittableRandom random = new SplittableRandom(rowSeeds[row]);
            for (int i = 0; i < columns; i++) {
                values[row * columns + i] = (float) (random.nextGaussian() * deviation);
            }
        });
        return values;
    }

    /** Off-heap 16-bit elements, little-endian. */
    static ByteBuffer encode(float[] values, DataType type) {
        ByteBuffer buffer = allocate(values.length, type);
        for (int i = 0; i < values.length; i++) {
            buffer.putShort(2 * i, HalfFloats.encode(type, values[i]));
        }
        return buffer;
    }

    static ByteBuffer allocate(int elements, DataType type) {
        return ByteBuffer.allocateDirect(Math.multiplyExact(elements, type.bytes())).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Relative Frobenius error of the first {@code elements} results; NaN if one of them is NaN. */
    static double relativeError(ByteBuffer results, DataType type, double[] expected, int elements) {
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < elements; i++) {
            double d = HalfFloats.decode(type, results.getShort(2 * i)) - expected[i];
            difference += d * d;
            norm += expected[i] * expected[i];
        }
        return difference == 0 ? 0 : Math.sqrt(difference / norm);
    }
}
