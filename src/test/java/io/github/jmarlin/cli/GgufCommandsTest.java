package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.gguf.GgufType;
import io.github.jmarlin.checkpoint.container.gguf.GgufWriter;
import io.github.jmarlin.checkpoint.container.gguf.SlowBlocks;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.llama.TinyGguf;
import io.github.jmarlin.llama.TinyLlama;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A file like those called Q4_K_M, Q4_K and Q6_K in one, goes wherever a MODEL goes. */
final class GgufCommandsTest {
    private static final int HIDDEN = 256;
    private static final int INTERMEDIATE = 512;

    @TempDir
    private Path folder;
    private TinyLlama tiny;
    private String file;

    /** Widths of which rows of 256 can be made. */
    static TinyLlama wide(long seed) {
        TinyLlama tiny = new TinyLlama("llama", seed).config("hidden_size", "" + HIDDEN).config("intermediate_size", "" + INTERMEDIATE);
        for (int i = 0; i < TinyLlama.LAYERS; i++) {
            String prefix = "model.layers." + i + ".";
            tiny.norm(prefix + "input_layernorm.weight", HIDDEN).norm(prefix + "post_attention_layernorm.weight", HIDDEN)
                    .matrix(prefix + "self_attn.q_proj.weight", HIDDEN, HIDDEN).matrix(prefix + "self_attn.o_proj.weight", HIDDEN, HIDDEN)
                    .matrix(prefix + "self_attn.k_proj.weight", HIDDEN / 2, HIDDEN)
                    .matrix(prefix + "self_attn.v_proj.weight", HIDDEN / 2, HIDDEN)
                    .matrix(prefix + "mlp.gate_proj.weight", INTERMEDIATE, HIDDEN)
                    .matrix(prefix + "mlp.up_proj.weight", INTERMEDIATE, HIDDEN)
                    .matrix(prefix + "mlp.down_proj.weight", HIDDEN, INTERMEDIATE);
        }
        return tiny.norm("model.norm.weight", HIDDEN).matrix("model.embed_tokens.weight", TinyLlama.VOCABULARY, HIDDEN)
                .matrix("lm_head.weight", TinyLlama.VOCABULARY, HIDDEN);
    }

    @BeforeEach
    void write() throws IOException {
        tiny = wide(41);
        Path path = folder.resolve("model-Q4_K_M.gguf");
        TinyGguf.of(tiny, name -> name.matches(".*(v_proj|down_proj|lm_head).*") ? GgufType.Q6_K
                : name.contains("o_proj") ? GgufType.Q5_K : GgufType.Q4_K)
                .u32("tokenizer.ggml.eos_token_id", TinyLlama.VOCABULARY - 1).write(path);
        file = path.toString();
    }

    private static String generated(String model, String... more) {
        String[] args = new String[8 + more.length];
        System.arraycopy(new String[] {"generate", model, "--ids", "5 17 3", "--max-tokens", "12", "--device", "cpu"}, 0, args, 0, 8);
        System.arraycopy(more, 0, args, 8, more.length);
        Cli run = Cli.run(args);
        assertEquals(0, run.status(), run.err());
        return run.out();
    }

    @Test
    void inspected() {
        Cli run = Cli.run("inspect", file);
        assertEquals(0, run.status(), run.err());
        assertTrue(run.out().contains("15 of 15 can run"), run.out());
        for (String kind : new String[] {"GGUF Q4_K", "GGUF Q5_K", "GGUF Q6_K"}) {
            assertTrue(run.out().contains(kind), run.out());
        }
        assertTrue(run.out().contains("model-Q4_K_M.gguf: types of its tensors, architecture llama"), run.out());
    }

