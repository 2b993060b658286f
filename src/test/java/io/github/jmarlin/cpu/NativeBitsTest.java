package io.github.jmarlin.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.testing.Numbers;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What native kernels promise beyond the contract: equal bits whatever computes them, and how accurate two digits are. */
class NativeBitsTest {
    private static final int MOST_ROWS = 17;

    private static List<InstructionSet> sets;

    @BeforeAll
    static void findSets() {
        sets = InstructionSet.available().stream().filter(set -> set != InstructionSet.JAVA).toList();
        assumeTrue(!sets.isEmpty(), NativeCpu::unavailableReason);
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 32, 64, 128, 256})
    void bitsDependOnNeitherInstructionSetNorThreadsNorBatch(int groupSize) {
        Random random = new Random(groupSize);
        for (DataType scaleType : new DataType[] {DataType.FP16, DataType.BF16}) {
            checkBits(456, 330, WeightForm.int4(groupSize, random.nextBoolean()), scaleType, 8);
        }
    }

    @ParameterizedTest
    @MethodSource("io.github.jmarlin.testing.NumberForms#all")
    void bitsOfOtherNumbersDoNotEither(WeightForm form) {
        checkBits(280, 140, form, DataType.FP16, 2);
        checkBits(280, 140, form, DataType.BF16, 2);
    }

    private static void checkBits(int k, int n, WeightForm form, DataType scaleType, int mostThreads) {
        try (QuantizedMatrix matrix = TestMatrices.random(k, n, form, scaleType, !form.storesOffsets(), 21);
                PackedWeights plain = PackedWeights.pack(matrix, scaleType)) {
            PackedWeights weights = form.storesOffsets() ? plain.withInputOrder(reversed(k)) : plain;
            for (DataType type : DataType.values()) {
                ByteBuffer a = Numbers.encode(type, TestMatrices.gaussian(MOST_ROWS * k, 22));
                byte[] expected = multiply(weights, sets.get(0), 1, type, a, MOST_ROWS);
                for (InstructionSet set : sets) {
                    for (int threads = 1; threads <= mostThreads; threads++) {
                        assertSame(expected, multiply(weights, set, threads, type, a, MOST_ROWS),
                                set + ", " + threads + " threads, " + type);
                    }
                    for (int m = 1; m < MOST_ROWS; m++) {
                        byte[] rows = Arrays.copyOf(expected, m * n * type.bytes());
                        assertSame(rows, multiply(weights, set, 2, type, a, m), set + ", m " + m + ", " + type);
                    }
                    ByteBuffer last = a.slice((MOST_ROWS - 1) * k * type.bytes(), k * type.bytes());
                    byte[] lastRow = Arrays.copyOfRange(expected, (MOST_ROWS - 1) * n * type.bytes(), expected.length);
                    assertSame(lastRow, multiply(weights, set, 2, type, last, 1), set + ", the last row alone, " + type);
                }
            }
        }
    }

    /** Rows that digits cannot hold leave the others' bits alone, and have the same bits themselves wherever they stand. */
    @Test
    void refusedRowsHaveTheirOwnBits() {
        int k = 200;
        int n = 70;
        try (QuantizedMatrix matrix = TestMatrices.layer(k, n, 64, DataType.BF16, true, true, 3);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.BF16)) {
            float[] values = TestMatrices.gaussian(20 * k, 4);
            values[3 * k + 5] = Float.POSITIVE_INFINITY;
            values[7 * k + 199] = Float.NaN;
            values[9 * k + 64] = 0x1p110f;
            Arrays.fill(values, 11 * k, 11 * k + 64, 0x1p-90f);
            ByteBuffer a = Numbers.encode(DataType.FP32, values);
            for (InstructionSet set : sets) {
                byte[] together = multiply(weights, set, 2, DataType.FP32, a, 20);
                for (int row = 0; row < 20; row++) {
                    byte[] alone = multiply(weights, set, 1, DataType.FP32, a.slice(row * k * 4, k * 4), 1);
                    assertSame(Arrays.copyOfRange(together, row * n * 4, (row + 1) * n * 4), alone, set + ", row " + row);
                }
            }
        }
    }

    private enum Data {
        /** One size. */
        GAUSSIAN(5e-5),
        /** Four values in each 128 are 100 times as large. */
        OUTLIERS_IN_EACH_GROUP(1.1e-4),
        /** Eight of 4096 are 1000 times as large. */
        EIGHT_LARGE_CHANNELS(1.1e-4);

        private final double bound;

        Data(double bound) {
            this.bound = bound;
        }

        float[] values(int k) {
            float[] a = TestMatrices.gaussian(k, 31);
            for (int i = 0; i < k; i++) {
                if (this == OUTLIERS_IN_EACH_GROUP && i % 128 == 77) {
                    a[i] *= 100;
                } else if (this == EIGHT_LARGE_CHANNELS && i % 512 == 300) {
                    a[i] *= 1000;
                }
            }
            return a;
        }
    }

    /** The error before the output is rounded: a bias of minus the exact result leaves nothing else. */
    @ParameterizedTest
    @EnumSource(Data.class)
    void twoDigitsAreAccurateBeforeTheOutputIsRounded(Data data) {
        int k = 4096;
        int n = 512;
        ByteBuffer a = Numbers.encode(DataType.FP16, data.values(k));
        float[] rounded = Numbers.decode(DataType.FP16, a);
        double[] exact;
        try (QuantizedMatrix matrix = TestMatrices.layer(k, n, 128, DataType.FP16, false, false, 30)) {
            exact = ReferenceProduct.multiply(matrix, rounded, 1);
        }
        var builder = QuantizedMatrix.builder(k, n, 128, DataType.FP16).withBias();
        try (QuantizedMatrix same = TestMatrices.layer(k, n, 128, DataType.FP16, false, false, 30)) {
            byte[] codes = new byte[n];
            for (int row = 0; row < k; row++) {
                for (int column = 0; column < n; column++) {
                    codes[column] = (byte) same.code(row, column);
                }
                builder.setCodes(row, codes);
            }
            for (int column = 0; column < n; column++) {
                for (int group = 0; group < k / 128; group++) {
                    builder.setScale(group, column, same.scale(group, column));
                }
                builder.setBias(column, (float) -exact[column]);
            }
        }
        try (QuantizedMatrix matrix = builder.build(); PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16)) {
            float[] left = Numbers.decode(DataType.FP16, ByteBuffer.wrap(multiply(weights, sets.get(0), 1, DataType.FP16, a, 1)));
            double error = norm(left) / norm(exact);
            assertTrue(error <= data.bound, data + ": relative error " + error + ", at most " + data.bound + " expected");
            assertTrue(error > 1e-6, data + ": relative error " + error + " is none of 16-bit activations");
        }
    }

    private static double norm(float[] values) {
        return Math.sqrt(java.util.stream.IntStream.range(0, values.length).mapToDouble(i -> (double) values[i] * values[i]).sum());
    }

    private static double norm(double[] values) {
        return Math.sqrt(Arrays.stream(values).map(value -> value * value).sum());
    }

    private static IntBuffer reversed(int k) {
        int[] order = new int[k];
        for (int i = 0; i < k; i++) {
            order[i] = k - 1 - i;
        }
        return IntBuffer.wrap(order);
    }

    private static byte[] multiply(PackedWeights weights, InstructionSet set, int threads, DataType type, ByteBuffer a, int m) {
        ByteBuffer c = ByteBuffer.allocateDirect(m * weights.n() * type.bytes());
        for (int i = 0; i < c.capacity(); i++) {
            c.put(i, (byte) 0xff);
        }
        try (CpuDevice device = CpuDevice.of(threads, set); LinearLayer layer = device.place(weights)) {
            layer.multiply(type, a, m, c);
        }
        byte[] bytes = new byte[c.capacity()];
        c.get(0, bytes);
        return bytes;
    }

    private static void assertSame(byte[] expected, byte[] actual, String what) {
        assertEquals(-1, Arrays.mismatch(expected, actual), () -> what + ": first different byte of " + expected.length);
    }
}
