package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The layouts of current releases, rebuilt as small as they go: names, types, files and configuration as in the public repositories,
 * extents not. docs/checkpoints.md says in a table what happens to each.
 */
final class RepositoryRoundTest {
    private static final int K = 128;
    private static final int N = 64;

    @TempDir
    Path folder;

    private Path model;
    private Path target;
    private TestModel tensors;

    @BeforeEach
    void paths() throws IOException {
        model = Files.createDirectories(folder.resolve("model"));
        target = folder.resolve("packed");
        tensors = new TestModel();
    }

    private void bf16(String name, int... shape) {
        float[] values = new float[Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        Random random = new Random(name.hashCode());
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        tensors.floats(name, TensorType.BF16, values, Arrays.stream(shape).asLongStream().toArray());
    }

    private void compressed(String layer, int groupSize) {
        Random random = new Random(layer.hashCode());
        tensors.ints(layer + ".weight_packed", random.ints(N * K / 8).toArray(), N, K / 8);
        bf16(layer + ".weight_scale", N, K / groupSize);
        tensors.longs(layer + ".weight_shape", new long[] {N, K}, 2);
    }

    private void awq(String layer, int groupSize) {
        Random random = new Random(layer.hashCode());
        tensors.ints(layer + ".qweight", random.ints(K * N / 8).toArray(), K, N / 8)
                .ints(layer + ".qzeros", random.ints(K / groupSize * N / 8).toArray(), K / groupSize, N / 8);
        float[] scales = new float[K / groupSize * N];
        Arrays.fill(scales, 0.01f);
        tensors.floats(layer + ".scales", TensorType.F16, scales, K / groupSize, N);
    }

    /** Bytes below {@code end}. */
    private static ByteBuffer bytes(int count, int end) {
        ByteBuffer bytes = TestModel.buffer(count);
        for (int i = 0; i < count; i++) {
            bytes.put(i, (byte) (i * 37L % end));
        }
        return bytes;
    }

    private void fp8(String layer, String scale) {
        tensors.add(layer + ".weight", TensorType.F8_E4M3, TestModel.buffer(N * K), N, K);
        tensors.floats(layer + "." + scale, TensorType.F32, new float[] {1}, 1, 1);
    }

    private void write(String config) throws IOException {
        tensors.write(model, config);
    }

    private void expect(int inspect, int pack, int verify, String... shown) {
        Cli inspected = Cli.run("inspect", model.toString());
        assertEquals(inspect, inspected.status(), inspected.toString());
        for (String text : shown) {
            assertTrue(inspected.out().contains(text), text + " expected in " + inspected.out());
        }
        Cli packed = Cli.run("pack", model.toString(), target.toString());
        assertEquals(pack, packed.status(), packed.toString());
        assertEquals(pack == 0, Files.exists(target), "written only if packed");
        assertTrue(packed.err().lines().count() <= 1, packed.err());
        Cli verified = Cli.run("verify", (pack == 0 ? target : model).toString(), "--device", "cpu");
        assertEquals(verify, verified.status(), verified.toString());
    }

    private List<String> packedLayers() throws IOException {
        return List.copyOf(PackedModel.open(target).layers().keySet());
    }

    /** Qwen3-30B-A3B-GPTQ-Int4 and Qwen3.5-27B-GPTQ-Int4: routers in 16 bits, zero points stored as 8 in v1. */
    @Test
    void qwen3Gptq() throws IOException {
        String block = "model.layers.0.";
        bf16("model.embed_tokens.weight", 256, K);
        for (int expert = 0; expert < 3; expert++) {
            tensors.gptqLayer(block + "mlp.experts." + expert + ".gate_proj", K, N, 128, TestModel.repeat(0x88888888, N / 8), expert);
        }
        tensors.gptqLayer(block + "self_attn.q_proj", K, N, 128, TestModel.repeat(0x77777777, N / 8), 9);
        bf16(block + "mlp.gate.weight", 3, K);
        bf16(block + "input_layernorm.weight", K);
        write("{\"architectures\":[\"Qwen3MoeForCausalLM\"],\"model_type\":\"qwen3_moe\",\"vocab_size\":256,\"rope_scaling\":null,"
                + "\"quantization_config\":{\"bits\":4,\"checkpoint_format\":\"gptq\",\"desc_act\":false,\"group_size\":128,"
                + "\"hyb_act\":false,\"lm_head\":false,\"meta\":{\"quantizer\":[\"gptqmodel:2.2.0\"]},\"pack_dtype\":\"int32\","
                + "\"quant_method\":\"gptq\",\"static_groups\":false,\"sym\":true,\"true_sequential\":true,"
                + "\"dynamic\":{\"-:.*mlp\\\\.gate$\":{},\"-:lm_head\":{}}}}");
        expect(0, 0, 0, "4 of 4 can run", "model.layers.0.mlp.experts.*.gate_proj   3");
    }

    /** Llama-4-Scout-17B-16E-Instruct w4a16 from llm-compressor: experts unfused, vision tower and routers in 16 bits. */
    @Test
    void llama4CompressedTensors() throws IOException {
        String block = "language_model.model.layers.0.";
        bf16("vision_model.model.layers.0.self_attn.q_proj.weight", N, K);
        bf16("multi_modal_projector.linear_1.weight", N, K);
        bf16(block + "feed_forward.router.weight", 16, K);
        compressed(block + "feed_forward.experts.0.up_proj", 128);
        compressed(block + "feed_forward.shared_expert.down_proj", 128);
        compressed(block + "self_attn.o_proj", 128);
        write("{\"model_type\":\"llama4\",\"text_config\":{\"model_type\":\"llama4_text\",\"vocab_size\":202048},\"vision_config\":{},"
                + "\"quantization_config\":" + w4a16(128, "\"ignore\":[\"re:.*lm_head\",\"re:vision_model.*\",\"re:.*router\"]") + "}");
        expect(0, 0, 0, "3 of 3 can run", "part of another tower");
    }

    /** Kimi-K2.5: routed experts only, groups of 32, the configuration in text_config, shards counted to 64. */
    @Test
    void kimi() throws IOException {
        String block = "language_model.model.layers.1.";
        bf16(block + "self_attn.q_a_proj.weight", N, K);
        bf16(block + "mlp.gate.weight", 4, K);
        bf16(block + "mlp.shared_experts.up_proj.weight", N, K);
        bf16("vision_tower.encoder.blocks.0.mlp.fc0.weight", N, K);
        for (int expert = 0; expert < 4; expert++) {
            compressed(block + "mlp.experts." + expert + ".up_proj", 32);
        }
        write("{\"model_type\":\"kimi_k25\",\"text_config\":{\"model_type\":\"kimi_k2\",\"vocab_size\":163840,\"quantization_config\":"
                + w4a16(32, "\"ignore\":[\"lm_head\",\"re:.*self_attn.*\",\"re:.*shared_experts.*\"]") + "},\"vision_config\":{}}");
        expect(0, 0, 0, "config.json: text_config.quantization_config", "mlp.experts.*.up_proj");
        assertEquals(4, packedLayers().size());
    }

    /** GLM-4.6-AWQ: AutoAWQ's format with a list of what stays. */
    @Test
    void glmAwq() throws IOException {
        awq("model.layers.3.mlp.experts.7.down_proj", 64);
        awq("model.layers.3.self_attn.q_proj", 64);
        bf16("model.layers.3.mlp.gate.weight", 8, K);
        bf16("model.layers.92.eh_proj.weight", N, K);
        write("{\"model_type\":\"glm4_moe\",\"vocab_size\":151552,\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,"
                + "\"group_size\":64,\"version\":\"gemm\",\"zero_point\":true,"
                + "\"modules_to_not_convert\":[\"embed_tokens\",\"shared_experts\",\"model.layers.0.\",\"mlp.gate\",\"lm_head\"]}}");
        expect(0, 0, 0, "2 of 2 can run");
    }

    /** Ministral and Mistral Small in FP8: twice in the folder, and nothing of it 4-bit. */
    @Test
    void mistralFp8() throws IOException {
        fp8("model.language_model.layers.0.self_attn.q_proj", "weight_scale_inv");
        tensors.writeFile(model.resolve("model-00001-of-00001.safetensors"));
        Files.writeString(model.resolve("model.safetensors.index.json"), "{\"metadata\":{\"total_size\":8.2e3},\"weight_map\":{"
                + "\"model.language_model.layers.0.self_attn.q_proj.weight\":\"model-00001-of-00001.safetensors\","
                + "\"model.language_model.layers.0.self_attn.q_proj.weight_scale_inv\":\"model-00001-of-00001.safetensors\"}}");
        new TestModel().add("layers.0.attention.wq.weight", TensorType.F8_E4M3, TestModel.buffer(4), 2, 2)
                .writeFile(model.resolve("consolidated.safetensors"));
        Files.writeString(model.resolve("params.json"), "{\"quantization\":{\"qformat_weight\":\"fp8_e4m3\"}}");
        Files.writeString(model.resolve("config.json"), "{\"model_type\":\"mistral3\",\"text_config\":{\"model_type\":\"ministral3\"},"
                + "\"quantization_config\":{\"activation_scheme\":\"static\",\"quant_method\":\"fp8\",\"weight_block_size\":null,"
                + "\"modules_to_not_convert\":[\"model.vision_tower\",\"lm_head\"]}}");
        expect(3, 1, 1, "0 of 1 can run", "8-bit floats are not read", "consolidated.safetensors: not named by");
    }

    /** Gemma 3 in bf16: packed only with --quantize, and only the language model. */
    @Test
    void gemma3() throws IOException {
        String block = "language_model.model.layers.0.";
        bf16("language_model.model.embed_tokens.weight", 256, K);
        bf16(block + "mlp.gate_proj.weight", N, K);
        bf16(block + "self_attn.q_norm.weight", K);
        bf16("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight", N, K);
        bf16("multi_modal_projector.mm_input_projection_weight", K, N);
        write("{\"model_type\":\"gemma3\",\"text_config\":{\"model_type\":\"gemma3_text\",\"vocab_size\":256},\"vision_config\":{}}");
        expect(0, 1, 1, "1 of 1 can run", "yes, quantized when read", "part of another tower");
        assertEquals(0, Cli.run("pack", "--quantize", model.toString(), target.toString()).status());
        assertEquals(List.of(block + "mlp.gate_proj"), packedLayers());
        assertEquals(0, Cli.run("verify", target.toString(), "--device", "cpu").status());
    }

    /** gpt-oss-20b: experts in MXFP4 blocks, everything else in bf16. */
    @Test
    void gptOss() throws IOException {
        String experts = "model.layers.0.mlp.experts.";
        tensors.add(experts + "gate_up_proj_blocks", TensorType.U8, TestModel.buffer(2 * N * 4 * 16), 2, N, 4, 16)
                .add(experts + "gate_up_proj_scales", TensorType.U8, TestModel.buffer(2 * N * 4), 2, N, 4);
        bf16(experts + "gate_up_proj_bias", 2, N);
        bf16("model.layers.0.self_attn.q_proj.weight", N, K);
        bf16("model.layers.0.mlp.router.weight", 2, K);
        write("{\"model_type\":\"gpt_oss\",\"quantization_config\":{\"modules_to_not_convert\":[\"model.layers.*.self_attn\","
                + "\"model.layers.*.mlp.router\",\"model.embed_tokens\",\"lm_head\"],\"quant_method\":\"mxfp4\"}}");
        expect(0, 1, 1, "MXFP4 blocks", "no: ", "fused experts: a stack of 2 matrices, shape [2, 64, 4, 16]", "yes, quantized when read");
    }

    /** Nemotron-3-Nano-30B-A3B-NVFP4 from ModelOpt: two files say so. */
    @Test
    void nemotronNvfp4() throws IOException {
        String layer = "backbone.layers.1.mixer.experts.0.up_proj";
        tensors.add(layer + ".weight", TensorType.U8, bytes(N * K / 2, 256), N, K / 2)
                .add(layer + ".weight_scale", TensorType.F8_E4M3, bytes(N * K / 16, 127), N, K / 16)
                .floats(layer + ".weight_scale_2", TensorType.F32, new float[] {0.001f}, new long[0])
                .floats(layer + ".input_scale", TensorType.F32, new float[] {1}, new long[0]);
        fp8("backbone.layers.1.mixer.in_proj", "weight_scale");
        write("{\"model_type\":\"nemotron_h\",\"time_step_limit\":[0.0,Infinity],\"quantization_config\":{\"quant_method\":\"modelopt\","
                + "\"quant_algo\":\"NVFP4\",\"group_size\":16}}");
        Files.writeString(model.resolve("hf_quant_config.json"), "{\"producer\":{\"name\":\"modelopt\"},\"quantization\":"
                + "{\"quant_algo\":\"NVFP4\",\"kv_cache_quant_algo\":\"FP8\",\"group_size\":16,\"exclude_modules\":[\"lm_head\"]}}");
        expect(0, 0, 1, "ModelOpt NVFP4, input_scale not used", "1 of 2 can run", "8-bit floats are not read",
                "config.json: quantization_config, and hf_quant_config.json: quantization");
    }

    /** Phi-4 from AutoRound: fused projections, settings in two files. */
    @Test
    void phi4AutoRound() throws IOException {
        for (String layer : new String[] {"self_attn.qkv_proj", "mlp.gate_up_proj"}) {
            tensors.gptqLayer("model.layers.0." + layer, K, N, 128, TestModel.repeat(0x77777777, N / 8), 5);
        }
        bf16("lm_head.weight", 256, K);
        String quantization = "{\"bits\":4,\"group_size\":128,\"sym\":true,\"data_type\":\"int\",\"autoround_version\":\"0.4.6\","
                + "\"block_name_to_quantize\":\"model.layers\",\"quant_method\":\"auto-round\","
                + "\"packing_format\":\"auto_round:auto_gptq\"}";
        write("{\"model_type\":\"phi3\",\"vocab_size\":256,\"quantization_config\":" + quantization + "}");
        Files.writeString(model.resolve("quantization_config.json"), quantization);
        expect(0, 0, 0, "2 of 2 can run", "and quantization_config.json");
    }

    /** DeepSeek-V3.1 and R1 as released: FP8 in blocks of 128 x 128. */
    @Test
    void deepSeekFp8() throws IOException {
        fp8("model.layers.0.self_attn.q_a_proj", "weight_scale_inv");
        bf16("model.layers.0.mlp.gate.weight", 8, K);
        write("{\"model_type\":\"deepseek_v3\",\"quantization_config\":{\"activation_scheme\":\"dynamic\",\"fmt\":\"e4m3\","
                + "\"quant_method\":\"fp8\",\"scale_fmt\":\"ue8m0\",\"weight_block_size\":[128,128]}}");
        expect(3, 1, 1, "found fp8; accepted: ", "8-bit floats are not read");
    }

    /** DeepSeek-V4-Flash-NVFP4-FP8 from llm-compressor: a format for each group of layers, one of them ours. */
    @Test
    void deepSeekMixedPrecision() throws IOException {
        fp8("layers.0.attn.wq_b", "weight_scale");
        String expert = "layers.0.ffn.experts.0.up_proj";
        tensors.add(expert + ".weight_packed", TensorType.U8, bytes(N * K / 2, 256), N, K / 2)
                .add(expert + ".weight_scale", TensorType.F8_E4M3, bytes(N * K / 16, 127), N, K / 16)
                .floats(expert + ".weight_global_scale", TensorType.F32, new float[] {1000}, 1);
        write("{\"model_type\":\"deepseek_v4\",\"quantization_config\":{\"quant_method\":\"compressed-tensors\","
                + "\"format\":\"mixed-precision\",\"sparsity_config\":{},\"transform_config\":{},\"ignore\":[],\"config_groups\":{"
                + "\"group_0\":{\"format\":\"float-quantized\",\"targets\":[\"re:.*attn.*\"],"
                + "\"weights\":{\"num_bits\":8,\"type\":\"float\"}},"
                + "\"group_1\":{\"format\":\"nvfp4-pack-quantized\",\"targets\":[\"re:.*ffn.*\"],\"weights\":{\"num_bits\":4,"
                + "\"type\":\"float\",\"group_size\":16,\"strategy\":\"tensor_group\"}}}}}");
        expect(0, 0, 1, "compressed-tensors nvfp4-pack-quantized", "1 of 2 can run", "8-bit floats are not read");
    }

    /** Qwen3.5-397B-A17B in bf16: experts fused by transformers 5, linear attention beside the other. */
    @Test
    void qwen35Dense() throws IOException {
        String block = "model.language_model.layers.0.";
        bf16(block + "mlp.experts.gate_up_proj", 4, 2 * N, K);
        bf16(block + "mlp.gate.weight", 4, K);
        bf16(block + "linear_attn.in_proj_qkv.weight", N, K);
        bf16(block + "linear_attn.conv1d.weight", N, 1, 4);
        bf16(block + "linear_attn.in_proj_a.weight", 16, K);
        write("{\"model_type\":\"qwen3_5_moe\",\"text_config\":{\"model_type\":\"qwen3_5_moe_text\",\"vocab_size\":248320}}");
        expect(0, 1, 1, "fused experts: a stack of 4 matrices", "a convolution: 3 dimensions",
                "not among the linear layers of qwen3_5_moe");
        assertEquals(0, Cli.run("pack", "--quantize", model.toString(), target.toString()).status());
        assertEquals(List.of(block + "linear_attn.in_proj_qkv"), packedLayers());
    }

    private static String w4a16(int groupSize, String ignore) {
        return "{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"quantization_status\":\"compressed\","
                + "\"kv_cache_scheme\":null,\"global_compression_ratio\":null," + ignore + ",\"config_groups\":{\"group_0\":{"
                + "\"input_activations\":null,\"output_activations\":null,\"targets\":[\"Linear\"],\"weights\":{\"actorder\":null,"
                + "\"block_structure\":null,\"dynamic\":false,\"group_size\":" + groupSize + ",\"num_bits\":4,\"observer\":\"minmax\","
                + "\"strategy\":\"group\",\"symmetric\":true,\"type\":\"int\"}}}}";
    }
}
