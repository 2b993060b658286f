package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.llama.TinyLlama;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code jmarlin calibrate} writes what {@code pack --calibration} reads. */
final class CalibrateCommandTest {
    private static final String INPUT = "model.layers.0.self_attn.q_proj.input";

    @TempDir
    Path temporary;

    private Path model(TinyLlama tiny) throws IOException {
        return tiny.write(temporary.resolve("model"), TensorType.F32);
    }

    @Test
    void packedWithItsOwnActivations() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 41);
        Path model = model(tiny);
        Path text = Files.writeString(temporary.resolve("text"), "5 17 3 80\n61 9 5 17 3 80 61 9 33");
        Path activations = temporary.resolve("activations");
        Cli run = Cli.run("calibrate", model.toString(), activations.toString(), "--text", text.toString(), "--tokens", "12",
                "--length", "6");
        assertEquals(0, run.status(), run.err());
        assertTrue(run.out().startsWith("12 tokens of 13 through 14 layers in "), run.out());
        Map<String, Tensor> tensors = SafetensorsFile.open(activations.resolve("calibration.safetensors")).tensors();
        assertEquals(14, tensors.size());
        // The first layer's input is the embedding, normed; the same tokens at the same positions give it twice.
        float[] input = Floats.read(tensors.get(INPUT), 0, 12 * 128);
        float[] norm = tiny.tensors.get("model.layers.0.input_layernorm.weight");
        float[] embedding = tiny.tensors.get("model.embed_tokens.weight");
        double squares = 0;
        for (int i = 0; i < 128; i++) {
            squares += (double) embedding[17 * 128 + i] * embedding[17 * 128 + i];
        }
        for (int i = 0; i < 128; i++) {
            double expected = embedding[17 * 128 + i] / Math.sqrt(squares / 128 + 1e-5) * norm[i];
            assertEquals(expected, input[128 + i], 1e-5, "element " + i);
        }
        String last = "model.layers.1.mlp.down_proj.input";
        float[] gated = Floats.read(tensors.get(last), 0, 12 * 192);
        assertTrue(Arrays.equals(gated, 0, 6 * 192, gated, 6 * 192, 12 * 192), "sequences of 6 that begin anew");

        Path packed = temporary.resolve("packed");
        Cli pack = Cli.run("pack", model.toString(), packed.toString(), "--quantize", "--group", "32", "--calibration",
                activations.toString());
        assertEquals(0, pack.status(), pack.err());
        Cli generate = Cli.run("generate", packed.toString(), "--ids", "5 17", "--max-tokens", "5", "--device", "cpu");
        assertEquals(0, generate.status(), generate.err());
        assertTrue(Cli.run("inspect", packed.toString(), "--all").out().contains("GPTQ"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "words | --tokens 5 | 1 | \"words\": token ids with blanks between expected",
        "5 96 | --tokens 5 | 1 | row 1: token 96 is outside 0..95",
        "' ' | --tokens 5 | 1 | is empty: a text expected",
        "5 | --tokens 0 | 2 | --tokens 0 --length 512: both must be at least 1",
    })
    void errorsOfOneLine(String content, String option, int status, String message) throws IOException {
        Path model = model(new TinyLlama("llama", 42));
        Path text = Files.writeString(temporary.resolve("text"), content);
        Path out = temporary.resolve("out");
        Cli run = Cli.run("calibrate", model.toString(), out.toString(), "--text", text.toString(), option.split(" ")[0],
                option.split(" ")[1]);
        assertEquals(status, run.status(), run.toString());
        assertEquals(status, run.err().lines().count(), run.err());
        assertTrue(run.err().contains("jmarlin calibrate: ") && run.err().contains(message), run.err());
        assertTrue(!Files.exists(out.resolve("calibration.safetensors")) && !Files.exists(out.resolve("calibration.safetensors.partial")));
    }

    @Test
    void notIntoTheModel() throws IOException {
        Path model = model(new TinyLlama("llama", 43));
        Cli run = Cli.run("calibrate", model.toString(), model.toString(), "--text", model.resolve("config.json").toString());
        assertEquals(2, run.status());
        assertTrue(run.err().contains("OUT " + model + " is the model's folder"), run.err());
    }
}
