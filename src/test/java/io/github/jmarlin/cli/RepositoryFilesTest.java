package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.TestModel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which files of a repository are the model. */
final class RepositoryFilesTest {
    private static final String SHARD = "model-0000%d-of-0000%d.safetensors";

    @TempDir
    Path folder;

    private Path model;
    private Path target;

    @BeforeEach
    void paths() {
        model = folder.resolve("model");
        target = folder.resolve("packed");
    }

    private static TestModel other() {
        return new TestModel().ints("layers.0.attention.wq.qweight", new int[] {1, 2}, 2, 1);
    }

    /** Mistral's repositories hold the model twice, in its own names and in those of transformers (llama.cpp#17286). */
    @Test
    void twoIndexes() throws IOException {
        Fixtures.copy("sharded_gptq", model);
        other().writeFile(model.resolve("consolidated-00001-of-00001.safetensors"));
        Files.writeString(model.resolve("consolidated.safetensors.index.json"),
                "{\"weight_map\":{\"layers.0.attention.wq.qweight\":\"consolidated-00001-of-00001.safetensors\"}}");
        Repository.assertPacksTo("sharded_gptq", model, target);
        Cli inspected = Cli.run("inspect", model.toString());
        assertTrue(inspected.out().contains("consolidated.safetensors.index.json"), "what was not read is named: " + inspected.out());
    }

    @ParameterizedTest
    @ValueSource(strings = {"consolidated.safetensors", "adapter_model.safetensors", "consolidated-00001-of-00001.safetensors"})
    void secondCopiesAndAdaptersWithoutAnIndex(String name) throws IOException {
        Fixtures.copy("gptq_v1_sym_g128", model);
        Files.move(model.resolve("model.safetensors"), model.resolve("gptq_model-4bit-128g.safetensors"));
        other().writeFile(model.resolve(name));
        Repository.assertPacksTo("gptq_v1_sym_g128", model, target);
    }

    /** An index that was left behind when the quantized model became one file. */
    @ParameterizedTest
    @ValueSource(strings = {"gptq_v1_sym_channel", "awq_gemm_g64", "ct_pack_asym_g32"})
    void anIndexOfFilesThatAreNotHere(String fixture) throws IOException {
        Fixtures.copy(fixture, model);
        Files.writeString(model.resolve("model.safetensors.index.json"), "{\"weight_map\":{"
                + "\"a.weight\":\"model-00001-of-00002.safetensors\",\"b.weight\":\"model-00002-of-00002.safetensors\"}}");
        Repository.assertPacksTo(fixture, model, target);
    }

    @ParameterizedTest
    @CsvSource({"gptq_v1_sym_g128, ._model.safetensors", "awq_gemm_g64, .model.safetensors.index.json",
        "ct_pack_sym_g128, ._model.safetensors.index.json", "marlin_g128, .DS_Store", "gptq_v2_asym_g64, Thumbs.db"})
    void whatOperatingSystemsLeave(String fixture, String name) throws IOException {
        Fixtures.copy(fixture, model);
        Files.move(model.resolve("model.safetensors"), model.resolve("weights.safetensors"));
        Files.write(model.resolve(name), new byte[] {0, 5, 22, 7, 0, 2, 0, 0});
        Repository.assertPacksTo(fixture, model, target);
        assertTrue(!Repository.names(target).contains(name), "not carried over: " + Repository.names(target));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "model-00001-of-00003.safetensors model-00003-of-00003.safetensors | numbers [1, 3] | from 1 to 3",
        "model-1-of-2.safetensors | numbers [1] | from 1 to 2",
        "gptq_model-4bit-128g-00000-of-00002.safetensors | numbers [0] | from 0 to 1",
        "model-00002-of-000163.safetensors | numbers [2] | from 1 to 163",
    })
    void incompleteSetsAreNamed(String files, String numbers, String rule) throws IOException {
        Fixtures.copy("gptq_v1_sym_g128", model);
        Path file = model.resolve("model.safetensors");
        String[] names = files.split(" ");
        for (int i = 1; i < names.length; i++) {
            other().writeFile(model.resolve(names[i]));
        }
        Files.move(file, model.resolve(names[0]));
        for (String command : new String[] {"inspect", "verify"}) {
            Repository.assertRefused(null, 1, new String[] {command, model.toString()}, numbers, rule);
        }
        Repository.assertRefused(target, 1, new String[] {"pack", model.toString(), target.toString()}, numbers, rule);
    }

    @ParameterizedTest
    @CsvSource({"1, 2", "0, 1"})
    void completeSetsWithoutAnIndex(int first, int second) throws IOException {
        Fixtures.copy("sharded_gptq", model);
        Files.delete(model.resolve("model.safetensors.index.json"));
        Files.move(model.resolve(String.format(SHARD, 2, 2)), model.resolve("b-" + second + "-of-2.safetensors"));
        Files.move(model.resolve(String.format(SHARD, 1, 2)), model.resolve("b-" + first + "-of-2.safetensors"));
        Repository.assertPacksTo("sharded_gptq", model, target);
    }

    /** An index is no list of what to forget: what its files hold besides comes along. */
    @Test
    void tensorsThatTheIndexDoesNotName() throws IOException {
        Fixtures.copy("sharded_gptq", model);
        Repository.edit(model.resolve("model.safetensors.index.json"),
                text -> text.replaceAll("\"model[^\"]*k_proj.qzeros[^,}]*,?", "").replaceAll(",\\s*\\}", "}"));
        Repository.assertPacksTo("sharded_gptq", model, target);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "version https://git-lfs.github.com/spec/v1\\noid sha256:4d7a\\nsize 4976698672\\n | a Git LFS pointer to 4976698672 bytes; "
                + "the file itself was not downloaded: `git lfs pull` fetches it",
        "<!DOCTYPE html><html><head><title>Sign in</title> | a web page; must be a safetensors file",
        "Entry not found and more | the text \"Entry not found and more\"; must be a safetensors file",
        "GGUF\\u0003\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000 | a GGUF file",
        "PK\\u0003\\u0004\\u0000\\u0000\\u0008\\u0008\\u0000\\u0000 | a zip archive",
    })
    void otherThingsInPlaceOfTheFile(String content, String message) throws IOException {
        Fixtures.copy("gptq_v1_sym_g128", model);
        Files.write(model.resolve("model.safetensors"), unescape(content).getBytes(StandardCharsets.ISO_8859_1));
        for (String command : new String[] {"inspect", "verify"}) {
            Repository.assertRefused(null, 1, new String[] {command, model.toString()},
                    "model.safetensors: content: found ", message);
        }
        Repository.assertRefused(target, 1, new String[] {"pack", model.toString(), target.toString()}, message);
    }

    @Test
    void otherThingsInPlaceOfTheConfiguration() throws IOException {
        Fixtures.copy("gptq_v1_sym_g128", model);
        Files.writeString(model.resolve("config.json"), "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 660\n");
        Repository.assertRefused(target, 1, new String[] {"pack", model.toString(), target.toString()},
                "config.json: content: found a Git LFS pointer to 660 bytes");
        assertEquals(1, Cli.run("inspect", model.toString()).status());
    }

    private static String unescape(String text) {
        String result = text.replace("\\n", "\n");
        for (int code = 0; code < 16; code++) {
            result = result.replace(String.format("\\u%04x", code), String.valueOf((char) code));
        }
        return result;
    }
}
