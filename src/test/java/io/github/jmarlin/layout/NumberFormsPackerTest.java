package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.WeightForm.Code;
import io.github.jmarlin.layout.WeightForm.Offset;
import io.github.jmarlin.layout.WeightForm.ScaleSource;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.NumberForms;
import io.github.jmarlin.testing.TestMatrices;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** 8-bit codes, 4-bit floats, float zeros and column scales in the striped layout. */
final class NumberFormsPackerTest {
    private static final int[][] SHAPES = {{64, 64}, {1, 1}, {31, 33}, {300, 130}, {129, 63}, {65, 127}};

    static Stream<Arguments> cases() {
        return NumberForms.all().flatMap(form -> Stream.of(SHAPES).map(shape -> Arguments.of(form, shape[0], shape[1])));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void codesEqualTheSlowPackers(WeightForm form, int k, int n) {
        try (QuantizedMatrix matrix = TestMatrices.random(k, n, form, DataType.FP16, false, 1);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            int words = form.code() == Code.INT8 ? 1024 : 512;
            long offset = 0;
            for (int strip = 0; strip < (n + 63) / 64; strip++) {
                for (int block = 0; block < (k + 63) / 64; block++) {
                    for (int word = 0; word < words; word++, offset += 4) {
                        int expected = slowWord(matrix, strip, block, word);
                        if (packed.codes().getInt(offset) != expected) {
                            fail(String.format("strip %d, block %d, word %d: expected %08x, got %08x", strip, block, word, expected,
                                    packed.codes().getInt(offset)));
                        }
                    }
                }
            }
            assertEquals(offset, packed.codes().size());
        }
    }

    private static int slowWord(QuantizedMatrix matrix, int strip, int block, int word) {
        int lane = word / 4 % 32;
        return switch (matrix.form().code()) {
            case INT4 -> SlowPacker.word(matrix, strip, block, word / 128, lane, word % 4);
            case E2M1 -> SlowPacker.floatWord(matrix, strip, block, word / 128, lane, word % 4);
            case INT8 -> SlowPacker.byteWord(matrix, strip, block, word / 256, word / 128 % 2, lane, word % 4);
        };
    }

    /** Worked out by hand: 8-bit code (k, n) = 16 (n mod 16) + k mod 16. */
    @Test
    void goldenBytes() {
        var builder = QuantizedMatrix.builder(128, 128, WeightForm.of(Code.INT8, Offset.MIDDLE, -1), DataType.FP16);
        for (int row = 0; row < 128; row++) {
            for (int column = 0; column < 128; column++) {
                builder.setCode(row, column, 16 * (column % 16) + row % 16);
            }
        }
        try (QuantizedMatrix matrix = builder.build(); PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            // Strip 0, block 0, sub-block 0, piece 0, lane 0, word 0: columns 0 and 1, rows 0 and 1.
            assertEquals(0x11011000, packed.codes().getInt(0));
            // Its word 1: rows 8 and 9.
            assertEquals(0x19091808, packed.codes().getInt(4));
            // Sub-block 1, piece 1, lane 6 (r 1, t 2), word 2 (j 3, p 0): columns 10 and 11, rows 52 and 53.
            assertEquals(0xb5a5b4a4, packed.codes().getInt(1024 + 512 + 6 * 16 + 2 * 4));
            // Strip 1, block 1, sub-block 3, piece 0, lane 29 (r 7, t 1), word 3 (j 1, p 1): columns 126 and 127, rows 90 and 91.
            assertEquals(0xfbebfaea, packed.codes().getInt(2 * 4096 + 4096 + 3 * 1024 + 29 * 16 + 3 * 4));
        }
    }

    /** Worked out by hand from the drawing of FloatCodes: rows 0, 1, 8, 9 of columns 0 and 1. */
    @Test
    void goldenFloats() {
        var builder = QuantizedMatrix.builder(64, 64, WeightForm.of(Code.E2M1, Offset.MIDDLE, -1), DataType.FP16);
        // Half 0: codes 0..3 are 1.5 (3), -6 (15), 0.5 (1), -4 (14): magnitudes 3, 7, 1, 6; signs of 1 and 3.
        builder.setCode(0, 0, 3).setCode(0, 1, 15).setCode(8, 0, 1).setCode(8, 1, 14);
        // Half 1: -0 (8), 0, -1 (10), 3 (5): magnitudes 0, 0, 2, 5; signs of 0 and 2.
        builder.setCode(1, 0, 8).setCode(9, 0, 10).setCode(9, 1, 5);
        try (QuantizedMatrix matrix = builder.build(); PackedWeights packed = PackedWeights.pack(matrix, DataType.BF16)) {
            int half0 = 3 | 7 << 3 | 1 << 6 | 6 << 9 | 1 << 12 | 1 << 15;
            int half1 = 2 << 6 | 5 << 9 | 1 << 13 | 1 << 14;
            assertEquals(half0 | half1 << 16, packed.codes().getInt(0));
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void formulaAgreesWithThePacker(WeightForm form, int k, int n) {
        try (QuantizedMatrix matrix = TestMatrices.random(k, n, form, DataType.FP16, false, 2);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            StripedLayout layout = packed.layout();
            assertEquals(matrix.layout(), layout);
            for (int row = 0; row < layout.paddedK(); row++) {
                for (int column = 0; column < layout.paddedN(); column++) {
                    String where = "row " + row + ", column " + column;
                    assertEquals(row < k && column < n ? matrix.code(row, column) : 0, layout.code(packed.codes(), row, column), where);
                    long offset = layout.byteOffset(row, column);
                    boolean floats = form.code() == Code.E2M1;
                    assertEquals(floats ? row / 16 * 16 + row % 8 : row, layout.rowOfByte(offset), where);
                    assertEquals(form.code() == Code.INT8 ? column : column / 2 * 2, layout.columnOfByte(offset), where);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void unpackGivesBackEveryBit(WeightForm form, int k, int n) {
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            try (QuantizedMatrix matrix = TestMatrices.random(k, n, form, type, true, k);
                    PackedWeights packed = PackedWeights.pack(matrix, type);
                    QuantizedMatrix unpacked = packed.unpack()) {
                if (form.hasColumnScales()) {
                    assertSameWeights(matrix, unpacked);
                } else {
                    Errors.assertSameMatrix(matrix, unpacked);
                }
            }
        }
    }

    private static void assertSameWeights(QuantizedMatrix expected, QuantizedMatrix found) {
        assertEquals(expected.layout(), found.layout());
        assertEquals(expected.scaleType(), found.scaleType());
        assertArrayEquals(expected.bias(), found.bias());
        for (int row = 0; row < expected.k(); row++) {
            for (int column = 0; column < expected.n(); column++) {
                assertEquals(expected.code(row, column), found.code(row, column));
                assertEquals(expected.exactWeight(row, column), found.exactWeight(row, column), "row " + row + ", column " + column);
            }
        }
    }

    /** The arithmetic of a kernel: (what lies in a word, as a number of the type, with its offset) * S * factor is the weight. */
    @ParameterizedTest
    @MethodSource("cases")
    void kernelsArithmeticGivesTheWeights(WeightForm form, int k, int n) {
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            try (QuantizedMatrix matrix = TestMatrices.random(k, n, form, type, true, 3);
                    PackedWeights packed = PackedWeights.pack(matrix, type)) {
                StripedLayout layout = packed.layout();
                for (int column = 0; column < n; column++) {
                    double factor = packed.factors().getFloat(4L * column);
                    double largest = 0;
                    for (int row = 0; row < k; row++) {
                        int group = row / layout.rowsPerGroup();
                        long at = layout.scaleOffset(group, column);
                        double scale = HalfFloats.decode(type, packed.scales().getShort(at));
                        double zero = form.storesOffsets() ? HalfFloats.decode(type, packed.zeros().getShort(at))
                                : -maskedCode(form, type, form.code().middle(), column);
                        double code = maskedCode(form, type, matrix.code(row, column), column);
                        double weight = (form.hasFloatZeros() ? code * scale + zero : (code + zero) * scale) * factor;
                        // Only float zeros can be below the type's precision beside the scales of their column.
                        double step = form.hasFloatZeros() ? HalfFloats.decode(type, (short) 1) * factor : 0;
                        assertEquals(matrix.exactWeight(row, column), weight, step / 2, "row " + row + ", column " + column);
                        largest = Math.max(largest, Math.abs(scale));
                    }
                    assertEquals(type == DataType.FP16 ? 15 : 126, Math.getExponent(largest), "column " + column);
                    assertEquals(matrix.bias(column), packed.bias().getFloat(4L * column));
                }
            }
        }
    }

    /** What a kernel's masks make of a code: an integer in the lowest bits or from bit 4 on, a float at the type's exponent. */
    private static double maskedCode(WeightForm form, DataType type, int code, int column) {
        return HalfFloats.decode(type, (short) switch (form.code()) {
            case INT4 -> code << 4 * (column % 2);
            case INT8 -> code;
            case E2M1 -> (code & 7) << (type == DataType.FP16 ? 9 : 6) | code >> 3 << 15;
        });
    }

    @Test
    void groupsOf16HaveFourRowsOfScalesABlock() {
        StripedLayout layout = new StripedLayout(80, 64, WeightForm.of(Code.INT8, Offset.MIDDLE, 16));
        assertEquals(4, layout.scaleRowsPerBlock());
        assertEquals(8, layout.scaleRows());
        assertEquals(5, layout.groups());
        assertEquals(1, new StripedLayout(16, 64, layout.form()).scaleRowsPerBlock());
        assertEquals(1, new StripedLayout(16, 64, layout.form()).scaleRows());
    }

    /** A column of group scales 2^0 and 2^-distance, all codes 1 (0.5). */
    private static QuantizedMatrix twoGroups(int distance, int code) {
        var builder = QuantizedMatrix.builder(64, 1, WeightForm.of(Code.E2M1, Offset.MIDDLE, 32), DataType.FP32);
        for (int row = 0; row < 64; row++) {
            builder.setCode(row, 0, row < 32 ? 1 : code);
        }
        return builder.setScale(0, 0, 1).setScale(1, 0, Math.scalb(1f, -distance)).build();
    }

    @Test
    void exponentsThatTheComputeTypeDoesNotHoldAreRefusedWithTheirValues() {
        try (QuantizedMatrix fits = twoGroups(39, 1); PackedWeights packed = PackedWeights.pack(fits, DataType.FP16);
                QuantizedMatrix unpacked = packed.unpack()) {
            assertEquals(1, packed.scales().getShort(2L * 64));
            assertEquals(DataType.FP32, unpacked.scaleType());
            assertEquals(fits.scale(1, 0), unpacked.scale(1, 0));
        }
        try (QuantizedMatrix matrix = twoGroups(40, 9)) {
            String message = assertThrows(IllegalArgumentException.class, () -> PackedWeights.pack(matrix, DataType.FP16)).getMessage();
            assertTrue(message.contains("column 0") && message.contains("scale " + 0x1p-40 + " of group 1")
                    && message.contains("largest scale 1.0") && message.contains("pack for BF16"), message);
            PackedWeights.pack(matrix, DataType.BF16).close();
        }
    }

    /** Quantizers write the smallest exponent for a block of zeros: that is no spread. */
    @Test
    void groupsOfZerosMayHaveAnyScale() {
        for (int zero : new int[] {0, 8}) {
            try (QuantizedMatrix matrix = twoGroups(127, zero); PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
                assertEquals(0, packed.scales().getShort(2L * 64));
                assertEquals(2f / 4, packed.factors().getFloat(0));      // 2^(14 - 15)
            }
        }
        var allZero = QuantizedMatrix.builder(32, 1, WeightForm.of(Code.E2M1, Offset.MIDDLE, 32), DataType.FP32).setScale(0, 0, 0x1p-127f);
        try (QuantizedMatrix matrix = allZero.build(); PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            assertEquals(1f, packed.factors().getFloat(0));
        }
    }

    /** A group may be far from 0 and hardly vary: its float zero decides the shift then. */
    @Test
    void largeFloatZerosLowerTheShift() {
        var builder = QuantizedMatrix.builder(64, 2, WeightForm.of(Code.INT4, Offset.FLOAT_ZERO, 32), DataType.FP16);
        builder.setScale(0, 0, 0x1p-14f).setFloatZero(0, 0, 1).setScale(1, 0, 0).setFloatZero(1, 0, 60000);
        builder.setScale(0, 1, 0).setFloatZero(0, 1, -3).setFloatZero(1, 1, 0.1f);
        try (QuantizedMatrix matrix = builder.build(); PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
                QuantizedMatrix unpacked = packed.unpack()) {
            Errors.assertSameMatrix(matrix, unpacked);
        }
    }

    @Test
    void columnScalesAreCheckedAndGoIntoTheFactors() {
        WeightForm form = WeightForm.of(Code.E2M1, Offset.MIDDLE, 16).withScaleSource(ScaleSource.GROUP_AND_COLUMN);
        var builder = QuantizedMatrix.builder(16, 2, form, DataType.FP16).setScale(0, 0, 448).setScale(0, 1, 0x1p-9f);
        for (float bad : new float[] {0, Float.NaN, Float.POSITIVE_INFINITY}) {
            String message = assertThrows(IllegalArgumentException.class, () -> builder.withColumnScales(new float[] {1, bad})).getMessage();
            assertTrue(message.contains("column scale " + bad + " at column 1"), message);
        }
        assertTrue(assertThrows(IllegalArgumentException.class, () -> builder.withColumnScales(new float[1])).getMessage()
                .contains("1 column scales given for 2 columns"));
        try (QuantizedMatrix matrix = builder.withColumnScales(new float[] {1.1f, -0.3f}).build();
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            assertEquals(1.1f * 0x1p7f, packed.factors().getFloat(0));      // 448 = 1.75 * 2^8: 2^(14 - (15 - 8))
            assertEquals(-0.3f * 0x1p-10f, packed.factors().getFloat(4));
        }
        try (var other = QuantizedMatrix.builder(16, 2, 32, DataType.FP16)) {
            assertThrows(IllegalStateException.class, () -> other.withColumnScales(new float[2]));
        }
    }
}
