package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Quantized tensors that nobody claims are never silent: inspect lists them, pack names them, verify fails. */
final class RepositoryUnclaimedTest {
    @TempDir
    Path folder;

    private Path model;
    private Path target;

    @BeforeEach
    void paths() {
        model = folder.resolve("model");
        target = folder.resolve("packed");
    }

    private static TestModel base() {
        return new TestModel().floats("model.embed_tokens.weight", TensorType.F16, new float[64 * 32], 64, 32)
                .floats("model.norm.weight", TensorType.F16, new float[32], 32);
    }

    /** inspect lists with exit code 3, pack and verify say one line why. */
    private void assertNothingRuns(String module, String why) {
        Cli inspected = Cli.run("inspect", model.toString());
        assertEquals(3, inspected.status(), inspected.toString());
        assertTrue(inspected.out().contains(module) && inspected.out().contains(why), inspected.toString());
        Repository.assertRefused(target, 1, new String[] {"pack", model.toString(), target.toString()}, why);
        Cli verified = Cli.run("verify", model.toString(), "--device", "cpu");
        assertEquals(1, verified.status(), verified.toString());
        assertTrue((verified.out() + verified.err()).contains(why), verified.toString());
    }

    /** MLX's bits and group_size look like GPTQ's (openvino.genai#1933). */
    @Test
    void mlxOfAnotherWidth() throws IOException {
        TestModel tensors = base();
        for (int layer = 0; layer < 3; layer++) {
            String name = "model.layers." + layer + ".self_attn.q_proj";
            tensors.add(name + ".weight", TensorType.U32, TestModel.buffer(64 * 12 * 4), 64, 12)
                    .floats(name + ".scales", TensorType.BF16, new float[64], 64, 1)
                    .floats(name + ".biases", TensorType.BF16, new float[64], 64, 1);
        }
        tensors.write(model, "{\"model_type\":\"qwen3\",\"quantization\":{\"group_size\":64,\"bits\":6},"
                + "\"quantization_config\":{\"group_size\":64,\"bits\":6}}");
        assertNothingRuns("model.layers.*.self_attn.q_proj   3", "bits 6; accepted: 4 or 8 bits");
        assertFalse(Cli.run("inspect", model.toString()).out().contains("GPTQ"));
    }

    /** A compressed-tensors model of 8-bit floats is not pack-quantized (sglang#2935). */
    @Test
    void fp8() throws IOException {
        base().add("model.layers.0.mlp.up_proj.weight", TensorType.F8_E4M3, TestModel.buffer(64 * 32), 64, 32)
                .floats("model.layers.0.mlp.up_proj.weight_scale", TensorType.F32, new float[64], 64, 1)
                .write(model, TestModel.quantization("{\"quant_method\":\"compressed-tensors\",\"format\":\"float-quantized\","
                        + "\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":8,\"type\":\"float\"}}}}"));
        assertNothingRuns("model.layers.0.mlp.up_proj", "8-bit floats are not read");
        String out = Cli.run("inspect", model.toString()).out();
        assertTrue(out.contains("compressed-tensors float-quantized") && !out.contains("pack-quantized"), out);
    }

    /** Quantized tensors and nothing that says how (AutoGPTQ#462: called full precision, exit code 0). */
    @ParameterizedTest
    @ValueSource(strings = {"gptq_v2_asym_g64", "awq_gemm_g64", "ct_pack_asym_g32", "marlin_channel"})
    void noConfiguration(String fixture) throws IOException {
        Fixtures.copy(fixture, model);
        Files.deleteIfExists(model.resolve("config.json"));
        Files.deleteIfExists(model.resolve("quantize_config.json"));
        assertNothingRuns(Repository.LAYER, "no configuration says how they are stored");
    }

    @Test
    void mxfp4AndBitsandbytes() throws IOException {
        base().add("model.layers.0.mlp.experts.gate_up_proj_blocks", TensorType.U8, TestModel.buffer(2 * 64 * 1 * 16), 2, 64, 1, 16)
                .add("model.layers.0.mlp.experts.gate_up_proj_scales", TensorType.U8, TestModel.buffer(2 * 64), 2, 64, 1)
                .write(model, "{\"model_type\":\"gpt_oss\",\"quantization_config\":{\"quant_method\":\"mxfp4\"}}");
        assertNothingRuns("model.layers.0.mlp.experts", "fused experts: a stack of 2 matrices");
        base().add("model.layers.0.mlp.up_proj.weight", TensorType.U8, TestModel.buffer(1024), 1024, 1)
                .floats("model.layers.0.mlp.up_proj.weight.absmax", TensorType.F32, new float[32], 32)
                .write(model, TestModel.quantization("{\"load_in_4bit\":true,\"bnb_4bit_quant_type\":\"nf4\"}"));
        assertNothingRuns("model.layers.0.mlp.up_proj", "found bitsandbytes");
    }

    /** A layer whose codes are missing used to vanish (mlx-vlm#1827). */
    @ParameterizedTest
    @ValueSource(strings = {"qweight", "qzeros"})
    void aLayerWithoutItsCodes(String missing) throws IOException {
        Fixtures.copy("sharded_gptq", model);
        Files.delete(model.resolve("model.safetensors.index.json"));
        Files.move(model.resolve("model-00001-of-00002.safetensors"), model.resolve("a.safetensors"));
        Files.delete(model.resolve("model-00002-of-00002.safetensors"));
        new TestModel().gptqLayer("model.layers.0.self_attn.k_proj", 256, 64, 128, TestModel.repeat(0x77777777, 16), 1)
                .remove("model.layers.0.self_attn.k_proj." + missing).writeFile(model.resolve("b.safetensors"));
        Cli inspected = Cli.run("inspect", model.toString());
        assertEquals(0, inspected.status(), inspected.toString());
        assertTrue(inspected.out().contains("1 of 2 can run"), inspected.toString());
        Cli packed = Cli.run("pack", model.toString(), target.toString());
        Cli verified = Cli.run("verify", model.toString(), "--device", "cpu");
        assertEquals(1, verified.status(), verified.toString());
        if (missing.equals("qweight")) {
            assertTrue(packed.out().contains("model.layers.0.self_attn.k_proj: qzeros I32 [2, 8], scales F16 [2, 64]: "
                    + "model.layers.0.self_attn.k_proj.qweight is missing"), packed.toString());
            assertEquals(1, Cli.run("verify", target.toString(), "--device", "cpu").status());
            assertEquals(1, Cli.run("pack", "--strict", model.toString(), folder.resolve("strict").toString()).status());
            assertTrue(Files.notExists(folder.resolve("strict")));
        } else {
            assertEquals(1, packed.status(), "a broken layer is no layer to carry over: " + packed);
            assertTrue(Files.notExists(target), "nothing is written");
        }
    }

    @Test
    void causalMasksAreNoWeights() throws IOException {
        Fixtures.copy("gptq_v1_sym_g128", model);
        Files.move(model.resolve("model.safetensors"), model.resolve("a.safetensors"));
        new TestModel().add("h.0.attn.bias", TensorType.U8, TestModel.buffer(16), 1, 1, 4, 4)
                .longs("position_ids", new long[4], 1, 4).writeFile(model.resolve("b.safetensors"));
        Repository.assertPacksTo("gptq_v1_sym_g128", model, target);
    }
}
