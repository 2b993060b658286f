package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.container.gguf.GgufType;
import io.github.jmarlin.checkpoint.container.gguf.GgufWriter;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.testing.Errors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models of GGUF files compute what their numbers say, in the order of rows that llama.cpp's converter gives them. */
final class GgufDecoderTest {
    private static final CpuDevice DEVICE = new CpuDevice(2);

    @TempDir
    private Path folder;

    @AfterAll
    static void close() {
        DEVICE.close();
    }

    private void check(GgufWriter file, TinyLlama tiny, double[] frequencies, double error) throws IOException {
        Path path = file.write(folder.resolve("model.gguf"));
        int[] tokens = DecoderContract.tokens(20, 7);
        try (LlamaModel model = LlamaModel.open(path, LlamaModel.Options.STORED); Decoder decoder = new CpuDecoder(DEVICE, model, 2, 20)) {
            double[] expected = new SlowLlama(tiny, 2 * frequencies.length, frequencies).logits(tokens);
            float[] logits = decoder.logits(Step.prompt(1, 0, tokens, true));
            Errors.assertWithin(error, expected, logits, TinyLlama.VOCABULARY, path + "");
        }
    }

    @ParameterizedTest
    @CsvSource({"llama, 32", "mistral, 32", "qwen2, 32", "qwen3, 64"})
    void everyFamilyInFullPrecision(String family, int headSize) throws IOException {
        TinyLlama tiny = new TinyLlama(family, 1);
        check(TinyGguf.of(tiny, name -> GgufType.F32), tiny, SlowLlama.plainFrequencies(headSize), 1e-5);
    }

    /** Looked up only, the embedding is fp16; where it is the head too it stays a layer, and is multiplied as it is. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void embeddingOfBlocks(boolean tied) throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 2);
        if (tied) {
            tiny.without("lm_head.weight");
        }
        GgufWriter file = TinyGguf.of(tiny, name -> name.contains("embed") ? GgufType.Q5_1 : GgufType.F32);
        check(file, tiny, SlowLlama.plainFrequencies(32), 1e-3);
        Checkpoint checkpoint = Checkpoint.open(folder.resolve("model.gguf"));
        assertEquals(tied, checkpoint.layerNames().contains("model.embed_tokens") && !checkpoint.isDense("model.embed_tokens"));
    }

    @ParameterizedTest
    @CsvSource({"llama, Q4_0", "qwen2, Q4_1", "llama, Q5_0", "llama, Q5_1", "qwen3, Q8_0"})
    void layersOfBlocks(String family, GgufType type) throws IOException {
        TinyLlama tiny = new TinyLlama(family, 3);
        check(TinyGguf.of(tiny, name -> name.contains("embed") ? GgufType.F32 : type), tiny,
                SlowLlama.plainFrequencies(family.equals("qwen3") ? 64 : 32), 1e-3);
    }

    @Test
    void linearScaling() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 4);
        GgufWriter file = TinyGguf.of(tiny, name -> GgufType.F32).string("llama.rope.scaling.type", "linear")
                .f32("llama.rope.scaling.factor", 4);
        check(file, tiny, Arrays.stream(SlowLlama.plainFrequencies(32)).map(frequency -> frequency / 4).toArray(), 1e-5);
    }

    /** Llama 3.1's scaling stands in the file as the factors that it comes to. */
    @Test
    void llama3Scaling() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 5).config("rope_theta", "500000.0");
        double[] frequencies = new double[16];
        float[] factors = new float[16];
        for (int i = 0; i < 16; i++) {
            double frequency = Math.pow(500_000, -i / 16.0);
            double wave = 2 * Math.PI / frequency;
            double smooth = (8192 / wave - 1) / (4 - 1);
            factors[i] = wave < 8192 / 4.0 ? 1 : wave > 8192 ? 8 : (float) (1 / ((1 - smooth) / 8 + smooth));
            frequencies[i] = frequency / factors[i];
        }
        check(TinyGguf.of(tiny, name -> GgufType.F32).tensor("rope_freqs.weight", factors, 16), tiny, frequencies, 1e-5);
        factors[3] = 2;
        Path other = TinyGguf.of(tiny, name -> GgufType.F32).tensor("rope_freqs.weight", factors, 16).write(folder.resolve("other.gguf"));
        UnsupportedCheckpointException e = assertThrows(UnsupportedCheckpointException.class,
                () -> LlamaModel.open(other, LlamaModel.Options.STORED));
        assertTrue(e.getMessage().contains("found factors of rope_freqs.weight; accepted: \"default\""), e.getMessage());
    }

    @Test
    void otherArchitecturesKeepTheirNamesAndDoNotSpeak() throws IOException {
        Path file = new GgufWriter().string("general.architecture", "gemma2").tensor("blk.0.attn_q.weight", new float[64 * 64], 64, 64)
                .write(folder.resolve("other.gguf"));
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class,
                () -> LlamaModel.open(file, LlamaModel.Options.STORED));
        assertTrue(e.getMessage().contains("it is made for the architectures llama, qwen2 and qwen3"), e.getMessage());
        assertEquals(Set.of("blk.0.attn_q"), Checkpoint.open(file).layerNames());
    }
}
