package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.layout.MatrixShards;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.Gpu;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The decoder on a GPU, on the stand-in under the race detector. */
@Tag("gpu")
@Tag("hopper")
final class CudaDecoderTest extends DecoderContract {
    private static final DenseQuantization GROUPS_OF_32 =
            new DenseQuantization(32, true, true, DenseQuantization.USUALLY_EXCLUDED, null);
    /** Of a graph's kernels: what a block launches, and what comes before and after the blocks. */
    private static final int LAUNCHES_PER_BLOCK = 9;
    private static final int LAUNCHES_AROUND = 4;

    @BeforeEach
    void findRaces() {
        Gpu.first();
        if (StandIn.isLoaded()) {
            StandIn.reset();
            StandIn.set("races", 1);
        }
    }

    @AfterEach
    void reset() {
        if (StandIn.isLoaded()) {
            StandIn.reset();
        }
    }

    @Override
    Decoder decoder(LlamaModel model, int sequences, int positions) {
        return new CudaDecoder(Gpu.first(), model, sequences, positions, PlanOptions.DEFAULT.withBatchInvariance());
    }

    /** FP16: weights and activations are rounded, each to 2^-11, a dozen times a block. */
    @Override
    double denseError() {
        return 4e-3;
    }

    @Override
    boolean batchInvariant() {
        return true;
    }

    @Override
    boolean inPlace() {
        return false;
    }

    private LlamaModel open(LlamaModel.Weights weights) throws IOException {
        return LlamaModel.open(folder, new LlamaModel.Options(weights, GROUPS_OF_32, false));
    }

    private static List<List<Integer>> generated(Decoder decoder, List<int[]> prompts) {
        try (decoder) {
            return new Generation(decoder, new Generation.Settings(10, 0, 1, 1), (prompt, token) -> { }).run(prompts).tokens();
        }
    }

