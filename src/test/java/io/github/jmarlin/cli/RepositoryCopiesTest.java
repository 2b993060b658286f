package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.Fixtures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The same weights in other containers are not carried into the packed folder; everything else that is the user's is. */
final class RepositoryCopiesTest {
    @TempDir
    Path folder;

    @ParameterizedTest
    @CsvSource({
        "gptq_v1_sym_channel, pytorch_model-00001-of-00002.bin pytorch_model.bin.index.json flax_model.msgpack, "
                + "tokenizer.model README.md LICENSE",
        "awq_gemm_g64, consolidated.00.pth model.Q4_K_M.gguf original.PT, tokenizer.json tokenizer.bin vocab.txt",
        "ct_pack_sym_channel, model.onnx model.onnx_data tf_model.h5 rust_model.ot, chat_template.jinja special_tokens_map.json",
    })
    void weightsInOtherContainers(String fixture, String weights, String others) throws IOException {
        Path model = Fixtures.copy(fixture, folder.resolve("model"));
        Path target = folder.resolve("packed");
        for (String name : (weights + " " + others).split(" ")) {
            Files.writeString(model.resolve(name), name);
        }
        Repository.assertPacksTo(fixture, model, target);
        List<String> found = Repository.names(target);
        for (String name : weights.split(" ")) {
            assertTrue(!found.contains(name), name + " in " + found);
        }
        for (String name : others.split(" ")) {
            assertEquals(name, Files.readString(target.resolve(name)));
        }
        Cli again = Cli.run("pack", model.toString(), target.toString());
        for (String name : weights.split(" ")) {
            assertTrue(again.out().contains("not copied: " + name), again.out());
        }
    }
}
