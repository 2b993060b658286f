package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.container.gguf.GgufBlocks;
import io.github.jmarlin.checkpoint.container.gguf.GgufType;
import io.github.jmarlin.checkpoint.container.gguf.GgufWriter;
import io.github.jmarlin.checkpoint.container.gguf.SlowBlocks;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Layers of every kind of block against the second decoder: codes, scales and float zeros, bit for bit. */
final class GgufFormatTest {
    private static final String LAYER = "blk.0.ffn_down";

    @TempDir
    private Path folder;

    /** A file of another architecture, whose names stay its own. */
    private Checkpoint checkpoint(GgufType type, byte[] bytes, long... extents) throws IOException {
        Path file = folder.resolve("model.gguf");
        new GgufWriter().string("general.architecture", "other").tensor(LAYER + ".weight", type.number(), bytes, extents).write(file);
        return Checkpoint.open(file);
    }

    @ParameterizedTest
    @EnumSource
    void codesScalesAndMinimaAreTheFiles(GgufBlocks blocks) throws IOException {
        GgufType type = blocks.type();
        for (int n : new int[] {1, 7, 64, 75, 600}) {
            int k = 768;
            byte[] bytes = SlowBlocks.random(type, (long) k * n, 0.01f, new Random(n));
            LayerSource layer = checkpoint(type, bytes, k, n).layer(LAYER);
            assertEquals(k, layer.k());
            assertEquals(blocks.groupSize(), layer.groupSize());
            try (QuantizedMatrix whole = layer.read()) {
                check(type, bytes, whole, 0);
            }
            for (int from = 0; from < n; from += 64) {
                try (QuantizedMatrix part = layer.read(from, Math.min(n, from + 64))) {
                    check(type, bytes, part, from);
                }
            }
        }
    }

    /** Packed without a matrix between: what the matrix packs to, to the bit, where k ends within a block too. */
    @ParameterizedTest
    @EnumSource
    void packsAsItsMatrixDoes(GgufBlocks blocks) throws IOException {
        GgufType type = blocks.type();
        for (DataType computeType : new DataType[] {DataType.FP16, DataType.BF16}) {
            for (int n : new int[] {1, 75, 192}) {
                int k = type.blockElements() == 256 ? 768 : 32 * 7;
                byte[] bytes = SlowBlocks.random(type, (long) k * n, 0.01f, new Random(n));
                LayerSource layer = checkpoint(type, bytes, k, n).layer(LAYER);
                for (int from = 0; from < n; from += 128) {
                    int to = Math.min(n, from + 128);
                    try (QuantizedMatrix matrix = layer.read(from, to);
                            PackedWeights expected = PackedWeights.pack(matrix, computeType);
                            PackedWeights packed = layer.pack(from, to, computeType)) {
                        assertEquals(expected.layout(), packed.layout());
                        assertSame("codes", expected.codes(), packed.codes());
                        assertSame("scales", expected.scales(), packed.scales());
                        assertSame("zeros", expected.zeros(), packed.zeros());
                        assertSame("factors", expected.factors(), packed.factors());
                    }
                }
            }
        }
    }

    private static void assertSame(String what, NativeMemory expected, NativeMemory packed) {
        assertEquals(expected == null, packed == null, what);
        if (expected != null) {
            assertEquals(-1, expected.slice(0, (int) expected.size()).mismatch(packed.slice(0, (int) packed.size())), what);
        }
    }

    /** Blocks of nothing but zeros may have any scale, even one that no column holds beside its largest. */
    @Test
    void zerosPackWithAnyScale() throws IOException {
        int block = GgufType.Q6_K.blockBytes();
        byte[] bytes = SlowBlocks.random(GgufType.Q6_K, 2 * 256, 0.01f, new Random(3));
        bytes[block - 1] = 0x70;                              // d of the first block: 8192 and more
        Arrays.fill(bytes, block, block + 128, (byte) 0);     // all codes of the second: 32, the middle
        Arrays.fill(bytes, block + 128, block + 192, (byte) 0xaa);
        bytes[2 * block - 2] = 1;                             // its d: 2^-24
        bytes[2 * block - 1] = 0;
        LayerSource layer = checkpoint(GgufType.Q6_K, bytes, 512, 1).layer(LAYER);
        try (QuantizedMatrix matrix = layer.read();
                PackedWeights expected = PackedWeights.pack(matrix, DataType.FP16);
                PackedWeights packed = layer.pack(0, 1, DataType.FP16)) {
            assertSame("scales", expected.scales(), packed.scales());
            assertSame("codes", expected.codes(), packed.codes());
        }
        bytes[block + 100] = 1;
        LayerSource lossy = checkpoint(GgufType.Q6_K, bytes, 512, 1).layer(LAYER);
        assertThrows(IllegalArgumentException.class, () -> lossy.pack(0, 1, DataType.FP16));
        assertThrows(IllegalArgumentException.class, () -> lossy.pack(1, 1, DataType.FP16));
    }

    @Test
    void infiniteScalesAreRefusedWhenPackedToo() throws IOException {
        byte[] bytes = SlowBlocks.random(GgufType.Q8_0, 64 * 3, 1, new Random(1));
        bytes[2 * 34 + 1] = 0x7c;
        bytes[2 * 34] = 0;
        LayerSource layer = checkpoint(GgufType.Q8_0, bytes, 64, 3).layer(LAYER);
        assertThrows(MalformedCheckpointException.class, () -> layer.pack(0, 3, DataType.FP16));
    }