    /** Planned as always, with graphs of every number of rows: prompts of several lengths end one by one. */
    @ParameterizedTest
    @CsvSource({"llama, F16, STORED", "llama, F16, QUANTIZED", "qwen2, F16, QUANTIZED", "qwen3, F16, QUANTIZED",
        "mistral, BF16, QUANTIZED", "llama, BF16, STORED"})
    void theTokensOfTheProcessor(String family, TensorType type, LlamaModel.Weights weights) throws IOException {
        new TinyLlama(family, 21).write(folder, type);
        List<int[]> prompts = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            prompts.add(tokens(2 + 3 * i, 40 + i));
        }
        try (LlamaModel model = open(weights); CpuDevice cpu = new CpuDevice(2)) {
            List<List<Integer>> expected = generated(new CpuDecoder(cpu, model, 5, 32), prompts);
            assertEquals(expected, generated(new CudaDecoder(Gpu.first(), model, 5, 32, PlanOptions.DEFAULT), prompts));
        }
    }

    /** More positions than the attention kernel takes at a time, spread over blocks or not. */
    @Test
    void manyPositions() throws IOException {
        new TinyLlama("llama", 22).config("max_position_embeddings", "600").write(folder, TensorType.F16);
        int[] prompt = tokens(300, 1);
        try (LlamaModel model = open(LlamaModel.Weights.STORED); CpuDevice cpu = new CpuDevice(2);
                Decoder expected = new CpuDecoder(cpu, model, 1, 600); Decoder decoder = decoder(model, 9, 600)) {
            float[] want = null;
            for (int first = 0; first < prompt.length; first += 100) {
                want = expected.logits(Step.prompt(0, first, Arrays.copyOfRange(prompt, first, first + 100), false));
            }
            float[] is = decoder.logits(Step.prompt(0, 0, prompt, false));
            Errors.assertWithin(denseError(), doubles(want), is, TinyLlama.VOCABULARY, "300 positions in one step");
            decoder.logits(Step.prompt(8, 0, Arrays.copyOf(prompt, 299), false));
            float[] last = decoder.logits(Step.tokens(new int[] {8}, new int[] {299}, new int[] {prompt[299]}));
            Errors.assertSameBits(is, last, TinyLlama.VOCABULARY, "the last row alone, in a graph");
        }
    }

    /** The contract's models are BF16. */
    @ParameterizedTest
    @EnumSource(value = LlamaModel.Weights.class, names = {"STORED", "QUANTIZED"})
    void sameBitsInFp16(LlamaModel.Weights weights) throws IOException {
        new TinyLlama("llama", 28).write(folder, TensorType.F16);
        int count = 8;
        int[] tokens = tokens(2 * count, 9);
        try (LlamaModel model = open(weights); Decoder alone = decoder(model, 1, 16); Decoder together = decoder(model, count, 16)) {
            int[] sequences = IntStream.range(0, count).toArray();
            for (int position = 0; position < 2; position++) {
                int[] positions = new int[count];
                Arrays.fill(positions, position);
                int[] rows = Arrays.copyOfRange(tokens, position * count, (position + 1) * count);
                float[] logits = together.logits(Step.tokens(sequences, positions, rows));
                for (int i = 0; position == 1 && i < count; i++) {
                    alone.logits(Step.prompt(0, 0, new int[] {tokens[i]}, false));
                    Errors.assertSameBits(alone.logits(Step.tokens(new int[1], new int[] {1}, new int[] {rows[i]})),
                            Arrays.copyOfRange(logits, i * TinyLlama.VOCABULARY, (i + 1) * TinyLlama.VOCABULARY), TinyLlama.VOCABULARY,
                            "sequence " + i);
                }
            }
        }
    }

    private static double[] doubles(float[] values) {
        return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
    }

    /** Rows sorted by group, and a head in 4 bits: as some GPTQ checkpoints have them. */
    @ParameterizedTest
    @CsvSource({"FP16, 2e-3", "BF16, 2e-2"})
    void actOrderAndAQuantizedHead(DataType type, double error) throws IOException {
        new TinyLlama("llama", 23).write(folder, TensorType.F16);
        int[] tokens = tokens(12, 5);
        try (LlamaModel model = open(LlamaModel.Weights.STORED); CpuDevice cpu = new CpuDevice(2)) {
            List<LlamaModel.Block> blocks = new ArrayList<>();
            List<AutoCloseable> owned = new ArrayList<>();
            for (LlamaModel.Block block : model.blocks()) {
                blocks.add(new LlamaModel.Block(block.attentionNorm(), List.of(ordered(128, 256, type, owned)), null, null,
                        ordered(128, 128, type, owned), block.feedForwardNorm(),
                        List.of(ordered(128, 192, type, owned), ordered(128, 192, type, owned)), ordered(192, 128, type, owned)));
            }
            try (LlamaModel changed = new LlamaModel(model.config(), model.embedding(), blocks, model.norm(),
                    ordered(128, TinyLlama.VOCABULARY, type, owned), owned);
                    Decoder expected = new CpuDecoder(cpu, changed, 1, 16); Decoder decoder = decoder(changed, 1, 16)) {
                Step step = Step.prompt(0, 0, tokens, true);
                Errors.assertWithin(error, doubles(expected.logits(step)), decoder.logits(step), TinyLlama.VOCABULARY, "act order");
            }
        }
    }

    /** The product makes silu(gate) * up itself. */
    @Test
    void gateAndUpInTurn() throws IOException {
        new TinyLlama("llama", 29).write(folder, TensorType.F16);
        Step step = Step.prompt(0, 0, tokens(12, 6), true);
        try (LlamaModel model = open(LlamaModel.Weights.STORED); CpuDevice cpu = new CpuDevice(2);
                QuantizedMatrix gate = TestMatrices.layer(128, 192, 32, DataType.FP16, true, true, 1);
                QuantizedMatrix up = TestMatrices.layer(128, 192, 32, DataType.FP16, true, true, 2);
                PackedWeights packedGate = PackedWeights.pack(gate, DataType.FP16);
                PackedWeights packedUp = PackedWeights.pack(up, DataType.FP16);
                QuantizedMatrix both = MatrixShards.interleave(gate, up);
                PackedWeights packedBoth = PackedWeights.pack(both, DataType.FP16);
                LlamaModel apart = withGateUp(model, List.of(new Projection.Packed(packedGate), new Projection.Packed(packedUp)));
                LlamaModel inTurn = withGateUp(model, List.of(new Projection.Packed(packedBoth)));
                Decoder expected = new CpuDecoder(cpu, apart, 1, 16); Decoder decoder = decoder(inTurn, 1, 16)) {
            Errors.assertWithin(denseError(), doubles(expected.logits(step)), decoder.logits(step), TinyLlama.VOCABULARY, "interleaved");
        }
    }

    private static LlamaModel withGateUp(LlamaModel model, List<Projection> gateUp) {
        List<LlamaModel.Block> blocks = model.blocks().stream().map(block -> new LlamaModel.Block(block.attentionNorm(), block.qkv(),
                block.queryNorm(), block.keyNorm(), block.output(), block.feedForwardNorm(), gateUp, block.down())).toList();
        return new LlamaModel(model.config(), model.embedding(), blocks, model.norm(), model.head(), List.of());
    }

    private static Projection ordered(int k, int n, DataType type, List<AutoCloseable> owned) {
        List<Integer> rows = new ArrayList<>(IntStream.range(0, k).boxed().toList());
        Collections.shuffle(rows, new Random(k + n));
        try (QuantizedMatrix matrix = TestMatrices.layer(k, n, 32, type, true, true, 7L * n)) {
            PackedWeights packed = PackedWeights.pack(matrix, type)
                    .withInputOrder(IntBuffer.wrap(rows.stream().mapToInt(Integer::intValue).toArray()));
            owned.add(packed);
            return new Projection.Packed(packed);
        }
    }

    /** What a step costs in calls, counted; and that products fetch for one another in it. */
    @Test
    void aDecodeStepIsOneGraph() throws IOException {
        StandIn.assumeLoaded();
        new TinyLlama("llama", 24).write(folder, TensorType.F16);
        try (LlamaModel model = open(LlamaModel.Weights.QUANTIZED); Decoder decoder = decoder(model, 3, 16)) {
            Step step = Step.tokens(new int[] {0, 1, 2}, new int[3], new int[] {1, 2, 3});
            decoder.argmax(step);
            StandIn.reset();
            decoder.argmax(step);
            assertEquals(LAUNCHES_PER_BLOCK * TinyLlama.LAYERS + LAUNCHES_AROUND, StandIn.count("kernels"));
            assertEquals(1, StandIn.count("cuGraphLaunch"));
            assertEquals(0, StandIn.count("cuLaunchKernel"));
            assertEquals(1, StandIn.count("cuMemcpyHtoDAsync"));
            assertEquals(1, StandIn.count("cuMemcpyDtoHAsync"));
            assertEquals(1, StandIn.count("cuStreamSynchronize"));
            assertEquals(0, StandIn.count("cuMemAlloc"));
            // Without a head the last kernel is the last product: it fetches for the first one, q, k and v.
            decoder.logits(new Step(new int[] {0}, new int[1], new int[] {1}, new int[0]));
            assertEquals(128 * 256 / 2, StandIn.count("prefetched"));
        }
    }

    @Test
    void logitsThatAreNotNumbers() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 25);
        Arrays.fill(tiny.tensors.get("model.norm.weight"), 1e6f);      // beyond FP16: infinite activations
        tiny.write(folder, TensorType.F32);
        try (LlamaModel model = open(LlamaModel.Weights.STORED); Decoder decoder = decoder(model, 1, 16)) {
            JMarlinException e = assertThrows(JMarlinException.class, () -> decoder.argmax(Step.prompt(0, 0, new int[] {1, 2}, false)));
            assertEquals("row 1, position 1 of sequence 0: its logits are not numbers", e.getMessage());
        }
    }

    @Test
    void weightsBeyondFp16AreRefused() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 26);
        tiny.tensors.get("model.layers.1.mlp.down_proj.weight")[193] = 1e5f;
        tiny.write(folder, TensorType.F32);
        try (LlamaModel model = open(LlamaModel.Weights.STORED)) {
            IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> decoder(model, 1, 16));
            assertEquals("weight [1][1] is 100000.0 and does not fit FP16", e.getMessage());
        }
    }

    @Test
    void headsThatTheKernelsDoNotTake() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 27).config("head_dim", "12");
        for (int i = 0; i < TinyLlama.LAYERS; i++) {
            String prefix = "model.layers." + i + ".self_attn.";
            tiny.matrix(prefix + "q_proj.weight", 48, TinyLlama.HIDDEN).matrix(prefix + "k_proj.weight", 24, TinyLlama.HIDDEN)
                    .matrix(prefix + "v_proj.weight", 24, TinyLlama.HIDDEN).matrix(prefix + "o_proj.weight", TinyLlama.HIDDEN, 48);
        }
        tiny.write(folder, TensorType.F16);
        try (LlamaModel model = open(LlamaModel.Weights.STORED)) {
            IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> decoder(model, 1, 16));
            assertTrue(e.getMessage().startsWith("head size 12: "), e.getMessage());
        }
    }
}
