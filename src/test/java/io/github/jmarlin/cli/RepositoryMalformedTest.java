package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Damaged models, by every command: one line with the file, the tensor or key, what was found and the rule; the exit code;
 * nothing written; no stack trace.
 */
final class RepositoryMalformedTest {
    private static final String GPTQ = TestModel.quantization("{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":32,\"sym\":true}");

    @TempDir
    Path folder;

    private void assertRefusedByAll(Path model, int inspect, String... parts) {
        Path target = folder.resolve("packed");
        Cli inspected = Cli.run("inspect", model.toString());
        assertEquals(inspect, inspected.status(), inspected.toString());
        String text = inspect == 1 ? inspected.err() : inspected.out();
        for (String part : parts) {
            assertTrue(text.contains(part), part + " expected in " + text);
        }
        assertTrue(inspect != 1 || inspected.err().lines().count() == 1, inspected.err());
        Repository.assertRefused(target, 1, new String[] {"pack", model.toString(), target.toString()}, parts);
        Cli verified = Cli.run("verify", model.toString(), "--device", "cpu");
        assertEquals(1, verified.status(), verified.toString());
        assertTrue((verified.err() + verified.out()).contains(parts[0]), verified.toString());
        for (Cli run : List.of(inspected, verified)) {
            assertTrue(!(run.out() + run.err()).contains("\tat ") && !run.err().contains("Exception"), run.toString());
        }
    }

    /** Files that break their format: nothing opens. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "gptq_v1_sym_g128 | cut | model.safetensors: file size: found | the last tensor ends at",
        "awq_gemm_g64 | cut | model.safetensors: file size: found | the last tensor ends at",
        "ct_pack_asym_g32 | header | model.safetensors: header length at byte 0: found | the header must end inside the file",
        "marlin_channel | empty | model.safetensors: file size: found 0 bytes | starts with an 8-byte header length",
        "gptq_v2_asym_g64 | brace | model.safetensors: header, character | must be JSON",
    })
    void files(String fixture, String damage, String where, String rule) throws IOException {
        Path model = Fixtures.copy(fixture, folder.resolve("model"));
        Path file = model.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        switch (damage) {
            case "cut" -> bytes = java.util.Arrays.copyOf(bytes, bytes.length - 100);
            case "header" -> bytes[4] = 5;
            case "empty" -> bytes = new byte[0];
            default -> bytes[9] = '}';
        }
        Files.write(file, damage.equals("header") ? headerBeyondTheFile(bytes) : bytes);
        assertRefusedByAll(model, 1, where, rule);
    }

    private static byte[] headerBeyondTheFile(byte[] bytes) {
        java.nio.ByteBuffer.wrap(bytes).order(java.nio.ByteOrder.LITTLE_ENDIAN).putLong(0, 90_000_000);
        return bytes;
    }

    /** Configurations that no reading makes sense of. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":\"four\"}} | key quantization_config.bits: found four; must be a",
        "{\"quantization_config\":[]} | key quantization_config: found []; must be an object",
        "{\"quantization_config\":{\"quant_method\":7,\"bits\":4}} | key quantization_config.quant_method: found 7; must be a string",
        "{\"quantization_config\":{\"quant_method\":\"gptq\",\"dynamic\":{\"(\":{}}}} | must be a regular expression",
        "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"config_groups\":[1]}} | config_groups: found [1]; must be an",
        "{\"a\": | content, character",
        "[1] | config.json: content: found [1]; must be an object",
        "plain text | config.json: content: found the text \"plain text\"; must be JSON",
    })
    void configurations(String config, String message) throws IOException {
        Path model = Fixtures.copy("gptq_v1_sym_g128", folder.resolve("model"));
        Files.delete(model.resolve("quantize_config.json"));
        Files.writeString(model.resolve("config.json"), config);
        assertRefusedByAll(model, 1, message, "config.json: ");
    }

    private interface Damage {
        TestModel of(TestModel layer);
    }

    private record Case(String name, Damage damage, String... message) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static TestModel layer() {
        return new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 1);
    }

    /** Tensors that contradict each other: inspect lists the layer with the reason, pack and verify fail with it. */
    static Stream<Case> tensors() {
        return Stream.of(
                new Case("scales of another n", model -> model.floats("a.scales", TensorType.F16, new float[64], 2, 32),
                        "model.safetensors: tensor a.scales: found shape [2, 32]; the layer's other tensors ask for [2, 64]"),
                new Case("scales of one dimension", model -> model.floats("a.scales", TensorType.F16, new float[64], 64),
                        "tensor a.scales: found shape [64]; must have 2 dimension(s)"),
                new Case("zero points of another n", model -> model.ints("a.qzeros", new int[8], 2, 4),
                        "tensor a.qzeros: found shape [2, 4]; the layer's other tensors ask for [2, 8]"),
                new Case("codes of three dimensions", model -> model.ints("a.qweight", new int[512], 8, 8, 8),
                        "tensor a.qweight: found shape [8, 8, 8]; must have 2 dimension(s)"),
                new Case("no codes at all", model -> model.ints("a.qweight", new int[0], 0, 64),
                        "tensor a.qweight: found k 0 from shape [0, 64]; must be in 1.."),
                new Case("no scales", model -> model.remove("a.scales"), "tensor a.scales: found nothing; the checkpoint must contain"),
                new Case("no zero points", model -> model.remove("a.qzeros"),
                        "tensor a.qzeros: found nothing; the checkpoint must contain"),
                new Case("a group that does not exist", model -> model.ints("a.g_idx", TestModel.repeat(7, 64), 64),
                        "tensor a.g_idx, file offset ", ": found 7; row 0 must belong to one of the groups 0..1"),
                new Case("a bias of another n", model -> model.floats("a.bias", TensorType.F16, new float[32], 32),
                        "tensor a.bias: found shape [32]; the layer's other tensors ask for [64]"));
    }