    @Test
    void packedVerifiedAndSpoken() throws IOException {
        String packed = folder.resolve("packed").toString();
        Cli pack = Cli.run("pack", file, packed);
        assertEquals(0, pack.status(), pack.err());
        assertTrue(pack.out().startsWith("15 layers (GGUF) in 3 files"), pack.out());
        Cli verify = Cli.run("verify", packed, "--device", "cpu");
        assertEquals(0, verify.status(), verify.out() + verify.err());
        assertTrue(verify.out().contains("15 of 15 layers are right"), verify.out());
        WeightForm v = PackedModel.open(Path.of(packed)).weights("model.layers.1.self_attn.v_proj").form();
        assertEquals(WeightForm.Code.INT8, v.code());
        assertEquals(16, v.groupSize());
        assertTrue(Files.readString(Path.of(packed).resolve("config.json")).contains("\"model_type\":\"llama\""));
        String spoken = generated(packed);
        assertEquals(generated(file), spoken);
        assertEquals(generated(file, "--dense"), spoken);
        assertEquals(generated(tiny.write(folder.resolve("folder"), TensorType.F32).toString()), spoken);
        assertEquals(0, Cli.run("verify", file, "--device", "cpu").status());
    }

    @Test
    void aChangedSourceIsNoticed() throws IOException {
        String packed = folder.resolve("packed").toString();
        assertEquals(0, Cli.run("pack", file, packed).status());
        byte[] bytes = Files.readAllBytes(Path.of(file));
        bytes[bytes.length - 300] ^= 1; // of the last tensor, lm_head
        Files.write(Path.of(file), bytes);
        Cli verify = Cli.run("verify", packed, "--device", "cpu");
        assertEquals(1, verify.status());
        assertTrue(verify.out().contains("14 of 15 layers are right"), verify.out());
    }

    private Cli pack(GgufWriter writer, String... more) throws IOException {
        String[] args = {"pack", writer.write(folder.resolve("other.gguf")).toString(), folder.resolve("packed").toString()};
        return Cli.run(Stream.concat(Stream.of(args), Stream.of(more)).toArray(String[]::new));
    }

    /** What the packed folder lacks is said, not left to be found out. */
    @Test
    void otherArchitecturesLoseTheirConfigurationAloud() throws IOException {
        GgufWriter writer = new GgufWriter().string("general.architecture", "gemma3")
                .string("tokenizer.ggml.model", "llama").strings("tokenizer.ggml.tokens", List.of("a")).floats("tokenizer.ggml.scores", 0)
                .tensor("blk.0.attn_v.weight", GgufType.Q8_0.number(), SlowBlocks.random(GgufType.Q8_0, 64 * 64, 1, new Random(1)), 64, 64);
        Cli strict = pack(writer, "--strict");
        assertEquals(1, strict.status(), strict.toString());
        assertTrue(strict.err().contains("not carried over: configuration of architecture gemma3; tokenizer: it is"), strict.err());
        assertFalse(Files.exists(folder.resolve("packed")));
        Cli pack = pack(writer);
        assertEquals(0, pack.status(), pack.err());
        assertTrue(pack.out().contains("not carried over: configuration of architecture gemma3\n"), pack.out());
        assertTrue(pack.out().contains("not carried over: tokenizer: it is that of architecture gemma3\n"), pack.out());
    }

    @Test
    void tokenizersOfOtherKindsAreLostAloud() throws IOException {
        GgufWriter writer = TinyGguf.of(tiny, name -> GgufType.Q8_0).string("tokenizer.ggml.model", "gpt2")
                .string("tokenizer.ggml.pre", "strange").strings("tokenizer.ggml.tokens", List.of("a"));
        Cli pack = pack(writer);
        assertEquals(0, pack.status(), pack.err());
        assertTrue(pack.out().contains("not carried over: tokenizer: a tokenizer that cuts text like \"strange\""), pack.out());
        assertTrue(Files.exists(folder.resolve("packed/config.json")));
        assertEquals(1, pack(writer, "--strict").status());
    }

