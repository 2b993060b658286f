package io.github.jmarlin.cuda;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;

/**
 * A layer of small whole numbers, whose products are known to the bit: every partial sum is exact in fp32, in any order, so a kernel
 * that is right rounds once, from the exact sum. k and n are no multiples of tiles; groups of 128 come with a k of whole blocks of 64,
 * groups of 32 with one that ends inside a block.
 *
 * @param matrix the weights
 * @param activations {@code [rows][k]}, -1, 0 or 1, most of them 0
 * @param products {@code [rows][n]}, as the compute type holds them
 */
record KnownLayer(QuantizedMatrix matrix, DataType type, byte[][] activations, short[][] products) implements AutoCloseable {
    static final int N = 520;
    private static final int K_OF_WHOLE_BLOCKS = 1088;
    private static final int K = 1064;
    private static final int ONE_IN = 8;

    /** @param bias whether there is one; dense products round before they add it */
    static KnownLayer of(DataType type, boolean zeroPoints, boolean groupOf32, boolean bias, int rows) {
        int k = groupOf32 ? K : K_OF_WHOLE_BLOCKS;
        SplittableRandom random = new SplittableRandom(k + (zeroPoints ? 1 : 0));
        int[][] weights = new int[k][N];
        int[] biases = new int[N];
        QuantizedMatrix matrix = matrix(type, zeroPoints, groupOf32 ? 32 : 128, bias, random, weights, biases);
        byte[][] activations = new byte[rows][k];
        short[][] products = new short[rows][N];
        for (int row = 0; row < rows; row++) {
            int[] sums = biases.clone();
            for (int i = 0; i < k; i++) {
                if (random.nextInt(ONE_IN) == 0) {
                    activations[row][i] = (byte) (random.nextBoolean() ? 1 : -1);
                    for (int column = 0; column < N; column++) {
                        sums[column] += activations[row][i] * weights[i][column];
                    }
                }
            }
            for (int column = 0; column < N; column++) {
                products[row][column] = HalfFloats.encode(type, (double) sums[column]);
            }
        }
        return new KnownLayer(matrix, type, activations, products);
    }

    private static QuantizedMatrix matrix(DataType type, boolean zeroPoints, int groupSize, boolean bias, SplittableRandom random,
            int[][] weights, int[] biases) {
        try (QuantizedMatrix.Builder builder = QuantizedMatrix.builder(weights.length, N, groupSize, type)) {
            if (zeroPoints) {
                builder.withZeroPoints();
            }
            if (bias) {
                builder.withBias();
                for (int column = 0; column < N; column++) {
                    biases[column] = random.nextInt(-9, 10);
                    builder.setBias(column, biases[column]);
                }
            }
            int[] scale = new int[N];
            int[] zero = new int[N];
            for (int row = 0; row < weights.length; row++) {
                for (int column = 0; column < N; column++) {
                    if (row % groupSize == 0) {
                        scale[column] = 1 << random.nextInt(3);
                        zero[column] = zeroPoints ? random.nextInt(QuantizedMatrix.MAX_ZERO_POINT + 1)
                                : QuantizedMatrix.SYMMETRIC_ZERO_POINT;
                        builder.setScale(row / groupSize, column, scale[column]);
                        if (zeroPoints) {
                            builder.setZeroPoint(row / groupSize, column, zero[column]);
                        }
                    }
                    int code = random.nextInt(QuantizedMatrix.MAX_CODE + 1);
                    builder.setCode(row, column, code);
                    weights[row][column] = (code - zero[column]) * scale[column];
                }
            }
            return builder.build();
        }
    }

    PackedWeights pack() {
        return PackedWeights.pack(matrix, type);
    }

    /** The first rows, {@code [rows][lda]}. */
    ByteBuffer encoded(int rows, int lda) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(2 * rows * lda).order(ByteOrder.LITTLE_ENDIAN);
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < matrix.k(); i++) {
                buffer.putShort(2 * (row * lda + i), HalfFloats.encode(type, (float) activations[row][i]));
            }
        }
        return buffer;
    }

    /** The first deviation of {@code [rows][N]} from what they must be; empty if there is none. */
    String deviation(ByteBuffer results, int rows) {
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < N; column++) {
                float found = HalfFloats.decode(type, results.getShort(2 * (row * N + column)));
                float expected = HalfFloats.decode(type, products[row][column]);
                if (!(found == expected)) {     // NOTES: true for NaN
                    return "row " + row + ", column " + column + " is " + found + " instead of " + expected;
                }
            }
        }
        return "";
    }

    @Override
    public void close() {
        matrix.close();
    }
}
