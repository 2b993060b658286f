package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.jmarlin.checkpoint.Fixtures;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** config.json is other people's file: our keys are read, whatever stands beside them is theirs. */
final class RepositoryConfigTest {
    @TempDir
    Path folder;

    private Path model;
    private Path target;

    private void copy(String fixture) throws IOException {
        model = Fixtures.copy(fixture, folder.resolve("model"));
        target = folder.resolve("packed");
    }

    /** Python's json writes these three words (transformers#42959: time_step_limit of Mamba models). */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "gptq_v1_sym_g128 | \"time_step_limit\": [0.0, Infinity]",
        "awq_gemm_g64 | \"rope_scaling\": {\"factor\": NaN, \"low\": -Infinity}",
        "ct_pack_asym_g32 | \"logit_cap\": -Infinity, \"router_bias\": [NaN, Infinity]",
        "marlin_channel | \"a\": 1, \"a\": 2, \"big\": 123456789012345678901234567890, \"n\": [[[{}]], 1e400]",
        "gptq_v2_asym_g64 | \"torch_dtype\": {\"a\": 1}, \"model_type\": 7, \"architectures\": \"text\", \"model_type\": null",
    })
    void whateverStandsInOtherKeys(String fixture, String pairs) throws IOException {
        copy(fixture);
        Repository.addToConfig(model, pairs);
        Repository.assertPacksTo(fixture, model, target);
    }

    @ParameterizedTest
    @ValueSource(strings = {"gptq_v1_sym_g128", "awq_gemm_g64", "ct_pack_sym_channel"})
    void aByteOrderMark(String fixture) throws IOException {
        copy(fixture);
        Repository.edit(model.resolve("config.json"), text -> "\uFEFF" + text);
        Repository.assertPacksTo(fixture, model, target);
    }

    @Test
    void wholeNumbersWithAPoint() throws IOException {
        copy("awq_gemm_g64");
        Repository.edit(model.resolve("config.json"), text -> text.replace("\"group_size\": 64", "\"group_size\": 64.0"));
        Repository.assertPacksTo("awq_gemm_g64", model, target);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "\"bits\": 4, | \"bits\": 4, \"bits\": 8, | key quantization_config.bits: found 4, then 8; this key may be there once",
        "\"bits\": 4, | \"bits\": NaN, | key quantization_config.bits: found NaN; must be a whole number",
        "\"group_size\": 64, | \"group_size\": 64.5, | found 64.5; must be a whole number",
    })
    void ourOwnKeysStayStrict(String from, String to, String message) throws IOException {
        copy("awq_gemm_g64");
        Repository.edit(model.resolve("config.json"), text -> text.replace(from, to));
        Repository.assertRefused(target, 1, new String[] {"pack", model.toString(), target.toString()}, message);
    }

    @Test
    void theSameTwiceIsOnce() throws IOException {
        copy("awq_gemm_g64");
        Repository.edit(model.resolve("config.json"), text -> text.replace("\"bits\": 4,", "\"bits\": 4, \"bits\": 4,"));
        Repository.assertPacksTo("awq_gemm_g64", model, target);
    }

    /** A header is the only description of the bytes behind it: there nothing is tolerated. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "{\"t\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]},\"t\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]}}"
                + " | Duplicate field 't'",
        "{\"t\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2],\"x\":NaN}} | NaN",
        "{\"t\":{\"dtype\":\"F16\",\"shape\":[Infinity],\"data_offsets\":[0,2]}} | Infinity",
    })
    void headersStayStrict(String header, String message) throws IOException {
        copy("awq_gemm_g64");
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        java.nio.ByteBuffer bytes = java.nio.ByteBuffer.allocate(8 + json.length + 2).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        Files.write(model.resolve("model.safetensors"), bytes.putLong(json.length).put(json).array());
        Repository.assertRefused(null, 1, new String[] {"inspect", model.toString()}, "model.safetensors: header", message);
        assertEquals(0, Cli.run("inspect", Fixtures.folder("awq_gemm_g64").toString()).status());
    }
}
