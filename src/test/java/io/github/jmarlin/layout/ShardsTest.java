package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.testing.NumberForms;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.IntBuffer;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** A shard of the packed form is the packed form of the shard, and says the same as the whole. */
final class ShardsTest {
    /** Scales over many binades, so that a column's shift differs from shard to shard; some columns zero in a part of k. */
    private static QuantizedMatrix matrix(int k, int n, int groupSize, DataType type, boolean zeroPoints, boolean order) {
        Random random = new Random(k * 31L + n);
        var matrix = QuantizedMatrix.builder(k, n, groupSize, type).withBias();
        if (zeroPoints) {
            matrix.withZeroPoints();
        }
        if (order) {
            int[] permutation = IntStream.range(0, k).map(i -> (i * 7 + 3) % k).toArray();
            matrix.withInputOrder(IntBuffer.wrap(permutation));
        }
        int rowsPerGroup = new StripedLayout(k, n, groupSize).rowsPerGroup();
        for (int column = 0; column < n; column++) {
            matrix.setBias(column, column);
            for (int row = 0; row < k; row++) {
                matrix.setCode(row, column, random.nextInt(16));
            }
            for (int group = 0; group * rowsPerGroup < k; group++) {
                boolean zero = column % 5 == 0 && group % 2 == 0;
                matrix.setScale(group, column, zero ? 0 : Math.scalb(1 + random.nextFloat(), -random.nextInt(12)));
                if (zeroPoints) {
                    matrix.setZeroPoint(group, column, random.nextInt(17));
                }
            }
        }
        return matrix.build();
    }

    @ParameterizedTest
    @CsvSource({"192,256,32,FP16,false", "320,200,64,FP16,true", "576,130,128,BF16,true", "640,64,256,FP16,false",
        "200,96,-1,FP16,true", "192,64,256,BF16,false", "224,96,128,FP16,false"})
    void shardsOfThePackedFormArePackedShards(int k, int n, int groupSize, DataType type, boolean zeroPoints) {
        try (QuantizedMatrix matrix = matrix(k, n, groupSize, type, zeroPoints, k % 7 != 0);
                PackedWeights packed = PackedWeights.pack(matrix, type)) {
            for (int from = 0; from < n; from += 64) {
                for (int to = Math.min(n, from + 64);; to = Math.min(n, to + 64)) {
                    try (QuantizedMatrix shard = MatrixShards.columns(matrix, from, to)) {
                        assertColumnShard(matrix, shard, from);
                        assertSame(PackedWeights.pack(shard, type), PackedShards.columns(packed, from, to));
                    }
                    if (to == n) {
                        break;
                    }
                }
            }
            for (int from = 0; from < k; from += 64) {
                for (int to = Math.min(k, from + 64);; to = Math.min(k, to + 64)) {
                    try (QuantizedMatrix shard = MatrixShards.rows(matrix, from, to)) {
                        assertRowShard(matrix, shard, from);
                        assertSame(PackedWeights.pack(shard, type), PackedShards.rows(packed, from, to));
                    }
                    if (to == k) {
                        break;
                    }
                }
            }
        }
    }

    /** Shards of the other numbers, joins and gate beside up, along k and n. */
    @ParameterizedTest
    @MethodSource("io.github.jmarlin.testing.NumberForms#all")
    void otherNumbersCanBeCutAndJoined(WeightForm form) {
        int k = 320;
        int n = 198;
        DataType type = DataType.BF16;
        try (QuantizedMatrix matrix = TestMatrices.random(k, n, form, type, true, 5); PackedWeights packed = PackedWeights.pack(matrix, type);
                QuantizedMatrix left = MatrixShards.columns(matrix, 0, 128); QuantizedMatrix right = MatrixShards.columns(matrix, 128, n);
                QuantizedMatrix middle = MatrixShards.rows(matrix, 64, 192); QuantizedMatrix joined = MatrixShards.join(List.of(left, right))) {
            assertColumnShard(matrix, right, 128);
            assertRowShard(matrix, middle, 64);
            assertColumnShard(matrix, joined, 0);
            try (PackedWeights packedRight = PackedWeights.pack(right, type); PackedWeights packedMiddle = PackedWeights.pack(middle, type)) {
                assertSame(packedRight, PackedShards.columns(packed, 128, n));
                assertSame(packedMiddle, PackedShards.rows(packed, 64, 192));
                try (PackedWeights packedLeft = PackedWeights.pack(left, type);
                        PackedWeights packedJoined = PackedShards.join(List.of(packedLeft, packedRight))) {
                    assertSame(packed, packedJoined);
                }
            }
        }
        try (QuantizedMatrix gate = TestMatrices.random(64, 67, form, type, true, 6);
                QuantizedMatrix up = TestMatrices.random(64, 67, form, type, true, 7);
                QuantizedMatrix pairs = MatrixShards.interleave(gate, up)) {
            assertEquals(form.withColumns(WeightForm.Columns.GATE_UP), pairs.form());
            for (int column = 0; column < pairs.n(); column++) {
                QuantizedMatrix source = column % 2 == 0 ? gate : up;
                assertEquals(source.bias(column / 2), pairs.bias(column));
                for (int row = 0; row < 64; row++) {
                    assertEquals(source.exactWeight(row, column / 2), pairs.exactWeight(row, column), "row " + row + ", column " + column);
                }
            }
        }
    }

