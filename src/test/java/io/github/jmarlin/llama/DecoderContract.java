package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.testing.Errors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What every decoder promises. */
abstract class DecoderContract {
    private static final DenseQuantization GROUPS_OF_32 =
            new DenseQuantization(32, true, true, DenseQuantization.USUALLY_EXCLUDED, null);

    @TempDir
    Path folder;

    /** A decoder of this kind on the device under test. */
    abstract Decoder decoder(LlamaModel model, int sequences, int positions);

    /** The relative error of logits that this kind is allowed, on weights in full precision. */
    abstract double denseError();

    /** Whether packed products give a row the same bits in every batch; the contract's test of it is skipped if not. */
    abstract boolean batchInvariant();

    /** Whether packed weights are read in place. */
    abstract boolean inPlace();

    private LlamaModel open(LlamaModel.Weights weights) throws IOException {
        return LlamaModel.open(folder, new LlamaModel.Options(weights, GROUPS_OF_32, inPlace()));
    }

    static int[] tokens(int count, long seed) {
        return new Random(seed).ints(count, 0, TinyLlama.VOCABULARY).toArray();
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "mistral", "qwen2", "qwen3"})
    void everyFamilyAsTheFormulasSay(String family) throws IOException {
        TinyLlama tiny = new TinyLlama(family, 1);
        tiny.write(folder, TensorType.F32);
        int headSize = family.equals("qwen3") ? 64 : 32;
        check(new SlowLlama(tiny, headSize, SlowLlama.plainFrequencies(headSize)), family);
    }

    @Test
    void tiedHeadAndBiasesEverywhere() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 2).config("tie_word_embeddings", "true").config("attention_bias", "true")
                .config("mlp_bias", "true").without("lm_head.weight");
        for (int i = 0; i < TinyLlama.LAYERS; i++) {
            String prefix = "model.layers." + i + ".";
            tiny.bias(prefix + "self_attn.q_proj.bias", TinyLlama.HIDDEN).bias(prefix + "self_attn.k_proj.bias", TinyLlama.HIDDEN / 2)
                    .bias(prefix + "self_attn.v_proj.bias", TinyLlama.HIDDEN / 2).bias(prefix + "self_attn.o_proj.bias", TinyLlama.HIDDEN)
                    .bias(prefix + "mlp.gate_proj.bias", TinyLlama.INTERMEDIATE).bias(prefix + "mlp.up_proj.bias", TinyLlama.INTERMEDIATE)
                    .bias(prefix + "mlp.down_proj.bias", TinyLlama.HIDDEN);
        }
        tiny.write(folder, TensorType.F32);
        check(new SlowLlama(tiny, 32, SlowLlama.plainFrequencies(32)), "tied, biases");
    }

    @Test
    void scaledRotations() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 3).config("rope_scaling", "{\"type\": \"linear\", \"factor\": 4}");
        tiny.write(folder, TensorType.F32);
        double[] frequencies = Arrays.stream(SlowLlama.plainFrequencies(32)).map(frequency -> frequency / 4).toArray();
        check(new SlowLlama(tiny, 32, frequencies), "linear");
    }

    private void check(SlowLlama slow, String what) throws IOException {
        int[] tokens = tokens(20, 7);
        try (LlamaModel model = open(LlamaModel.Weights.STORED); Decoder decoder = decoder(model, 2, 20)) {
            float[] logits = decoder.logits(Step.prompt(1, 0, tokens, true));
            Errors.assertWithin(denseError(), slow.logits(tokens), logits, TinyLlama.VOCABULARY, what);
        }
    }

    @ParameterizedTest
    @CsvSource({"llama, STORED", "llama, QUANTIZED", "mistral, QUANTIZED", "qwen2, QUANTIZED", "qwen3, QUANTIZED"})
    void sameBitsAloneAndInABatchOfEight(String family, LlamaModel.Weights weights) throws IOException {
        Assumptions.assumeTrue(weights == LlamaModel.Weights.STORED || batchInvariant(), "products that depend on the batch");
        new TinyLlama(family, 4).write(folder, TensorType.BF16);
        int count = 8;
        int[][] prompts = new int[count][];
        float[][] alone = new float[count][];
        try (LlamaModel model = open(weights)) {
            for (int i = 0; i < count; i++) {
                prompts[i] = tokens(3 + i, 10 + i);
                try (Decoder decoder = decoder(model, 1, 16)) {
                    alone[i] = decoder.logits(Step.prompt(0, 0, prompts[i], true));
                }
            }
            try (Decoder decoder = decoder(model, count, 16)) {
                // Token by token, those that are still there together, last sequence first.
                float[][] together = new float[count][];
                for (int position = 0; position < prompts[count - 1].length; position++) {
                    int at = position;
                    int[] rows = IntStream.range(0, count).map(i -> count - 1 - i)
                            .filter(i -> at < prompts[i].length).toArray();
                    int[] positions = new int[rows.length];
                    Arrays.fill(positions, position);
                    float[] logits = decoder.logits(Step.tokens(rows, positions,
                            Arrays.stream(rows).map(i -> prompts[i][at]).toArray()));
                    for (int i = 0; i < rows.length; i++) {
                        together[rows[i]] = Arrays.copyOfRange(logits, i * TinyLlama.VOCABULARY, (i + 1) * TinyLlama.VOCABULARY);
                        Errors.assertSameBits(Arrays.copyOfRange(alone[rows[i]], position * TinyLlama.VOCABULARY,
                                (position + 1) * TinyLlama.VOCABULARY), together[rows[i]], TinyLlama.VOCABULARY,
                                "sequence " + rows[i] + ", position " + position);
                    }
                }
            }
        }
    }

    @Test
    void argmaxIsTheLargestLogit() throws IOException {
        new TinyLlama("llama", 5).write(folder, TensorType.F16);
        try (LlamaModel model = open(LlamaModel.Weights.QUANTIZED); Decoder decoder = decoder(model, 1, 16)) {
            Step step = Step.prompt(0, 0, tokens(9, 1), true);
            float[] logits = decoder.logits(step);
            int[] expected = new int[9];
            for (int i = 0; i < 9; i++) {
                expected[i] = Sampler.argmax(logits, i * TinyLlama.VOCABULARY, TinyLlama.VOCABULARY);
            }
            assertArrayEquals(expected, decoder.argmax(step));
            assertTrue(Arrays.stream(expected).distinct().count() > 1, "one token only: the model says nothing");
        }
    }

    @Test
    void onlyWantedRowsComeOut() throws IOException {
        new TinyLlama("llama", 6).write(folder, TensorType.F32);
        int[] tokens = tokens(6, 2);
        try (LlamaModel model = open(LlamaModel.Weights.STORED); Decoder decoder = decoder(model, 1, 16)) {
            Step all = Step.prompt(0, 0, tokens, true);
            float[] logits = decoder.logits(all);
            float[] some = decoder.logits(new Step(all.sequences(), all.positions(), tokens, new int[] {1, 4}));
            Errors.assertSameBits(Arrays.copyOfRange(logits, TinyLlama.VOCABULARY, 2 * TinyLlama.VOCABULARY),
                    Arrays.copyOf(some, TinyLlama.VOCABULARY), TinyLlama.VOCABULARY, "row 1");
            Errors.assertSameBits(Arrays.copyOfRange(logits, 4 * TinyLlama.VOCABULARY, 5 * TinyLlama.VOCABULARY),
                    Arrays.copyOfRange(some, TinyLlama.VOCABULARY, 2 * TinyLlama.VOCABULARY), TinyLlama.VOCABULARY, "row 4");
            assertEquals(0, decoder.logits(new Step(all.sequences(), all.positions(), tokens, new int[0])).length);
        }
    }

    @Test
    void goingBackForgets() throws IOException {
        new TinyLlama("qwen2", 7).write(folder, TensorType.F32);
        int[] tokens = tokens(8, 3);
        try (LlamaModel model = open(LlamaModel.Weights.STORED); Decoder decoder = decoder(model, 1, 16)) {
            float[] first = decoder.logits(Step.prompt(0, 0, tokens, false));
            decoder.logits(Step.prompt(0, 4, tokens(6, 4), false));
            float[] again = decoder.logits(Step.prompt(0, 4, Arrays.copyOfRange(tokens, 4, 8), false));
            Errors.assertSameBits(first, again, TinyLlama.VOCABULARY, "the same tokens again");
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "0 0 | 0 1 | 5 96 | row 1: token 96 is outside 0..95",
        "0 0 | 0 1 | 5 -1 | row 1: token -1 is outside 0..95",
        "0 2 | 0 0 | 5 5 | row 1: sequence 2 is outside 0..1",
        "0 0 | 0 2 | 5 5 | row 1: position 2 of sequence 0 follows 1 positions: must be the next one",
        "1 0 | 1 0 | 5 5 | row 0: position 1 of sequence 1 follows 0 positions: must be the next one or one of them",
        "0 0 | 0 16 | 5 5 | row 1: position 16 is outside 0..15",
        "0 | 0 1 | 5 5 | 2 tokens, 1 sequences and 2 positions: must be as many of each, 1..",
    })
    void badRows(String sequences, String positions, String tokens, String message) throws IOException {
        new TinyLlama("llama", 8).write(folder, TensorType.F32);
        try (LlamaModel model = open(LlamaModel.Weights.STORED); Decoder decoder = decoder(model, 2, 16)) {
            Step step = Step.tokens(ints(sequences), ints(positions), ints(tokens));
            IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> decoder.logits(step));
            assertTrue(e.getMessage().startsWith(message), e.getMessage());
            // Nothing was counted as cached.
            assertThrows(IllegalArgumentException.class, () -> decoder.logits(Step.prompt(0, 1, new int[] {1}, false)));
            assertThrows(IllegalArgumentException.class,
                    () -> decoder.logits(new Step(new int[1], new int[1], new int[1], new int[] {1})));
        }
    }

    private static int[] ints(String text) {
        return Arrays.stream(text.split(" ")).mapToInt(Integer::parseInt).toArray();
    }

    @Test
    void closedAndTooLong() throws IOException {
        new TinyLlama("llama", 9).write(folder, TensorType.F32);
        try (LlamaModel model = open(LlamaModel.Weights.STORED)) {
            IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> decoder(model, 1, 65));
            assertEquals("65 positions asked for; this llama has 64", e.getMessage());
            Decoder decoder = decoder(model, 1, 8);
            decoder.close();
            decoder.close();
            assertThrows(IllegalStateException.class, () -> decoder.logits(Step.prompt(0, 0, new int[] {1}, false)));
        }
    }
}
