package io.github.jmarlin.checkpoint.packed;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.checkpoint.format.LayerSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Packing a model folder: what is written, resuming, and what never looks whole. */
final class ModelPackerTest {
    @TempDir
    Path folder;

    static List<String> fixtures() {
        return Fixtures.names();
    }

    private Path source() {
        return folder.resolve("source");
    }

    private Path target() {
        return folder.resolve("packed");
    }

    private ModelPacker.Result pack() throws IOException {
        return new ModelPacker(Checkpoint.open(source()), target(), PackOptions.DEFAULT).run();
    }

    @ParameterizedTest
    @MethodSource("fixtures")
    void packedLayersUnpackToTheSource(String fixture) throws IOException {
        Fixtures.copy(fixture, source());
        pack();
        Checkpoint checkpoint = Checkpoint.open(source());
        PackedModel packed = PackedModel.open(target());
        assertEquals(checkpoint.layerNames(), packed.layers().keySet());
        for (String name : checkpoint.layerNames()) {
            LayerSource layer = checkpoint.layer(name);
            assertEquals(SourceChecksum.of(layer.tensors()), packed.layers().get(name).sourceChecksum());
            try (QuantizedMatrix expected = layer.read(); QuantizedMatrix found = packed.weights(name).unpack();
                    PackedWeights whole = PackedWeights.pack(expected, expected.scaleType())) {
                assertSame(expected, found);
                assertSame(whole.codes(), packed.weights(name).codes());
                assertSame(whole.scales(), packed.weights(name).scales());
                assertSame(whole.factors(), packed.weights(name).factors());
            }
        }
    }

    private static void assertSame(QuantizedMatrix expected, QuantizedMatrix found) {
        assertEquals(expected.layout(), found.layout());
        assertEquals(expected.scaleType(), found.scaleType());
        assertEquals(expected.inputOrder(), found.inputOrder());
        assertArrayEquals(expected.bias(), found.bias());
        assertSame(expected.codes(), found.codes());
        assertSame(expected.scales(), found.scales());
        assertEquals(expected.hasZeroPoints(), found.hasZeroPoints());
        if (expected.hasZeroPoints()) {
            assertSame(expected.zeroPoints(), found.zeroPoints());
        }
    }

    private static void assertSame(io.github.jmarlin.memory.NativeMemory expected, io.github.jmarlin.memory.NativeMemory found) {
        assertEquals(expected.size(), found.size());
        for (long i = 0; i < expected.size(); i++) {
            if (expected.getByte(i) != found.getByte(i)) {
                assertEquals(expected.getByte(i), found.getByte(i), "byte " + i);
            }
        }
    }

    /** Three blocks, a layer wide enough for several slabs, and tensors and files to be copied. */
    private TestModel model() throws IOException {
        TestModel model = new TestModel();
        for (int block = 0; block < 3; block++) {
            model.gptqLayer("model.layers." + block + ".up", 4096, 2112, 128, TestModel.repeat(0x77777777, 32 * 264), block);
            model.floats("model.layers." + block + ".norm.weight", TensorType.F32, new float[] {1, 2, block}, 3);
        }
        model.add("model.embed.weight", TensorType.U8, ByteBuffer.wrap(new byte[] {1, 2, 3}), 3);
        model.write(source(), TestModel.quantization("{\"quant_method\":\"gptq\",\"group_size\":128}"));
        Files.writeString(source().resolve("tokenizer.json"), "{}");
        return model;
    }

