package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Weights of which two of every four rows are stored: against golden words, the instruction's own view, and back. */
final class SparsePackerTest {
    private static final String SHAPES = """
            128, 64, 128
            256, 128, 64
            1, 1, -1
            130, 70, 128
            383, 65, 256
            126, 63, 64
            3, 130, 64
            """;

    /**
     * What lane and register of {@code mma.sp.m16n8k32} hold as element (row, k) of the dense 16 x 32 operand, from the manual's figures:
     * the stored 16 x 16 fragment is that of m16n8k16, its stored column 2 q + i is place i of quad q; metadata of row g is the low
     * half-word of lane 4 g + 2 selector + (k / 16), of row g + 8 the high one.
     */
    private static int instructionsCode(PackedWeights packed, int strip, int block, int subBlock, int step, int row, int k) {
        long blockAt = packed.layout().blockOffset(strip, block);
        int quad = k / 4;
        // Steps 0, 1: the first 64 rows, selectors 0 and 1.
        int lane = 4 * (row % 8) + step % 2 * 2 + quad / 4;
        int word = packed.codes().getInt(blockAt + 2048 + subBlock * 256 + lane * 8 + step / 2 * 4);
        int nibble = word >>> (row / 8 * 16 + quad % 4 * 4) & 15;
        assertTrue(nibble % 4 < nibble / 4, "places " + nibble);
        for (int i = 0; i < 2; i++) {
            if ((nibble >>> 2 * i & 3) == k % 4) {
                int stored = 2 * quad + i;
                int codes = packed.codes().getInt(blockAt + subBlock * 512 + (4 * (row % 8) + stored % 8 / 2) * 16 + 4 * step);
                int register = row / 8 + stored / 8 * 2;     // a0, a1: stored columns 0-7; a1, a3: rows 8-15
                int masked = (register >= 2 ? codes >>> 8 : codes) >>> (register % 2 * 4);
                return (stored % 2 == 0 ? masked : masked >>> 16) & 15;
            }
        }
        return 8;
    }