    /** It is found before the weights are written, and costs only itself. */
    @Test
    void brokenTokenizersAreLeftOut() throws IOException {
        GgufWriter writer = TinyGguf.of(tiny, name -> GgufType.Q8_0).string("tokenizer.ggml.model", "llama")
                .strings("tokenizer.ggml.tokens", List.of("a")).floats("tokenizer.ggml.scores", 1, 2);
        Cli strict = pack(writer, "--strict");
        assertEquals(1, strict.status(), strict.toString());
        assertFalse(Files.exists(folder.resolve("packed")));
        Cli pack = pack(writer);
        assertEquals(0, pack.status(), pack.err());
        assertTrue(pack.out().contains("not carried over: tokenizer: ") && pack.out().contains("found 2 elements; there are 1 tokens"),
                pack.out());
        assertFalse(Files.exists(folder.resolve("packed/tokenizer.json")));
        assertEquals(0, Cli.run("verify", folder.resolve("packed").toString(), "--device", "cpu").status());
    }

    @Test
    void bytesCarriedOverKeepTheirType() throws IOException {
        GgufWriter writer = TinyGguf.of(tiny, name -> GgufType.Q8_0)
                .tensor("blk.1.extra.weight", GgufType.Q2_K.number(), new byte[84], 256, 1);
        Cli pack = pack(writer);
        assertEquals(0, pack.status(), pack.err());
        Tensor extra = PackedModel.open(folder.resolve("packed")).tensors().get("blk.1.extra.weight");
        assertEquals("Q2_K", SafetensorsFile.open(extra.file()).metadata().get("jmarlin.gguf_type.blk.1.extra.weight"));
    }

    @Test
    void idsOutsideTheVocabularyEndNothing() throws IOException {
        String before = generated(file);
        file = TinyGguf.of(wide(41), name -> name.matches(".*(v_proj|down_proj|lm_head).*") ? GgufType.Q6_K
                : name.contains("o_proj") ? GgufType.Q5_K : GgufType.Q4_K).u32("tokenizer.ggml.eos_token_id", TinyLlama.VOCABULARY - 1)
                .u32("tokenizer.ggml.eot_token_id", 0xffff_ffffL).u32("tokenizer.ggml.bos_token_id", TinyLlama.VOCABULARY)
                .write(folder.resolve("none.gguf")).toString();
        assertEquals(before, generated(file));
        assertEquals(List.of(TinyLlama.VOCABULARY - 1L),
                Checkpoint.open(Path.of(file)).document("generation_config.json").get("eos_token_id").raw());
    }

    @Test
    void promptsInWordsNeedATokenizer() throws IOException {
        Cli none = Cli.run("generate", file, "--prompt", "Once", "--device", "cpu");
        assertEquals(1, none.status());
        assertTrue(none.err().contains("the file has no tokenizer") && none.err().contains("--tokenizer FILE"), none.err());
        Cli missing = Cli.run("generate", file, "--prompt", "Once", "--device", "cpu", "--tokenizer", folder.resolve("t.json").toString());
        assertTrue(missing.err().contains("must be a tokenizer.json"), missing.err());
    }

    /** A file of words is no list of ids that went wrong. */
    @Test
    void textsInWordsNeedATokenizer() throws IOException {
        String text = Files.writeString(folder.resolve("text"), "Once upon").toString();
        Cli batch = Cli.run("generate", file, "--batch-file", text, "--device", "cpu");
        assertEquals(1, batch.status());
        assertTrue(batch.err().contains("the file has no tokenizer"), batch.err());
        Cli calibrate = Cli.run("calibrate", file, folder.resolve("out").toString(), "--text", text);
        assertEquals(1, calibrate.status());
        assertTrue(calibrate.err().contains("the file has no tokenizer"), calibrate.err());
        Files.writeString(Path.of(text), "5 17");
        assertEquals(0, Cli.run("generate", file, "--batch-file", text, "--max-tokens", "2", "--device", "cpu").status());
    }
}
