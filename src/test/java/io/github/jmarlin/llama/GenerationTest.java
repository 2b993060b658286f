package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.cpu.CpuDevice;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Prompts are continued alone and together alike, and end where they must. */
final class GenerationTest {
    private static final Generation.Settings GREEDY = new Generation.Settings(12, 0, 1, 42);
    private static final Generation.Settings DRAWN = new Generation.Settings(12, 1, 0.95, 42);

    @TempDir
    Path folder;

    private List<List<Integer>> run(List<int[]> prompts, Generation.Settings settings, List<Integer> told) throws IOException {
        try (CpuDevice device = new CpuDevice(2);
                LlamaModel model = LlamaModel.open(folder, LlamaModel.Options.STORED);
                Decoder decoder = new CpuDecoder(device, model, prompts.size(),
                        Generation.positions(model.config(), prompts, settings.maxTokens()))) {
            Generation.Result result = new Generation(decoder, settings, (prompt, token) -> told.add(token)).run(prompts);
            assertEquals(prompts.stream().mapToInt(prompt -> prompt.length).sum(), result.prefillTokens());
            assertEquals(result.tokens().stream().mapToInt(tokens -> tokens.size() - 1).sum(), result.decodeTokens());
            return result.tokens();
        }
    }

    @Test
    void aloneAndTogether() throws IOException {
        new TinyLlama("llama", 21).write(folder, TensorType.F32);
        List<int[]> prompts = IntStream.range(0, 8).mapToObj(i -> DecoderContract.tokens(1 + 5 * i, 30 + i)).toList();
        for (Generation.Settings settings : List.of(GREEDY, DRAWN)) {
            List<List<Integer>> alone = new ArrayList<>();
            for (int[] prompt : prompts) {
                alone.add(run(List.of(prompt), settings, new ArrayList<>()).get(0));
            }
            assertEquals(alone, run(prompts, settings, new ArrayList<>()));
            assertTrue(new HashSet<>(alone).size() > 4, "the prompts do not matter");
        }
    }

    /** More rows than a step takes: the prompts of 48 sequences are cut somewhere in one of them. */
    @Test
    void promptsThatTakeSeveralSteps() throws IOException {
        new TinyLlama("llama", 22).write(folder, TensorType.F32);
        List<int[]> prompts = IntStream.range(0, 48).mapToObj(i -> DecoderContract.tokens(9, i / 2)).toList();
        Generation.Settings few = new Generation.Settings(3, 0, 1, 42);
        List<List<Integer>> tokens = run(prompts, few, new ArrayList<>());
        for (int i = 0; i < 48; i += 2) {
            assertEquals(tokens.get(i), tokens.get(i + 1), "the same prompt twice");
            assertEquals(run(List.of(prompts.get(i)), few, new ArrayList<>()).get(0), tokens.get(i));
        }
    }

    @Test
    void endsWhereTheModelSays() throws IOException {
        int[] prompt = DecoderContract.tokens(5, 3);
        new TinyLlama("llama", 23).write(folder, TensorType.F32);
        List<Integer> told = new ArrayList<>();
        List<Integer> free = run(List.of(prompt), GREEDY, told).get(0);
        assertEquals(12, free.size());
        assertEquals(free, told);
        int end = free.get(4);
        int first = free.indexOf(end);
        new TinyLlama("llama", 23).config("eos_token_id", "[95, " + end + "]").write(folder, TensorType.F32);
        assertEquals(free.subList(0, first + 1), run(List.of(prompt), GREEDY, new ArrayList<>()).get(0));
        // A neighbour goes on.
        List<List<Integer>> both = run(List.of(prompt, DecoderContract.tokens(7, 4)), GREEDY, new ArrayList<>());
        assertEquals(first + 1, both.get(0).size());
        assertTrue(both.get(1).size() > first + 1, both.toString());
    }

    @Test
    void limits() throws IOException {
        new TinyLlama("llama", 24).write(folder, TensorType.F32);
        LlamaConfig config = LlamaConfig.read(folder);
        assertEquals(64, Generation.positions(config, List.of(new int[60], new int[10]), 5));
        assertEquals("prompt 2 of 60 tokens and 6 new ones need 65 positions, and this model has 64: "
                + "fewer --max-tokens or a shorter prompt",
                message(config, List.of(new int[10], new int[60]), 6));
        assertEquals("the prompt has token 96, and this model knows 0..95", message(config, List.of(new int[] {1, 96}), 1));
        assertEquals("the prompt has no tokens: at least one is needed to begin with", message(config, List.of(new int[0]), 1));
        assertEquals("max tokens 0: must be at least 1",
                assertThrows(IllegalArgumentException.class, () -> new Generation.Settings(0, 0, 1, 1)).getMessage());
    }

    private static String message(LlamaConfig config, List<int[]> prompts, int maxTokens) {
        return assertThrows(IllegalArgumentException.class, () -> Generation.positions(config, prompts, maxTokens)).getMessage();
    }
}