    private static void check(GgufType type, byte[] bytes, QuantizedMatrix matrix, int from) {
        int rowBytes = matrix.k() / type.blockElements() * type.blockBytes();
        WeightForm form = matrix.form();
        for (int column = 0; column < matrix.n(); column++) {
            byte[] row = Arrays.copyOfRange(bytes, (from + column) * rowBytes, (from + column + 1) * rowBytes);
            for (int i = 0; i < matrix.k(); i++) {
                SlowBlocks.Element expected = SlowBlocks.ofRow(type, row, i);
                String where = type + ", row " + i + ", column " + (from + column);
                int middle = form.hasFloatZeros() ? 0 : form.code().middle();
                int group = i / matrix.rowsPerGroup();
                int factor = type == GgufType.Q5_K ? 8 : 1;
                assertEquals(factor * (expected.code() - expected.middle()), matrix.code(i, column) - middle, where);
                assertEquals(expected.scale() / factor, matrix.scale(group, column), where);
                if (form.hasFloatZeros()) {
                    assertEquals(expected.minimum(), matrix.floatZero(group, column), where);
                }
                assertEquals(expected.value(), matrix.weight(i, column), Math.ulp((float) expected.value()), where);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"Q4_0,INT4,MIDDLE,32,FP16", "Q4_1,INT4,FLOAT_ZERO,32,FP16", "Q4_K,INT4,FLOAT_ZERO,32,FP32", "Q5_0,INT8,MIDDLE,32,FP16",
        "Q5_1,INT8,FLOAT_ZERO,32,FP16", "Q5_K,INT8,FLOAT_ZERO,32,FP32", "Q6_K,INT8,MIDDLE,16,FP32", "Q8_0,INT8,MIDDLE,32,FP16"})
    void eachTypeHasItsForm(GgufType type, WeightForm.Code code, WeightForm.Offset offset, int groupSize, DataType scales)
            throws IOException {
        LayerSource layer = checkpoint(type, SlowBlocks.random(type, 512 * 8, 1, new Random(1)), 512, 8).layer(LAYER);
        assertEquals(code, layer.form().code());
        assertEquals(offset, layer.form().offset());
        assertEquals(groupSize, layer.form().groupSize());
        assertEquals(scales, layer.scaleType());
        assertEquals(DataType.FP16, layer.computeType());
        assertEquals("GGUF " + type, layer.scheme());
    }

    /** One group in all: the form says so by -1. */
    @Test
    void kOfOneGroup() throws IOException {
        byte[] bytes = SlowBlocks.random(GgufType.Q4_1, 32 * 10, 1, new Random(1));
        try (QuantizedMatrix matrix = checkpoint(GgufType.Q4_1, bytes, 32, 10).layer(LAYER).read()) {
            assertEquals(-1, matrix.groupSize());
            check(GgufType.Q4_1, bytes, matrix, 0);
        }
    }

    @Test
    void infiniteScalesAreRefusedWhereTheyStand() throws IOException {
        byte[] bytes = SlowBlocks.random(GgufType.Q8_0, 64 * 3, 1, new Random(1));
        bytes[2 * 34 + 1] = 0x7c;
        bytes[2 * 34] = 0;
        Checkpoint checkpoint = checkpoint(GgufType.Q8_0, bytes, 64, 3);
        long offset = checkpoint.tensors().get(LAYER + ".weight").fileOffset() + 68;
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class, () -> checkpoint.layer(LAYER).read());
        assertTrue(e.getMessage().contains("file offset " + offset + ": found a scale or minimum of Infinity in a block of Q8_0"),
                e.getMessage());
    }

    @Test
    void typesThatDoNotRunAreNamed() throws IOException {
        Checkpoint checkpoint = checkpoint(GgufType.Q2_K, new byte[84 * 4], 256, 4);
        UnsupportedCheckpointException e = assertThrows(UnsupportedCheckpointException.class, () -> checkpoint.layer(LAYER));
        assertTrue(e.getMessage().contains("found type Q2_K; accepted: Q4_0, Q4_1, Q5_0"), e.getMessage());
        assertEquals(1, checkpoint.survey().refused().size());
    }

    /** Whole as they are, and so carried over where layers are packed. */
    @ParameterizedTest
    @CsvSource({"1, 256", "4, 256 2 3 1"})
    void otherRanksAreNoLayers(int rank, String extents) throws IOException {
        long[] shape = Arrays.stream(extents.split(" ")).mapToLong(Long::parseLong).toArray();
        int count = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        Checkpoint checkpoint = checkpoint(GgufType.Q4_0, SlowBlocks.random(GgufType.Q4_0, count, 1, new Random(1)), shape);
        UnsupportedCheckpointException e = assertThrows(UnsupportedCheckpointException.class, () -> checkpoint.layer(LAYER));
        assertTrue(e.getMessage().contains("found Q4_0 in " + rank + " dimensions; accepted: a matrix"), e.getMessage());
    }

    @Test
    void stacksOfExpertsAreNamed() throws IOException {
        Checkpoint checkpoint = checkpoint(GgufType.Q4_0, SlowBlocks.random(GgufType.Q4_0, 64 * 4 * 3, 1, new Random(1)), 64, 4, 3);
        UnsupportedCheckpointException e = assertThrows(UnsupportedCheckpointException.class, () -> checkpoint.layer(LAYER));
        assertTrue(e.getMessage().contains("found a stack of 3 matrices of Q4_0"), e.getMessage());
    }
}
