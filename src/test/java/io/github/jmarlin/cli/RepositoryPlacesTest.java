package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.TestModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where a model says how it is quantized: sections, other names, other files; and what happens where two places differ. */
final class RepositoryPlacesTest {
    @TempDir
    Path folder;

    private Path model;
    private Path target;

    @BeforeEach
    void paths() {
        model = folder.resolve("model");
        target = folder.resolve("packed");
    }

    private void copy(String fixture) throws IOException {
        Fixtures.copy(fixture, model);
        Files.deleteIfExists(model.resolve("quantize_config.json"));
    }

    private void assertPlace(String place) {
        Cli inspected = Cli.run("inspect", model.toString());
        assertTrue(inspected.out().contains(place), place + " expected in " + inspected.out());
    }

    /** Models of text and pictures keep the language model's configuration in a section (Kimi-K2.5; aiconfigurator#454). */
    @ParameterizedTest
    @CsvSource({"ct_pack_sym_g128, text_config, ''", "awq_gemm_g64, llm_config, ''", "gptq_v1_desc_act_g32, thinker_config, text_config",
        "marlin_channel, language_config, ''", "ct_pack_asym_g32, text_config, ''"})
    void sections(String fixture, String section, String inner) throws IOException {
        copy(fixture);
        Repository.config(model, config -> {
            JsonNode quantization = config.remove("quantization_config");
            ObjectNode at = config.putObject(section);
            (inner.isEmpty() ? at : at.putObject(inner)).set("quantization_config", quantization);
            config.putObject("vision_config").putObject("quantization_config").put("quant_method", "fp8");
        });
        Repository.assertPacksTo(fixture, model, target);
        assertPlace("config.json: " + section + (inner.isEmpty() ? "" : "." + inner) + ".quantization_config");
    }

    @ParameterizedTest
    @CsvSource({"awq_gemm_g64, quant_config.json, awq", "gptq_v1_sym_g128, quantize_config.json, gptq",
        "gptq_v1_sym_channel, quantization_config.json, gptq", "awq_gemm_g128, quantization_config.json, awq"})
    void filesOfTheirOwn(String fixture, String file, String method) throws IOException {
        copy(fixture);
        Repository.config(model, config -> {
            ObjectNode quantization = (ObjectNode) config.remove("quantization_config");
            if (file.startsWith("quanti") && !file.startsWith("quantize")) {
                quantization.put("quant_method", method);
            } else {
                quantization.remove("quant_method");
            }
            try {
                Repository.JSON.writeValue(model.resolve(file).toFile(), quantization);
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        });
        Repository.assertPacksTo(fixture, model, target);
        assertPlace(file);
    }

    @ParameterizedTest
    @CsvSource({"ct_pack_asym_g32, compression_config, ''", "ct_pack_sym_g128, quantization_config, quantization_config",
        "ct_pack_sym_channel, compression_config, quantization_config"})
    void olderNames(String fixture, String outer, String inner) throws IOException {
        copy(fixture);
        Repository.config(model, config -> {
            ObjectNode quantization = (ObjectNode) config.remove("quantization_config");
            ObjectNode at = config.putObject(outer);
            if (inner.isEmpty()) {
                quantization.remove("quant_method");
                at.setAll(quantization);
            } else {
                at.put("quant_method", "compressed-tensors").set(inner, quantization);
            }
        });
        Repository.assertPacksTo(fixture, model, target);
        assertPlace(outer);
    }

    /** text-generation-inference stored bits and group size as tensors, and no configuration at all. */
    @Test
    void tensorsThatAreSettings() throws IOException {
        copy("gptq_v1_sym_g128");
        Files.delete(model.resolve("config.json"));
        Files.move(model.resolve("model.safetensors"), model.resolve("a.safetensors"));
        new TestModel().longs("gptq_bits", new long[] {4}).longs("gptq_groupsize", new long[] {128})
                .writeFile(model.resolve("b.safetensors"));
        Repository.assertPacksTo("gptq_v1_sym_g128", model, target);
        assertPlace("tensors gptq_bits, gptq_groupsize");
    }

    /** AutoGPTQ repeats its settings in the file's header. */
    @ParameterizedTest
    @CsvSource({"gptq_v1_sym_g128", "gptq_v1_sym_channel", "gptq_v1_desc_act_g32"})
    void headersThatHoldSettings(String fixture) throws IOException {
        copy(fixture);
        Files.delete(model.resolve("config.json"));
        Repository.assertPacksTo(fixture, model, target);
        assertPlace("model.safetensors: metadata gptq");
    }

    /** Facts that the tensors decide: the place that fits them is right. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "gptq_v1_desc_act_g32 | {\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128}",
        "gptq_v2_asym_g64 | {\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":64,\"sym\":true}",
        "gptq_v1_sym_g128 | {\"quant_method\":\"awq\",\"bits\":4,\"group_size\":128}",
        "awq_gemm_g64 | {\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128}",
    })
    void twoPlacesAndTheTensorsDecide(String fixture, String other) throws IOException {
        copy(fixture);
        Files.writeString(model.resolve("quantize_config.json"), other);
        Repository.assertPacksTo(fixture, model, target);
        assertPlace("config.json: quantization_config, and quantize_config.json");
        Repository.config(model, config -> {
            JsonNode first = config.get("quantization_config");
            try {
                config.set("quantization_config", Repository.JSON.readTree(other));
                Repository.JSON.writeValue(model.resolve("quantize_config.json").toFile(), first);
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        });
        Repository.assertPacksTo(fixture, model, folder.resolve("again"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "gptq_v2_asym_g64 | {\"checkpoint_format\":\"gptq\"} | found gptq_v2, but gptq in quantize_config.json, key checkpoint_format",
        "odd_shape_gptq_partial_group | {\"group_size\":160} | found 128, but 160 in quantize_config.json, key group_size",
        "awq_gemm_g64 | {\"bits\":3,\"version\":\"gemm\"} | found 4, but 3 in quantize_config.json, key bits",
        "ct_pack_sym_g128 | {\"quant_method\":\"gptq\",\"bits\":4} | found compressed-tensors, but gptq in quantize_config.json",
    })
    void twoPlacesThatNothingDecides(String fixture, String other, String message) throws IOException {
        copy(fixture);
        Files.writeString(model.resolve("quantize_config.json"), other);
        Repository.assertRefused(target, 1, new String[] {"pack", model.toString(), target.toString()}, message,
                "config.json: key quantization_config.", "the two places must agree");
    }

    @Test
    void whatOnlyOnePlaceSaysIsTakenFromThere() throws IOException {
        copy("gptq_v2_asym_g64");
        Repository.config(model, config -> ((ObjectNode) config.get("quantization_config")).remove("checkpoint_format"));
        Repository.config(model, config -> ((ObjectNode) config.get("quantization_config")).remove("format"));
        Files.writeString(model.resolve("quantize_config.json"), "{\"checkpoint_format\":\"gptq_v2\",\"x\":NaN}");
        Repository.assertPacksTo("gptq_v2_asym_g64", model, target);
    }
}