    @Test
    void numbersOfDifferentKindsCannotBeJoined() {
        QuantizedMatrix four = matrix(192, 64, 64, DataType.FP16, true, false);
        for (WeightForm form : NumberForms.of(64).toList()) {
            QuantizedMatrix other = TestMatrices.random(192, 64, form, DataType.FP16, true, 1);
            assertThrows(IllegalArgumentException.class, () -> MatrixShards.join(List.of(four, other)));
            assertThrows(IllegalArgumentException.class, () -> MatrixShards.interleave(other, four));
        }
        // Zero points come to those that have none: 128 of 8-bit codes.
        QuantizedMatrix symmetric = TestMatrices.random(192, 64, WeightForm.of(WeightForm.Code.INT8, WeightForm.Offset.MIDDLE, 64),
                DataType.FP16, false, 1);
        QuantizedMatrix asymmetric = TestMatrices.random(192, 64, symmetric.form().withZeroPoints(true), DataType.FP16, false, 2);
        QuantizedMatrix joined = MatrixShards.join(List.of(symmetric, asymmetric));
        assertEquals(128, joined.zeroPoint(0, 3));
        assertColumnShard(joined, symmetric, 0);
        assertColumnShard(joined, asymmetric, 64);
    }

    private static void assertColumnShard(QuantizedMatrix matrix, QuantizedMatrix shard, int from) {
        assertEquals(matrix.inputOrder(), shard.inputOrder());
        for (int column = 0; column < shard.n(); column++) {
            assertEquals(matrix.bias(from + column), shard.bias(column));
            for (int row = 0; row < matrix.k(); row++) {
                assertEquals(matrix.exactWeight(row, from + column), shard.exactWeight(row, column));
            }
        }
    }

    private static void assertRowShard(QuantizedMatrix matrix, QuantizedMatrix shard, int from) {
        assertEquals(from == 0, shard.hasBias());
        for (int row = 0; row < shard.k(); row++) {
            for (int column = 0; column < shard.n(); column++) {
                assertEquals(matrix.exactWeight(from + row, column), shard.exactWeight(row, column), "row " + row + " from " + from);
            }
        }
    }

    private static void assertSame(PackedWeights expected, PackedWeights found) {
        assertEquals(expected.layout(), found.layout());
        assertEquals(expected.inputOrder(), found.inputOrder());
        assertSame("codes", expected.codes(), found.codes());
        assertSame("scales", expected.scales(), found.scales());
        assertSame("factors", expected.factors(), found.factors());
        assertEquals(expected.hasBias(), found.hasBias());
        if (expected.form().storesOffsets()) {
            assertSame("zeros", expected.zeros(), found.zeros());
        }
        if (expected.hasBias()) {
            assertSame("bias", expected.bias(), found.bias());
        }
    }

    private static void assertSame(String what, NativeMemory expected, NativeMemory found) {
        byte[] a = new byte[(int) expected.size()];
        byte[] b = new byte[(int) found.size()];
        expected.copyTo(0, java.nio.ByteBuffer.wrap(a));
        found.copyTo(0, java.nio.ByteBuffer.wrap(b));
        assertArrayEquals(a, b, what);
    }

