package io.github.jmarlin.cuda;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.layout.WeightForm.Code;
import io.github.jmarlin.layout.WeightForm.Offset;
import io.github.jmarlin.layout.WeightForm.Sparsity;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.Kernels;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A layer of small numbers, whose products are known to the bit: every partial sum is exact in fp32, in any order, so a kernel that is
 * right rounds once, from the exact sum. k and n are no multiples of tiles; where groups are whole blocks k is whole blocks of 64, where
 * they are shorter it ends inside a block.
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
    /** Of 8-bit codes: so that sums stay as small as those of 4 bits. */
    private static final int FARTHEST_FROM_ZERO = 15;

    /** A form for each kind of weights that some kernels read. */
    static List<WeightForm> forms(Kernels kernels) {
        KernelSet set = kernels.set();
        List<WeightForm> forms = new ArrayList<>();
        for (String weights : set.weights(kernels.family())) {
            int group = Integer.parseInt(weights.substring(weights.lastIndexOf("_g") + 2));
            Code code = weights.startsWith("i8") ? Code.INT8 : weights.startsWith("fp4") ? Code.E2M1 : Code.INT4;
            Offset offset = weights.contains("zp") ? Offset.ZERO_POINT : weights.contains("fz") ? Offset.FLOAT_ZERO : Offset.MIDDLE;
            WeightForm form = WeightForm.of(code, offset, group == 64 && set != KernelSet.SPARSE ? 128 : group);
            forms.add(set == KernelSet.SPARSE ? form.withSparsity(Sparsity.TWO_OF_FOUR) : form);
        }
        return forms;
    }

    /** @param bias whether there is one; dense products round before they add it */
    static KnownLayer of(DataType type, WeightForm form, boolean bias, int rows) {
        int k = form.scaleRowsPerBlock() > 1 ? K : K_OF_WHOLE_BLOCKS;
        SplittableRandom random = new SplittableRandom(k + form.offset().ordinal());
        float[] biases = new float[N];
        QuantizedMatrix matrix = matrix(type, form, k, bias, random, biases);
        byte[][] activations = new byte[rows][k];
        double[][] sums = new double[rows][N];
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < k; i++) {
                activations[row][i] = (byte) (random.nextInt(ONE_IN) == 0 ? random.nextBoolean() ? 1 : -1 : 0);
            }
            for (int column = 0; column < N; column++) {
                sums[row][column] = biases[column];
            }
        }
        double[] weights = new double[N];
        for (int i = 0; i < k; i++) {
            for (int column = 0; column < N; column++) {
                weights[column] = matrix.exactWeight(i, column);
            }
            for (int row = 0; row < rows; row++) {
                for (int column = 0; activations[row][i] != 0 && column < N; column++) {
                    sums[row][column] += activations[row][i] * weights[column];
                }
            }
        }
        short[][] products = new short[rows][N];
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < N; column++) {
                products[row][column] = HalfFloats.encode(type, sums[row][column]);
            }
        }
        return new KnownLayer(matrix, type, activations, products);
    }

    private static QuantizedMatrix matrix(DataType type, WeightForm form, int k, boolean bias, SplittableRandom random, float[] biases) {
        try (QuantizedMatrix.Builder builder = QuantizedMatrix.builder(k, N, form, type)) {
            if (bias) {
                builder.withBias();
                for (int column = 0; column < N; column++) {
                    biases[column] = random.nextInt(-9, 10);
                    builder.setBias(column, biases[column]);
                }
            }
            int[] zero = new int[N];
            for (int row = 0; row < k; row++) {
                for (int column = 0; column < N; column++) {
                    if (row % form.groupSize() == 0) {
                        zero[column] = setGroup(builder, row / form.groupSize(), column, form, random);
                    }
                    builder.setCode(row, column, code(form, zero[column], random));
                }
                if (form.isSparse() && row % 4 == 3) {
                    leaveOutTwo(builder, row - 3, form, random);
                }
            }
            return builder.build();
        }
    }

    /** Scale and offset of a group; returns the code that stands for 0 or near it. */
    private static int setGroup(QuantizedMatrix.Builder builder, int group, int column, WeightForm form, SplittableRandom random) {
        int scale = 1 << random.nextInt(3);
        builder.setScale(group, column, scale);
        if (form.hasZeroPoints()) {
            int zero = random.nextInt(form.maxZeroPoint() + 1);
            builder.setZeroPoint(group, column, zero);
            return zero;
        }
        if (form.hasFloatZeros()) {
            int zero = random.nextInt(form.code().max() + 1);
            builder.setFloatZero(group, column, -zero * scale);
            return zero;
        }
        return form.code().middle();
    }

    private static int code(WeightForm form, int zero, SplittableRandom random) {
        if (form.code() != Code.INT8) {
            return random.nextInt(form.code().max() + 1);
        }
        return Math.max(0, Math.min(form.code().max(), zero + random.nextInt(-FARTHEST_FROM_ZERO, FARTHEST_FROM_ZERO + 1)));
    }

    private static void leaveOutTwo(QuantizedMatrix.Builder builder, int quad, WeightForm form, SplittableRandom random) {
        for (int column = 0; column < N; column++) {
            int first = random.nextInt(4);
            builder.setCode(quad + first, column, form.code().middle());
            builder.setCode(quad + (first + random.nextInt(1, 4)) % 4, column, form.code().middle());
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