    @Test
    void slabsCopiesAndFiles() throws IOException {
        model();
        Map<String, FileTime> before = times(source());
        AtomicLong progress = new AtomicLong();
        PackOptions options = new PackOptions(DataType.FP16, DenseQuantization.DEFAULT, false, false, 3, false, progress::addAndGet);
        ModelPacker packer = new ModelPacker(Checkpoint.open(source()), target(), options);
        ModelPacker.Result result = packer.run();
        assertEquals(packer.sourceBytes(), progress.get());
        assertEquals(4, result.files());
        assertEquals(3, result.layers());
        assertEquals(List.of("config.json", "model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors",
                "model-00003-of-00004.safetensors", "model-00004-of-00004.safetensors", "model.safetensors.index.json",
                "tokenizer.json"), List.copyOf(times(target()).keySet()));
        assertEquals(before, times(source()), "the source is only read");

        PackedModel packed = PackedModel.open(target());
        assertEquals(2, packed.tensors().get("model.embed.weight").slice(1, 1).get(0));
        assertEquals(2f, packed.tensors().get("model.layers.2.norm.weight").slice(8, 4).getFloat(0));
        for (int block = 0; block < 3; block++) {
            String name = "model.layers." + block + ".up";
            try (QuantizedMatrix expected = Checkpoint.open(source()).layer(name).read();
                    PackedWeights whole = PackedWeights.pack(expected, DataType.FP16)) {
                assertSame(whole.codes(), packed.weights(name).codes());
                assertSame(whole.scales(), packed.weights(name).scales());
                assertSame(whole.factors(), packed.weights(name).factors());
            }
        }
    }

