package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Fuzzing;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.MappedFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.gguf.GgufFile;
import io.github.jmarlin.checkpoint.container.gguf.GgufModel;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Tag;

/** A whole GGUF file: its header, its documents, every tensor in Hugging Face's order, and every layer. */
@Tag("fuzz")
final class GgufFuzzTest {
    @FuzzTest(maxDuration = Fuzzing.TIME)
    void gguf(byte[] bytes) {
        Fuzzing.documented(() -> {
            GgufFile file = GgufFile.of(MappedFile.of(Fuzzing.FILE, Fuzzing.little(bytes)));
            long sum = file.tensors().values().stream().mapToLong(Tensor::bytes).sum();
            assertTrue(sum <= bytes.length);
            GgufModel model = GgufModel.of(Fuzzing.FILE, List.of(file));
            for (String name : model.store().madeDocuments()) {
                Fuzzing.documented(() -> Json.parse(Fuzzing.FILE, name, model.store().madeDocument(name)));
            }
            for (Tensor tensor : model.store().tensors().values()) {
                assertTrue(tensor.slice(0, (int) tensor.bytes()).capacity() == tensor.bytes());
            }
            Fuzzing.documented(() -> layers(model));
        });
    }

    private static void layers(GgufModel model) {
        WeightFormat format;
        try {
            format = ModelConfig.of(model).format();
        } catch (IOException e) {
            throw new AssertionError("no file is read", e);
        }
        for (Tensor tensor : model.store().tensors().values()) {
            String name = format == null ? null : format.layerOf(tensor, model.store());
            if (name != null) {
                Fuzzing.documented(() -> {
                    try (QuantizedMatrix matrix = format.layer(model.store(), name).read()) {
                        assertTrue(matrix.codes().size() <= 2 * tensor.bytes() + matrix.k());
                    }
                });
            }
        }
    }
}