    @ParameterizedTest
    @MethodSource("tensors")
    void tensorsThatContradictEachOther(Case test) throws IOException {
        Path model = test.damage.of(layer()).write(folder.resolve("model"), GPTQ);
        assertRefusedByAll(model, 3, test.message);
    }

    /** Scales that are no numbers are found when they are read: by pack, which leaves no file, and by verify. */
    @ParameterizedTest
    @CsvSource({"gptq_v1_sym_g128, scales", "awq_gemm_g64, scales", "ct_pack_asym_g32, weight_scale", "marlin_channel, s"})
    void scalesThatAreNoNumbers(String fixture, String part) throws IOException {
        Path model = Fixtures.copy(fixture, folder.resolve("model"));
        Path target = folder.resolve("packed");
        Tensor scales = SafetensorsFile.open(model.resolve("model.safetensors")).tensor(Repository.LAYER + "." + part);
        Repository.words(model.resolve("model.safetensors"), scales.name(), word -> 0x7e007e00);
        String where = "model.safetensors: tensor " + scales.name() + ", file offset " + scales.fileOffset()
                + ": found NaN; must be finite";
        Cli packed = Cli.run("pack", model.toString(), target.toString());
        assertEquals(1, packed.status(), packed.toString());
        assertEquals(1, packed.err().lines().count(), packed.err());
        assertTrue(packed.err().contains(where), packed.err());
        assertEquals(List.of(), Repository.names(target), "no file is left");
        Cli verified = Cli.run("verify", model.toString(), "--device", "cpu");
        assertEquals(1, verified.status(), verified.toString());
        assertTrue(verified.err().contains(where) && verified.err().lines().count() == 1, verified.toString());
    }

    /** Marlin stores whole tiles of 16 x 64 in blocks of 128 rows. */
    @ParameterizedTest
    @CsvSource({"5, 256, 'found shape [5, 256], k 80; k must be a multiple of 128'",
        "8, 192, 'found shape [8, 192]; the second dimension must be a multiple of 128'",
        "12, 256, 'found shape [12, 256], k 192; k must be a multiple of 128'"})
    void marlinTiles(int tileRows, int words, String message) throws IOException {
        Path model = new TestModel().ints("a.B", new int[tileRows * words], tileRows, words)
                .floats("a.s", TensorType.F16, new float[words / 2], 1, words / 2)
                .write(folder.resolve("model"), TestModel.quantization("{\"quant_method\":\"marlin\",\"group_size\":-1}"));
        assertRefusedByAll(model, 3, message, "tensor a.B");
    }
}
