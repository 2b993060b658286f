package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.checkpoint.packed.ModelPacker;
import io.github.jmarlin.checkpoint.packed.PackOptions;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models from folders of every kind: what is refused, and that the kinds agree. */
final class LlamaModelTest {
    private static final DenseQuantization GROUPS_OF_32 =
            new DenseQuantization(32, true, true, DenseQuantization.USUALLY_EXCLUDED, null);
    private static final int[] TOKENS = {5, 17, 80, 3, 3, 61, 9};

    @TempDir
    Path folder;

    private static LlamaModel.Options options(LlamaModel.Weights weights, boolean inPlace) {
        return new LlamaModel.Options(weights, GROUPS_OF_32, inPlace);
    }

    private static float[] logits(Path folder, LlamaModel.Options options) throws IOException {
        try (CpuDevice device = new CpuDevice(2);
                LlamaModel model = LlamaModel.open(folder, options);
                Decoder decoder = new CpuDecoder(device, model, 1, TOKENS.length)) {
            return decoder.logits(Step.prompt(0, 0, TOKENS, true));
        }
    }

    private static double[] widened(float[] values) {
        return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
    }

    @ParameterizedTest
    @ValueSource(strings = {"model.embed_tokens.weight", "model.layers.1.input_layernorm.weight", "model.layers.0.self_attn.k_proj.weight",
        "model.layers.0.self_attn.q_proj.bias", "model.layers.1.mlp.down_proj.weight", "model.norm.weight", "lm_head.weight"})
    void missingTensor(String name) throws IOException {
        new TinyLlama("qwen2", 1).without(name).write(folder, TensorType.F32);
        JMarlinException e = assertThrows(JMarlinException.class, () -> LlamaModel.open(folder, LlamaModel.Options.STORED));
        assertEquals(folder + ": tensor " + name + ": found nothing; a qwen2 with this config.json has it", e.getMessage());
    }