    @Test
    void cutsAreEvenForAnyNumberOfDevices() {
        assertArrayEquals(new int[] {0, 4736, 9536, 14336}, PackedShards.cuts(14336, 3, 64));
        assertArrayEquals(new int[] {0, 64, 100}, PackedShards.cuts(100, 2, 64));
        assertArrayEquals(new int[] {0, 4096}, PackedShards.cuts(4096, 1, 128));
        for (int parts = 1; parts <= 64; parts++) {
            int[] cuts = PackedShards.cuts(4096, parts, 64);
            for (int i = 0; i < parts; i++) {
                int steps = (cuts[i + 1] - cuts[i]) / 64;
                assertTrue(steps == 64 / parts || steps == (64 + parts - 1) / parts, parts + " parts");
            }
        }
        assertThrows(IllegalArgumentException.class, () -> PackedShards.cuts(4096, 65, 64));
        assertThrows(IllegalArgumentException.class, () -> PackedShards.cuts(4096, 0, 64));
    }

    @Test
    void joinedLayersAreTheirParts() {
        QuantizedMatrix q = matrix(192, 129, 64, DataType.FP16, true, true);
        QuantizedMatrix k = matrix(192, 64, 64, DataType.FP16, false, true);
        QuantizedMatrix v = matrix(192, 63, 64, DataType.FP16, true, true);
        QuantizedMatrix joined = MatrixShards.join(List.of(q, k, v));
        assertEquals(256, joined.n());
        assertEquals(q.inputOrder(), joined.inputOrder());
        int at = 0;
        for (QuantizedMatrix part : List.of(q, k, v)) {
            for (int column = 0; column < part.n(); column++) {
                assertEquals(part.bias(column), joined.bias(at + column));
                for (int row = 0; row < 192; row++) {
                    assertEquals(part.weight(row, column), joined.weight(row, at + column), "row " + row + ", column " + column);
                    assertEquals(part.code(row, column), joined.code(row, at + column), "row " + row + ", column " + column);
                }
            }
            at += part.n();
        }
    }

    @Test
    void joinedPackedLayersAreThePackedJoinedLayer() {
        for (boolean zeroPoints : new boolean[] {false, true}) {
            List<QuantizedMatrix> parts = List.of(matrix(192, 128, 64, DataType.FP16, zeroPoints, true),
                    matrix(192, 64, 64, DataType.FP16, zeroPoints, true), matrix(192, 70, 64, DataType.FP16, zeroPoints, true));
            List<PackedWeights> packed = parts.stream().map(part -> PackedWeights.pack(part, DataType.FP16)).toList();
            assertSame(PackedWeights.pack(MatrixShards.join(parts), DataType.FP16), PackedShards.join(packed));
            assertThrows(IllegalArgumentException.class, () -> PackedShards.join(List.of(packed.get(2), packed.get(1))));
            PackedWeights other = PackedWeights.pack(matrix(192, 64, 32, DataType.FP16, zeroPoints, true), DataType.FP16);
            assertThrows(IllegalArgumentException.class, () -> PackedShards.join(List.of(packed.get(0), other)));
        }
    }

    @Test
    void layersThatDifferCannotBeJoined() {
        QuantizedMatrix a = matrix(192, 64, 64, DataType.FP16, false, false);
        for (QuantizedMatrix b : List.of(matrix(256, 64, 64, DataType.FP16, false, false),
                matrix(192, 64, 32, DataType.FP16, false, false), matrix(192, 64, 64, DataType.BF16, false, false),
                matrix(192, 64, 64, DataType.FP16, false, true))) {
            assertTrue(assertThrows(IllegalArgumentException.class, () -> MatrixShards.join(List.of(a, b))).getMessage()
                    .contains("must be the same"));
        }
        assertThrows(IllegalArgumentException.class, () -> MatrixShards.join(List.of()));
    }

    @Test
    void cutsBetweenStripsAndBlocksAreRefused() {
        QuantizedMatrix matrix = matrix(192, 192, 64, DataType.FP16, false, false);
        PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
        assertThrows(IllegalArgumentException.class, () -> PackedShards.columns(packed, 32, 64));
        assertThrows(IllegalArgumentException.class, () -> PackedShards.rows(packed, 0, 100));
        assertThrows(IllegalArgumentException.class, () -> MatrixShards.rows(matrix, 64, 64));
        assertThrows(IndexOutOfBoundsException.class, () -> MatrixShards.columns(matrix, 128, 256));
    }
}