    @ParameterizedTest
    @CsvSource(textBlock = SHAPES)
    void theInstructionSeesEveryWeight(int k, int n, int groupSize) {
        try (QuantizedMatrix matrix = TestMatrices.sparse(k, n, groupSize, DataType.FP16, false, 1);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            assertEquals(3072L * packed.strips() * packed.kBlocks(), packed.codes().size());
            for (int row = 0; row < packed.paddedK(); row++) {
                for (int column = 0; column < packed.paddedN(); column++) {
                    int inStrip = column % 64;
                    int operandRow = inStrip / 8 + inStrip % 2 * 8;
                    int seen = instructionsCode(packed, column / 64, row / 128, inStrip % 8 / 2, row % 128 / 32, operandRow, row % 32);
                    int expected = row < k && column < n ? matrix.code(row, column) : 8;
                    assertEquals(expected, seen, "row " + row + ", column " + column);
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource(textBlock = SHAPES)
    void formulaAgreesWithThePacker(int k, int n, int groupSize) {
        try (QuantizedMatrix matrix = TestMatrices.sparse(k, n, groupSize, DataType.FP16, false, 2);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            StripedLayout layout = packed.layout();
            assertEquals(layout, matrix.layout());
            for (int row = 0; row < k; row++) {
                for (int column = 0; column < n; column++) {
                    int quad = row / 4;
                    int places = packed.codes().getByte(layout.placesOffset(quad, column)) >>> StripedLayout.placesShift(quad) & 15;
                    int code = 8;
                    for (int i = 0; i < 2; i++) {
                        if ((places >>> 2 * i & 3) == row % 4) {
                            long offset = layout.byteOffset(2 * quad + i, column);
                            assertEquals(2 * quad + i - row / 128 * 64, layout.rowOfByte(offset) - row / 128 * 64);
                            assertEquals(column / 2 * 2, layout.columnOfByte(offset));
                            code = packed.codes().getByte(offset) >>> layout.codeShift(column) & 15;
                        }
                    }
                    assertEquals(matrix.code(row, column), code, "row " + row + ", column " + column);
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource(textBlock = SHAPES)
    void unpackGivesBackEveryBit(int k, int n, int groupSize) {
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            try (QuantizedMatrix matrix = TestMatrices.sparse(k, n, groupSize, type, true, k);
                    PackedWeights packed = PackedWeights.pack(matrix, type); QuantizedMatrix unpacked = packed.unpack()) {
                assertEquals(WeightForm.Sparsity.TWO_OF_FOUR, unpacked.form().sparsity());
                Errors.assertSameMatrix(matrix, unpacked);
            }
        }
    }

    /** Worked out by hand: weights only in column 11 (r 1, s 1, h 1) and rows 65, 67 (the second half, t 0, q 0) and 110 (t 2, q 3). */
    @Test
    void goldenWords() {
        var builder = QuantizedMatrix.builder(128, 64, 128, DataType.FP16).withSparsity(WeightForm.Sparsity.TWO_OF_FOUR);
        for (int row = 0; row < 128; row++) {
            for (int column = 0; column < 64; column++) {
                builder.setCode(row, column, 8);
            }
        }
        builder.setCode(65, 11, 3).setCode(67, 11, 14).setCode(110, 11, 5);
        try (QuantizedMatrix matrix = builder.build(); PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            // Rows 65 and 67 are stored as rows 32 and 33: sub-block 1, lane 4 + 0, word 2, e 0 and 1, p 0, h 1.
            assertEquals(0x88e88838, packed.codes().getInt(512 + 4 * 16 + 2 * 4));
            // Row 110, of the quad 108 to 111, is stored as row 55: 16 * 3 + 7, so lane 4 + 3, word 3, e 1, p 0, h 1.
            assertEquals(0x88588888, packed.codes().getInt(512 + (4 + 3) * 16 + 3 * 4));
            assertEquals(0x88888888, packed.codes().getInt(0));
            // Places 1 and 3: 1 | 3 << 2 = d, in nibble 0 of the high half-word; all others 0 and 1: 4.
            assertEquals(0x444d4444, packed.codes().getInt(2048 + 256 + 4 * 8 + 4));
            // Places 0 and 2 in nibble 3, of lane 4 + 2: rows 96 to 111.
            assertEquals(0x84444444, packed.codes().getInt(2048 + 256 + (4 + 2) * 8 + 4));
            assertEquals(0x44444444, packed.codes().getInt(2048));
        }
    }

    @Test
    void aThirdWeightOfAQuadIsRefusedWithItsPlace() {
        var builder = TestMatrices.sparseBuilder(140, 70, 64, DataType.FP16, false, 5);
        for (int row = 132; row < 136; row++) {
            builder.setCode(row, 66, row == 134 ? 8 : 9);
        }
        try (QuantizedMatrix matrix = builder.build()) {
            String message = assertThrows(IllegalArgumentException.class, () -> PackedWeights.pack(matrix, DataType.FP16)).getMessage();
            assertEquals("column 66, rows 132 to 135: 3 weights are not 0, 2:4 sparsity stores two of four", message);
        }
    }

    @Test
    void formsThatCannotBeAreRefused() {
        var builder = QuantizedMatrix.builder(64, 64, 32, DataType.FP16);
        assertTrue(assertThrows(IllegalArgumentException.class, () -> builder.withSparsity(WeightForm.Sparsity.TWO_OF_FOUR)).getMessage()
                .contains("groups of 32"));
        var zeroPoints = QuantizedMatrix.builder(64, 64, 64, DataType.FP16).withZeroPoints();
        assertTrue(assertThrows(IllegalArgumentException.class, () -> zeroPoints.withSparsity(WeightForm.Sparsity.TWO_OF_FOUR)).getMessage()
                .contains("ZERO_POINT"));
        builder.close();
        zeroPoints.close();
    }

    /** A shard of the packed form is the packed form of the shard. */
    @Test
    void shardsAreWholeBlocks() {
        try (QuantizedMatrix matrix = TestMatrices.sparse(400, 200, 64, DataType.BF16, true, 6);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.BF16)) {
            try (QuantizedMatrix rows = MatrixShards.rows(matrix, 128, 384); PackedWeights expected = PackedWeights.pack(rows, DataType.BF16);
                    PackedWeights shard = PackedShards.rows(packed, 128, 384)) {
                assertEquals(expected.form(), shard.form());
                assertSame(expected, shard);
            }
            try (QuantizedMatrix columns = MatrixShards.columns(matrix, 64, 200);
                    PackedWeights expected = PackedWeights.pack(columns, DataType.BF16)) {
                PackedWeights shard = PackedShards.columns(packed, 64, 200);
                assertEquals(expected.form(), shard.form());
                assertSame(expected, shard);
                try (PackedWeights joined = PackedShards.join(List.of(PackedShards.columns(packed, 0, 64), shard))) {
                    assertSame(packed, joined);
                }
            }
            assertTrue(assertThrows(IllegalArgumentException.class, () -> PackedShards.rows(packed, 64, 384)).getMessage()
                    .contains("multiples of 128"));
        }
    }

    @ParameterizedTest
    @CsvSource(textBlock = SHAPES)
    void expandedAreTheDenseWeights(int k, int n, int groupSize) {
        try (QuantizedMatrix matrix = TestMatrices.sparse(k, n, groupSize, DataType.FP16, true, 7);
                PackedWeights sparse = PackedWeights.pack(matrix, DataType.FP16); PackedWeights dense = SparseExpansion.dense(sparse);
                QuantizedMatrix back = dense.unpack()) {
            assertEquals(WeightForm.int4(groupSize, false), dense.form());
            for (int row = 0; row < k; row++) {
                for (int column = 0; column < n; column++) {
                    assertEquals(matrix.weight(row, column), back.weight(row, column), "row " + row + ", column " + column);
                    assertEquals(matrix.bias(column), back.bias(column));
                }
            }
        }
    }

    private static void assertSame(PackedWeights expected, PackedWeights actual) {
        assertEquals(expected.layout(), actual.layout());
        for (long at = 0; at < expected.codes().size(); at++) {
            assertEquals(expected.codes().getByte(at), actual.codes().getByte(at), "byte " + at + " of the blocks");
        }
        for (long at = 0; at < expected.scales().size(); at++) {
            assertEquals(expected.scales().getByte(at), actual.scales().getByte(at), "byte " + at + " of the scales");
        }
    }
}
