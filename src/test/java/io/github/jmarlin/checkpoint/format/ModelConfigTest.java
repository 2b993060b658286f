package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which format a folder's configuration means, and what is refused by name. */
final class ModelConfigTest {
    @TempDir
    Path folder;

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "config.json | {\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4}} | GPTQ v1",
        "config.json | {\"quantization_config\":{\"bits\":4,\"method\":\"gptq\",\"format\":\"gptq_v2\"}} | GPTQ v2",
        "config.json | {\"quantization_config\":{\"quant_method\":\"awq\",\"version\":\"GEMM\"}} | AWQ gemm",
        "config.json | {\"quantization_config\":{\"quant_method\":\"marlin\",\"group_size\":128}} | Marlin",
        "config.json | {\"quantization_config\":{\"quant_method\":\"gptq\",\"is_marlin_format\":true}} | Marlin",
        "config.json | {\"quantization_config\":{\"quant_method\":\"gptq\",\"checkpoint_format\":\"marlin\"}} | Marlin",
        "config.json | {\"hidden_size\":1} | full precision",
        "quantize_config.json | {\"bits\":4,\"group_size\":128,\"desc_act\":false} | GPTQ v1",
        "quant_config.json | {\"w_bit\":4,\"q_group_size\":64,\"version\":\"GEMM\",\"zero_point\":true} | AWQ gemm",
    })
    void formats(String file, String json, String scheme) throws IOException {
        new TestModel().write(folder, null);
        Files.writeString(folder.resolve(file), json);
        assertEquals(scheme, Checkpoint.open(folder).scheme());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "{\"quant_method\":\"bitsandbytes\"} | "
                + "key quantization_config.quant_method: found bitsandbytes; accepted: quant_method \"gptq\"",
        "{\"quant_method\":\"gptq\",\"checkpoint_format\":\"gptq_p\"} | key quantization_config.checkpoint_format: found gptq_p",
        "{\"quant_method\":\"gptq\",\"pack_dtype\":\"int8\"} | accepted: pack_dtype \"int32\"",
        "{\"quant_method\":\"awq\",\"version\":\"gemv\"} | accepted: AWQ version \"gemm\"",
        "{\"quant_method\":\"awq\",\"bits\":3} | key quantization_config.bits: found 3; accepted: 4 bits",
        "{\"quant_method\":\"marlin\",\"bits\":8} | accepted: 4 bits",
        "{\"quant_method\":\"gptq\",\"bits\":\"four\"} | key quantization_config.bits: found four; must be a whole number",
        "{\"quant_method\":\"gptq\",\"sym\":\"yes\"} | must be true or false",
        "{\"quant_method\":\"gptq\",\"dynamic\":{\"(\":{}}} | must be a regular expression",
        "{\"quant_method\":\"gptq\",\"dynamic\":[1]} | must be true or false",
        "{\"quant_method\":\"compressed-tensors\",\"config_groups\":{},\"sparsity_config\":"
                + "{\"format\":\"sparse-24-bitmask\"}} | no sparsity",
        "{\"quant_method\":\"compressed-tensors\"} | key quantization_config.config_groups: found null; must be an object",
        "{\"quant_method\":\"gptq\",\"quant_method\":\"awq\"} | found gptq, then awq; this key may be there once",
        "[] | key quantization_config: found []; must be an object",
    })
    void refused(String quantization, String message) throws IOException {
        new TestModel().write(folder, TestModel.quantization(quantization));
        JMarlinException e = assertThrows(JMarlinException.class, () -> Checkpoint.open(folder));
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertTrue(e.getMessage().startsWith(folder.resolve("config.json").toString()), e.getMessage());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "\"num_bits\": 4 | \"num_bits\": 3 | config_groups.group_0.weights.num_bits: found 3; accepted: 4 or 8 bits",
        "\"num_bits\": 4 | \"num_bits\": 8 | found shape [132, 28]; the layer's other tensors ask for [132, 56]",
        "\"type\": \"int\" | \"type\": \"float\" | accepted: type \"int\"",
        "\"input_activations\": null | \"input_activations\": {\"num_bits\": 8} | activations are not quantized",
        "\"strategy\": \"group\" | \"strategy\": \"tensor\" | accepted: strategy \"group\" or \"channel\"",
        "\"format\": \"pack-quantized\" | \"format\": \"int-quantized\" | num_bits: found 4; accepted: 8 bits",
        "\"format\": \"pack-quantized\" | \"format\": \"float-quantized\" | accepted: format \"pack-quantized\", \"int-quantized\"",
        "\"Linear\" | \"re:nothing\" | among its targets",
        "\"symmetric\": false | \"symmetric\": true | which leaves none",
        "\"group_size\": 32 | \"group_size\": 20 | multiple of 32",
        "\"group_size\": 32 | \"group_size\": 64 | ask for [132, 4]",
    })
    void compressedTensorsLayersRefused(String from, String to, String message) throws IOException {
        Fixtures.copy("ct_pack_asym_g32", folder);
        String config = Files.readString(folder.resolve("config.json"));
        assertTrue(config.contains(from), from);
        Files.writeString(folder.resolve("config.json"), config.replace(from, to));
        Checkpoint checkpoint = Checkpoint.open(folder);
        String why = checkpoint.whyNot("model.layers.0.self_attn.q_proj");
        assertTrue(why != null && why.contains(message), why);
    }

    @Test
    void compressedTensorsTargetsByNameAndPattern() throws IOException {
        for (String target : new String[] {"model.layers.0.self_attn.q_proj", "re:.*q_proj"}) {
            Fixtures.copy("ct_pack_asym_g32", folder);
            Path config = folder.resolve("config.json");
            Files.writeString(config, Files.readString(config).replace("\"Linear\"", "\"" + target + "\""));
            assertEquals(32, Checkpoint.open(folder).layer("model.layers.0.self_attn.q_proj").groupSize());
        }
    }

    @Test
    void foldersWithoutSafetensors() throws IOException {
        assertTrue(assertThrows(MalformedCheckpointException.class, () -> Checkpoint.open(folder.resolve("none")))
                .getMessage().contains("found nothing; must be a folder"));
        Files.write(folder.resolve("pytorch_model.bin"), new byte[1]);
        assertTrue(assertThrows(UnsupportedCheckpointException.class, () -> Checkpoint.open(folder))
                .getMessage().contains("pytorch_model.bin"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "{\"weight_map\":{\"t\":\"gone.safetensors\"}} | key weight_map.t: found gone.safetensors; this shard must exist",
        "{\"weight_map\":{\"t\":\"../model.safetensors\"}} | must be the name of a file in the same folder",
        "{\"weight_map\":{\"t\":\"model.safetensors\"}} | tensor t: found nothing",
        "{\"weight_map\":{\"t\":7}} | must be a string",
        "{\"weight_map\":7} | must be an object",
        "{} | key weight_map: found null",
    })
    void brokenIndexes(String index, String message) throws IOException {
        new TestModel().write(folder, null);
        Files.writeString(folder.resolve("model.safetensors.index.json"), index);
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class, () -> Checkpoint.open(folder));
        assertTrue(e.getMessage().contains(message), e.getMessage());
    }

    @Test
    void theSameTensorInTwoFilesWithoutAnIndex() throws IOException {
        new TestModel().ints("t", new int[1], 1).writeFile(folder.resolve("a.safetensors"));
        new TestModel().ints("t", new int[1], 1).writeFile(folder.resolve("b.safetensors"));
        assertTrue(assertThrows(MalformedCheckpointException.class, () -> Checkpoint.open(folder)).getMessage()
                .contains("the same name in a.safetensors"));
    }

    @Test
    void filesNeedNotBeCalledModel() throws IOException {
        Fixtures.copy("gptq_v1_sym_g128", folder);
        Files.move(folder.resolve("model.safetensors"), folder.resolve("gptq_model-4bit-128g.safetensors"));
        assertEquals(1, Checkpoint.open(folder).layerNames().size());
    }
}
