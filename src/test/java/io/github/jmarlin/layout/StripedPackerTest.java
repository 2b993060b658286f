package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StripedPackerTest {
    /** Shapes at and off the block borders, every group size, partial last groups, groups above k. */
    private static final String SHAPES = """
            64, 64, 64
            128, 128, -1
            1, 1, 32
            224, 65, 128
            224, 70, 256
            31, 33, 32
            33, 31, 32
            65, 127, 32
            96, 15, 64
            300, 130, 256
            257, 17, 128
            129, 63, -1
            """;

    @ParameterizedTest
    @CsvSource(textBlock = SHAPES)
    void codesEqualTheSlowPackers(int k, int n, int groupSize) {
        try (QuantizedMatrix matrix = TestMatrices.random(k, n, groupSize, DataType.FP16, false, false, 1);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            long offset = 0;
            for (int strip = 0; strip < (n + 63) / 64; strip++) {
                for (int block = 0; block < (k + 63) / 64; block++) {
                    for (int word = 0; word < 512; word++, offset += 4) {
                        int expected = SlowPacker.word(matrix, strip, block, word / 128, word / 4 % 32, word % 4);
                        if (packed.codes().getInt(offset) != expected) {
                            fail(String.format("strip %d, block %d, sub-block %d, lane %d, word %d: expected %08x, got %08x", strip,
                                    block, word / 128, word / 4 % 32, word % 4, expected, packed.codes().getInt(offset)));
                        }
                    }
                }
            }
            assertEquals(offset, packed.codes().size());
        }
    }

    /** Worked out by hand from the table of the design: code (k, n) = 5 k + 3 n + k / 16 + n / 8 mod 16. */
    @Test
    void goldenWords() {
        var matrix = QuantizedMatrix.builder(128, 128, -1, DataType.FP16);
        for (int row = 0; row < 128; row++) {
            for (int column = 0; column < 128; column++) {
                matrix.setCode(row, column, (5 * row + 3 * column + row / 16 + column / 8) % 16);
            }
        }
        try (QuantizedMatrix built = matrix.build(); PackedWeights packed = PackedWeights.pack(built, DataType.FP16)) {
            // Strip 0, block 0, sub-block 0, lane 0 (r 0, t 0), word 0: columns 0 and 1, rows 0, 1, 8, 9.
            assertEquals(0x0d85b830, packed.codes().getInt(0));
            // Strip 0, block 0, sub-block 1, lane 6 (r 1, t 2), word 2: columns 10 and 11, rows 36, 37, 44, 45.
            assertEquals(0x52da0d85, packed.codes().getInt(512 + 6 * 16 + 2 * 4));
            // Strip 1, block 1, sub-block 3, lane 29 (r 7, t 1), word 1: columns 126 and 127, rows 82, 83, 90, 91.
            assertEquals(0x850d30b8, packed.codes().getInt(2 * 2048 + 2048 + 3 * 512 + 29 * 16 + 4));
        }
    }

    @ParameterizedTest
    @CsvSource(textBlock = SHAPES)
    void formulaAgreesWithThePacker(int k, int n, int groupSize) {
        StripedLayout layout = new StripedLayout(k, n, groupSize);
        try (QuantizedMatrix matrix = TestMatrices.random(k, n, groupSize, DataType.FP16, false, false, 2);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            for (int row = 0; row < layout.paddedK(); row++) {
                for (int column = 0; column < layout.paddedN(); column++) {
                    long offset = layout.byteOffset(row, column);
                    int code = packed.codes().getByte(offset) >>> layout.codeShift(column) & 15;
                    String where = "row " + row + ", column " + column;
                    assertEquals(row < k && column < n ? matrix.code(row, column) : 0, code, where);
                    assertEquals(row, layout.rowOfByte(offset), where);
                    assertEquals(column / 2 * 2, layout.columnOfByte(offset), where);
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource(textBlock = SHAPES)
    void unpackGivesBackEveryBit(int k, int n, int groupSize) {
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            for (boolean zeroPoints : new boolean[] {false, true}) {
                try (QuantizedMatrix matrix = TestMatrices.random(k, n, groupSize, type, zeroPoints, zeroPoints, k);
                        PackedWeights packed = PackedWeights.pack(matrix, type);
                        QuantizedMatrix unpacked = packed.unpack()) {
                    Errors.assertSameMatrix(matrix, unpacked);
                }
            }
        }
    }

    /** The scale arithmetic of a kernel: (nibble as a number of the type + zero code) * S * factor is the weight. */
    @ParameterizedTest
    @CsvSource({"FP16, FP16", "BF16, BF16", "FP16, BF16", "BF16, FP16"})
    void shiftedScalesAndZeroCodesGiveTheWeights(DataType scaleType, DataType computeType) {
        try (QuantizedMatrix matrix = TestMatrices.random(100, 70, 32, scaleType, true, true, 3);
                PackedWeights packed = PackedWeights.pack(matrix, computeType)) {
            StripedLayout layout = packed.layout();
            for (int column = 0; column < 70; column++) {
                float factor = packed.factors().getFloat(4L * column);
                double largest = 0;
                for (int row = 0; row < 100; row++) {
                    long scaleOffset = layout.scaleOffset(row / 32, column);
                    double scale = HalfFloats.decode(computeType, packed.scales().getShort(scaleOffset));
                    double zero = HalfFloats.decode(computeType, packed.zeros().getShort(scaleOffset));
                    int maskedNibble = matrix.code(row, column) << 4 * (column % 2);
                    double code = HalfFloats.decode(computeType, (short) maskedNibble);
                    double rounding = scaleType == DataType.FP16 && computeType == DataType.BF16 ? 0x1p-8 : 0;
                    double weight = matrix.weight(row, column);
                    assertEquals(weight, (code + zero) * scale * factor, Math.abs(weight) * rounding,
                            "row " + row + ", column " + column);
                    largest = Math.max(largest, Math.abs(scale));
                }
                assertEquals(computeType == DataType.FP16 ? 15 : 126, Math.getExponent(largest), "column " + column);
                assertEquals(matrix.bias(column), packed.bias().getFloat(4L * column));
            }
        }
    }

    @Test
    void paddingIsZeroWithFactorOne() {
        try (QuantizedMatrix matrix = TestMatrices.random(65, 65, 32, DataType.FP16, true, true, 4);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            assertEquals(4, packed.scaleRows());
            for (int column = 0; column < 128; column++) {
                for (int row = 0; row < 4; row++) {
                    boolean padding = column >= 65 || row >= 3;
                    long offset = packed.layout().scaleOffset(row, column);
                    assertEquals(padding, packed.scales().getShort(offset) == 0, "scale row " + row + ", column " + column);
                    assertEquals(padding, packed.zeros().getShort(offset) == 0, "scale row " + row + ", column " + column);
                }
                if (column >= 65) {
                    assertEquals(1f, packed.factors().getFloat(4L * column));
                    assertEquals(0f, packed.bias().getFloat(4L * column));
                }
            }
        }
    }

    @Test
    void columnsOfZeroScalesHaveFactorOneAndComeBack() {
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            var builder = QuantizedMatrix.builder(64, 3, 32, type);
            builder.setScaleBits(0, 0, (short) 0x8000).setScale(1, 1, 1);
            try (QuantizedMatrix matrix = builder.build(); PackedWeights packed = PackedWeights.pack(matrix, type);
                    QuantizedMatrix unpacked = packed.unpack()) {
                assertEquals(1f, packed.factors().getFloat(0));
                Errors.assertSameMatrix(matrix, unpacked);
            }
        }
    }

    @Test
    void extremeScalesSurviveOrAreRejectedWithTheirValues() {
        for (short bits : new short[] {1, 0x03ff, 0x0400, 0x7bff, (short) 0x8001}) {
            try (QuantizedMatrix matrix = oneScale(DataType.FP16, bits); PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
                    QuantizedMatrix unpacked = packed.unpack(); PackedWeights asBf16 = PackedWeights.pack(matrix, DataType.BF16)) {
                Errors.assertSameMatrix(matrix, unpacked);
                assertEquals(126, Math.getExponent((double) HalfFloats.fromBf16(asBf16.scales().getShort(0))));
            }
        }
        try (QuantizedMatrix matrix = oneScale(DataType.BF16, (short) 0x7f7f)) {
            String message = assertThrows(IllegalArgumentException.class, () -> PackedWeights.pack(matrix, DataType.BF16)).getMessage();
            assertTrue(message.contains("column 0") && message.contains("3.3895314E38") && message.contains("2^134"), message);
        }
        var builder = QuantizedMatrix.builder(64, 1, 32, DataType.BF16);
        builder.setScale(0, 0, 1).setScale(1, 0, 0x1.02p-35f);
        try (QuantizedMatrix matrix = builder.build()) {
            String message = assertThrows(IllegalArgumentException.class, () -> PackedWeights.pack(matrix, DataType.FP16)).getMessage();
            assertTrue(message.contains("group 1") && message.contains("largest scale 1.0") && message.contains("BF16"), message);
        }
    }

    @Test
    void scaleBelowFp16ComesBackAsFp32() {
        try (QuantizedMatrix matrix = oneScale(DataType.BF16, HalfFloats.toBf16(0x1p-40f));
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16); QuantizedMatrix unpacked = packed.unpack()) {
            assertEquals(DataType.FP32, unpacked.scaleType());
            assertEquals(0x1p-40f, unpacked.scale(0, 0));
        }
    }

    @Test
    void rejectsOtherComputeTypes() {
        try (QuantizedMatrix matrix = oneScale(DataType.FP16, (short) 0x3c00)) {
            assertTrue(assertThrows(IllegalArgumentException.class, () -> PackedWeights.pack(matrix, DataType.FP32)).getMessage()
                    .contains("FP32"));
            assertTrue(assertThrows(IllegalArgumentException.class, () -> PackedWeights.pack(matrix, null)).getMessage()
                    .contains("null"));
        }
    }

    private static QuantizedMatrix oneScale(DataType type, short bits) {
        return QuantizedMatrix.builder(1, 1, -1, type).setScaleBits(0, 0, bits).build();
    }
}