    private static Map<String, FileTime> times(Path folder) throws IOException {
        Map<String, FileTime> times = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                times.put(file.getFileName().toString(), Files.getLastModifiedTime(file));
            }
        }
        return times;
    }

    @Test
    void finishedFilesAreKeptAndDamagedOnesWrittenAgain() throws IOException {
        model();
        pack();
        Map<String, FileTime> before = times(target());
        Path truncated = target().resolve("model-00002-of-00004.safetensors");
        byte[] whole = Files.readAllBytes(truncated);
        Files.write(truncated, java.util.Arrays.copyOf(whole, whole.length - 1));
        Files.delete(target().resolve("model-00004-of-00004.safetensors"));
        Files.write(target().resolve("model-00003-of-00004.safetensors.partial"), new byte[99]);
        assertEquals(2, pack().keptFiles());
        assertArrayEquals(whole, Files.readAllBytes(truncated));
        Map<String, FileTime> after = times(target());
        assertEquals(before.keySet(), after.keySet());
        assertEquals(before.get("model-00001-of-00004.safetensors"), after.get("model-00001-of-00004.safetensors"));
        assertEquals(4, pack().keptFiles());
    }

    @Test
    void anotherSourceOrOtherOptionsKeepNothing() throws IOException {
        model();
        pack();
        PackOptions other = new PackOptions(DataType.BF16, DenseQuantization.DEFAULT, false, false, 2, false, bytes -> { });
        assertEquals(0, new ModelPacker(Checkpoint.open(source()), target(), other).run().keptFiles());
        assertEquals(DataType.BF16, PackedModel.open(target()).weights("model.layers.0.up").computeType());
        assertEquals(0, pack().keptFiles());
        Files.setLastModifiedTime(source().resolve("model.safetensors"), FileTime.fromMillis(1));
        assertEquals(0, pack().keptFiles());
    }

    @Test
    void unfinishedFoldersDoNotOpen() throws IOException {
        model();
        pack();
        Files.delete(target().resolve("model.safetensors.index.json"));
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class, () -> PackedModel.open(target()));
        assertTrue(e.getMessage().contains("packing was interrupted"), e.getMessage());
        assertFalse(PackedModel.isPacked(target()));
        pack();
        assertTrue(PackedModel.isPacked(target()));
        Files.delete(target().resolve("model-00003-of-00004.safetensors"));
        assertTrue(assertThrows(MalformedCheckpointException.class, () -> PackedModel.open(target())).getMessage()
                .contains("model-00003-of-00004.safetensors; this shard must exist"));
    }

    @Test
    void unknownLayoutVersionsAreRefused() throws IOException {
        model();
        pack();
        Path file = target().resolve("model-00001-of-00004.safetensors");
        String bytes = Files.readString(file, java.nio.charset.StandardCharsets.ISO_8859_1);
        Files.writeString(file, bytes.replace("layout_version\":\"2\"", "layout_version\":\"7\""),
                java.nio.charset.StandardCharsets.ISO_8859_1);
        UnsupportedCheckpointException e = assertThrows(UnsupportedCheckpointException.class, () -> PackedModel.open(target()));
        assertTrue(e.getMessage().contains("found 7; accepted: version 1"), e.getMessage());
    }

    @Test
    void failuresLeaveNoFileAndNoIndex() throws IOException {
        TestModel model = model();
        pack();
        float[] scales = new float[32 * 2112];
        scales[scales.length - 1] = Float.POSITIVE_INFINITY;
        model.floats("model.layers.1.up.scales", TensorType.F16, scales, 32, 2112);
        model.writeFile(source().resolve("model.safetensors"));
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class, this::pack);
        assertTrue(e.getMessage().contains("model.layers.1.up.scales") && e.getMessage().contains("Infinity"), e.getMessage());
        assertFalse(PackedModel.isPacked(target()), "the index of the run before outlived its files");
        for (String name : times(target()).keySet()) {
            assertTrue(name.matches("config.json|tokenizer.json|model-0000[124]-of-00004.safetensors"), name);
        }
    }

    @Test
    void layersThatCannotRunAreCarriedOverUnlessStrict() throws IOException {
        model();
        Files.writeString(source().resolve("config.json"),
                TestModel.quantization("{\"quant_method\":\"gptq\",\"group_size\":128,\"dynamic\":{\".*1.up\":{\"bits\":3}}}"));
        PackOptions strict = new PackOptions(null, DenseQuantization.DEFAULT, false, false, 1, true, bytes -> { });
        UnsupportedCheckpointException e = assertThrows(UnsupportedCheckpointException.class,
                () -> new ModelPacker(Checkpoint.open(source()), target(), strict));
        assertTrue(e.getMessage().contains("layer model.layers.1.up"), e.getMessage());
        assertFalse(Files.exists(target()));
        pack();
        PackedModel packed = PackedModel.open(target());
        assertFalse(packed.layers().containsKey("model.layers.1.up"));
        assertTrue(packed.tensors().containsKey("model.layers.1.up.qweight"));
    }

    @Test
    void sourceAsTargetAndTwoPackersAreRefused() throws IOException {
        model();
        assertThrows(IllegalArgumentException.class,
                () -> new ModelPacker(Checkpoint.open(source()), source(), PackOptions.DEFAULT));
        PackOptions nested = new PackOptions(null, DenseQuantization.DEFAULT, false, false, 1, false, bytes ->
                assertThrows(JMarlinException.class, this::pack));
        new ModelPacker(Checkpoint.open(source()), target(), nested).run();
    }

    @Test
    void anotherModelInTheTargetIsNotReplaced() throws IOException {
        model();
        Files.createDirectories(target());
        Path theirs = target().resolve("model-00001-of-00002.safetensors");
        Files.copy(source().resolve("model.safetensors"), theirs);
        JMarlinException e = assertThrows(JMarlinException.class, this::pack);
        assertTrue(e.getMessage().startsWith(theirs.toString()), e.getMessage());
        assertArrayEquals(Files.readAllBytes(source().resolve("model.safetensors")), Files.readAllBytes(theirs));
    }

    @Test
    void blocks() {
        assertEquals("model.layers.7", PackPlan.block("model.layers.7.mlp.up_proj.weight"));
        assertEquals("model.layers.7", PackPlan.block("model.layers.7"));
        assertEquals("", PackPlan.block("lm_head.weight"));
        assertTrue(PackPlan.NATURAL.compare("a.2.b", "a.10.b") < 0);
        assertTrue(PackPlan.NATURAL.compare("a", "a.1") < 0);
        // Numbers before words: compared as text, 10 < 1x < 2 < 10 would be a circle, and a sorted map would lose names.
        assertTrue(PackPlan.NATURAL.compare("a.10", "a.1x") < 0);
        assertTrue(PackPlan.NATURAL.compare("a.2", "a.1x") < 0);
        assertTrue(PackPlan.NATURAL.compare("a.1x", "a.2") > 0);
    }
}
