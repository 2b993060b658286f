package io.github.jmarlin.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.jmarlin.checkpoint.Fixtures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the bytes decide is read, whatever the words around them say. */
final class RepositoryBytesTest {
    private static final String ZEROS = Repository.LAYER + ".qzeros";

    @TempDir
    Path folder;

    private Path model;
    private Path target;

    @BeforeEach
    void paths() {
        model = folder.resolve("model");
        target = folder.resolve("packed");
    }

    private ObjectNode quantization(ObjectNode config) {
        return (ObjectNode) config.get("quantization_config");
    }

    /** The zero points of a v2 file as a v1 writer stores them: minus 1 from the whole word. */
    private void asVersion1(String quantizer) throws IOException {
        Fixtures.copy("gptq_v2_asym_g64", model);
        Files.deleteIfExists(model.resolve("quantize_config.json"));
        Repository.words(model.resolve("model.safetensors"), ZEROS, word -> word - 0x11111111);
        Repository.config(model, config -> {
            ObjectNode quantization = quantization(config).put("checkpoint_format", "gptq").put("format", "gptq");
            try {
                ((ObjectNode) quantization.get("meta")).set("quantizer", Repository.JSON.readTree(quantizer));
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        });
    }

    /** optimum puts itself before the tool that packed. */
    @ParameterizedTest
    @ValueSource(strings = {"[\"optimum:1.23.3\",\"gptqmodel:1.4.5\"]", "[\"gptqmodel:1.4.5\",\"optimum:1.23.3\"]", "\"gptqmodel:0.9.0\"",
        "[\"a:1\",\"b\",\"gptqmodel:7.3.4-dev+cu128\"]"})
    void theWriterMayStandAnywhereInTheList(String quantizer) throws IOException {
        asVersion1(quantizer);
        Repository.assertPacksTo("gptq_v2_asym_g64", model, target);
    }

    @ParameterizedTest
    @ValueSource(strings = {"[\"optimum:1.23.3\"]", "[\"optimum:1.23.3\",\"gptqmodel:0.8.7\"]", "\"auto_gptq:0.7.1\""})
    void otherWritersStayRefused(String quantizer) throws IOException {
        asVersion1(quantizer);
        Repository.assertRefused(target, 1, new String[] {"pack", model.toString(), target.toString()}, ZEROS, "gptqmodel >= 0.9.0");
    }

    /** Zero points stored as 8 in a file that says v1: an official model (vllm#38966), and the other way round. */
    @ParameterizedTest
    @CsvSource({"gptq_v1_sym_g128, gptq", "gptq_v1_sym_channel, gptq", "gptq_v1_desc_act_g32, gptq", "odd_shape_gptq, gptq"})
    void symmetricWordsSayThemselvesWhatTheyAre(String fixture, String format) throws IOException {
        Fixtures.copy(fixture, model);
        Repository.words(model.resolve("model.safetensors"), ZEROS, word -> 0x88888888);
        Repository.assertPacksTo(fixture, model, target);
        Files.deleteIfExists(model.resolve("quantize_config.json"));
        Repository.words(model.resolve("model.safetensors"), ZEROS, word -> 0x77777777);
        Repository.config(model, config -> quantization(config).put("checkpoint_format", "gptq_v2"));
        Repository.assertPacksTo(fixture, model, folder.resolve("again"));
    }

    /** AutoRound packs as AutoGPTQ or AutoAWQ do, and says as which (transformers#37393). */
    @ParameterizedTest
    @CsvSource({"gptq_v1_sym_g128, auto-round, auto_round:auto_gptq", "awq_gemm_g64, auto-round, auto_round:auto_awq",
        "gptq_v1_sym_channel, intel/auto-round, auto_gptq", "odd_shape_gptq, auto-round, auto_round:gptq",
        "awq_gemm_g128, auto-round, auto_awq"})
    void autoRound(String fixture, String method, String packing) throws IOException {
        Fixtures.copy(fixture, model);
        Files.deleteIfExists(model.resolve("quantize_config.json"));
        Repository.config(model, config -> {
            ObjectNode old = quantization(config);
            ObjectNode now = config.putObject("quantization_config").put("quant_method", method).put("packing_format", packing)
                    .put("bits", 4).put("data_type", "int").put("iters", 200).put("autoround_version", "0.5.1")
                    .put("sym", fixture.contains("sym")).put("block_name_to_quantize", "model.layers");
            now.set("group_size", old.get("group_size"));
            now.putObject("extra_config").putObject("lm_head").put("bits", 16).put("data_type", "float");
        });
        Repository.assertPacksTo(fixture, model, target);
    }

    @Test
    void autoRoundWithZeroPointsOfNoKnownConvention() throws IOException {
        Fixtures.copy("gptq_v2_asym_g64", model);
        Files.deleteIfExists(model.resolve("quantize_config.json"));
        Repository.config(model, config -> config.putObject("quantization_config").put("quant_method", "auto-round").put("bits", 4)
                .put("packing_format", "auto_round:gptq").put("group_size", 64).put("sym", false));
        Repository.assertRefused(target, 1, new String[] {"pack", model.toString(), target.toString()}, "zero points other than 8");
    }

    @Test
    void autoRoundInOtherPackings() throws IOException {
        Fixtures.copy("gptq_v1_sym_g128", model);
        Files.deleteIfExists(model.resolve("quantize_config.json"));
        Repository.config(model, config -> config.putObject("quantization_config").put("quant_method", "auto-round").put("bits", 4)
                .put("packing_format", "auto_round:llm_compressor").put("group_size", 128));
        Repository.assertRefused(target, 1, new String[] {"pack", model.toString(), target.toString()},
                "packing_format: found auto_round:llm_compressor");
    }
}