    @Test
    void missingHeadNorm() throws IOException {
        new TinyLlama("qwen3", 1).without("model.layers.0.self_attn.k_norm.weight").write(folder, TensorType.F32);
        JMarlinException e = assertThrows(JMarlinException.class, () -> LlamaModel.open(folder, LlamaModel.Options.STORED));
        assertTrue(e.getMessage().contains("tensor model.layers.0.self_attn.k_norm.weight: found nothing"), e.getMessage());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "intermediate_size | 200 | STORED | tensor model.layers.0.mlp.gate_proj.weight: found shape [192, 128]; config.json asks for [200, "
                + "128]",
        "intermediate_size | 200 | QUANTIZED | layer model.layers.0.mlp.gate_proj: found k 128, n 192; config.json asks for k 128, n 200",
        "vocab_size | 97 | STORED | tensor model.embed_tokens.weight: found shape [96, 128]; config.json asks for [97, 128]",
        "num_hidden_layers | 3 | STORED | tensor model.layers.2.input_layernorm.weight: found nothing",
    })
    void contradictsTheConfiguration(String key, String value, LlamaModel.Weights weights, String message) throws IOException {
        new TinyLlama("llama", 1).config(key, value).write(folder, TensorType.F32);
        JMarlinException e = assertThrows(JMarlinException.class, () -> LlamaModel.open(folder, options(weights, true)));
        assertTrue(e.getMessage().contains(message), e.getMessage());
    }

    @ParameterizedTest
    @CsvSource({"F16, 1", "BF16, 1", "F32, 1", "F16, 126", "BF16, 127", "F32, 3"})
    void infinityAndNaN(TensorType type, int column) throws IOException {
        for (float wrong : new float[] {Float.POSITIVE_INFINITY, Float.NaN}) {
            TinyLlama tiny = new TinyLlama("llama", 1);
            tiny.tensors.get("lm_head.weight")[7 * TinyLlama.HIDDEN + column] = wrong;
            tiny.write(folder, type);
            JMarlinException e = assertThrows(JMarlinException.class, () -> LlamaModel.open(folder, LlamaModel.Options.STORED));
            assertTrue(e.getMessage().matches(".*tensor lm_head.weight, file offset \\d+: found infinity or NaN; must be finite"),
                    e.getMessage());
        }
    }

    @Test
    void integerTensor() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 1);
        TestModel model = tiny.model(TensorType.F32).remove("model.norm.weight").ints("model.norm.weight", new int[128], 128);
        model.write(folder, tiny.json());
        JMarlinException e = assertThrows(JMarlinException.class, () -> LlamaModel.open(folder, LlamaModel.Options.STORED));
        assertTrue(e.getMessage().contains("tensor model.norm.weight: found dtype I32; accepted: F16, BF16 or F32"), e.getMessage());
    }

    /** A packed model in place, one joined, and the source quantized when it is read: the same bits. */
    @ParameterizedTest
    @ValueSource(strings = {"llama", "qwen2"})
    void packedIsTheSame(String family) throws IOException {
        Path source = folder.resolve("source");
        Path packed = folder.resolve("packed");
        new TinyLlama(family, 2).write(source, TensorType.BF16);
        new ModelPacker(Checkpoint.open(source, GROUPS_OF_32), packed,
                new PackOptions(null, GROUPS_OF_32, true, false, 2, true, bytes -> { })).run();
        float[] read = logits(source, options(LlamaModel.Weights.QUANTIZED, true));
        Errors.assertSameBits(read, logits(packed, options(LlamaModel.Weights.STORED, true)), TinyLlama.VOCABULARY, "in place");
        Errors.assertSameBits(read, logits(packed, options(LlamaModel.Weights.STORED, false)), TinyLlama.VOCABULARY, "joined");
        try (LlamaModel inPlace = LlamaModel.open(packed, options(LlamaModel.Weights.STORED, true));
                LlamaModel joined = LlamaModel.open(packed, options(LlamaModel.Weights.STORED, false))) {
            assertEquals(3, inPlace.blocks().get(0).qkv().size());
            assertEquals(1, joined.blocks().get(0).qkv().size());
            assertEquals(1, joined.blocks().get(1).gateUp().size());
            assertEquals(256, joined.blocks().get(0).qkv().get(0).n());
        }
        JMarlinException e = assertThrows(JMarlinException.class,
                () -> LlamaModel.open(packed, options(LlamaModel.Weights.QUANTIZED, true)));
        assertTrue(e.getMessage().contains("--quantize: found a packed model; accepted: one that is not packed yet"), e.getMessage());
        float[] dense = logits(packed, options(LlamaModel.Weights.DENSE, true));
        Errors.assertWithin(0.02, widened(dense), read, TinyLlama.VOCABULARY, "4-bit products of 4-bit weights");
    }

    @Test
    void interleavedGateAndUp() throws IOException {
        Path source = folder.resolve("source");
        Path packed = folder.resolve("packed");
        new TinyLlama("llama", 2).write(source, TensorType.BF16);
        new ModelPacker(Checkpoint.open(source, GROUPS_OF_32), packed,
                new PackOptions(null, GROUPS_OF_32, true, true, 2, true, bytes -> { })).run();
        JMarlinException e = assertThrows(JMarlinException.class, () -> LlamaModel.open(packed, LlamaModel.Options.STORED));
        assertEquals(packed + ": layer model.layers.0.mlp.gate_up_proj: found gate and up in one layer, their columns in turn; accepted: "
                + "two layers, as jmarlin pack without --interleave-gate-up writes them", e.getMessage());
    }

    /** An act-ordered GPTQ layer among others: what its rows meet is gathered, also in fp32. */
    @Test
    void gptqInActOrder() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 3).config("quantization_config",
                "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 32, \"desc_act\": true, \"sym\": true}");
        TestModel model = tiny.model(TensorType.F16);
        List<Integer> groups = new ArrayList<>(IntStream.range(0, 128).mapToObj(i -> i / 32).toList());
        Collections.shuffle(groups, new Random(1));
        int[] order = groups.stream().mapToInt(Integer::intValue).toArray();
        for (String name : List.of("q_proj", "k_proj", "v_proj")) {
            String layer = "model.layers.0.self_attn." + name;
            int n = name.equals("q_proj") ? 128 : 64;
            model.remove(layer + ".weight").gptqLayer(layer, 128, n, 32, TestModel.repeat(0x77777777, 4 * n / 8), n)
                    .ints(layer + ".g_idx", order, 128);
        }
        model.write(folder, tiny.json());
        try (LlamaModel opened = LlamaModel.open(folder, LlamaModel.Options.STORED)) {
            assertEquals(1, opened.blocks().get(0).qkv().size(), "of one input order");
            assertEquals(3, opened.blocks().get(1).qkv().size(), "in full precision");
            assertTrue(((Projection.Packed) opened.blocks().get(0).qkv().get(0)).weights().hasInputOrder());
        }
        float[] dense = logits(folder, options(LlamaModel.Weights.DENSE, true));
        Errors.assertWithin(0.02, widened(dense), logits(folder, LlamaModel.Options.STORED), TinyLlama.VOCABULARY, "act order");
    }

    @Test
    void joinedWeightsAreThePartsBesideEachOther() {
        try (QuantizedMatrix a = TestMatrices.random(96, 128, 32, DataType.FP16, true, true, 1);
                QuantizedMatrix b = TestMatrices.random(96, 64, 32, DataType.FP16, true, false, 2);
                QuantizedMatrix c = TestMatrices.random(96, 40, 32, DataType.FP16, true, true, 3);
                PackedWeights packedA = PackedWeights.pack(a, DataType.FP16);
                PackedWeights packedB = PackedWeights.pack(b, DataType.FP16);
                PackedWeights packedC = PackedWeights.pack(c, DataType.FP16)) {
            assertTrue(JoinedWeights.fit(List.of(packedA, packedB, packedC)));
            try (PackedWeights joined = JoinedWeights.join(List.of(packedA, packedB, packedC)); QuantizedMatrix whole = joined.unpack()) {
                assertEquals(232, whole.n());
                int at = 0;
                for (QuantizedMatrix part : List.of(a, b, c)) {
                    for (int column = 0; column < part.n(); column++) {
                        assertEquals(part.bias(column), whole.bias(at + column));
                        for (int row = 0; row < 96; row++) {
                            assertEquals(part.code(row, column), whole.code(row, at + column));
                        }
                        for (int group = 0; group < 3; group++) {
                            assertEquals(part.scaleBits(group, column), whole.scaleBits(group, at + column));
                            assertEquals(part.zeroPoint(group, column), whole.zeroPoint(group, at + column));
                        }
                    }
                    at += part.n();
                }
            }
        }
    }

    @Test
    void whatCannotBeJoined() {
        PackedWeights whole = packed(96, 64, 32, DataType.FP16, false);
        assertTrue(JoinedWeights.fit(List.of(whole, packed(96, 20, 32, DataType.FP16, false))));
        assertTrue(!JoinedWeights.fit(List.of(packed(96, 20, 32, DataType.FP16, false), whole)), "no whole strips");
        assertTrue(!JoinedWeights.fit(List.of(whole, packed(128, 64, 32, DataType.FP16, false))), "another k");
        assertTrue(!JoinedWeights.fit(List.of(whole, packed(96, 64, 64, DataType.FP16, false))), "another group size");
        assertTrue(!JoinedWeights.fit(List.of(whole, packed(96, 64, 32, DataType.BF16, false))), "another type");
        assertTrue(!JoinedWeights.fit(List.of(whole, packed(96, 64, 32, DataType.FP16, true))), "zero points");
        int[] order = IntStream.range(0, 96).map(i -> 95 - i).toArray();
        assertTrue(!JoinedWeights.fit(List.of(whole, packed(96, 64, 32, DataType.FP16, false).withInputOrder(IntBuffer.wrap(order)))),
                "another input order");
    }

    private static PackedWeights packed(int k, int n, int group, DataType type, boolean zeroPoints) {
        try (QuantizedMatrix matrix = TestMatrices.random(k, n, group, type, zeroPoints, false, 4)) {
            return PackedWeights.pack(matrix, type);
        }
    }
}
