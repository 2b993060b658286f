package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.llama.TinyLlama;
import io.github.jmarlin.testing.Gpu;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code jmarlin generate --device cuda} says what {@code --device cpu} does. */
@Tag("gpu")
@Tag("hopper")
final class GenerateOnGpuTest {
    @TempDir
    Path folder;

    private Cli run(String device, String... options) {
        List<String> args = new ArrayList<>(List.of("generate", folder.toString(), "--device", device));
        args.addAll(List.of(options));
        return Cli.run(args.toArray(new String[0]));
    }

    private void same(String... options) {
        Cli expected = run("cpu", options);
        assertEquals(0, expected.status(), expected.err());
        Cli is = run("cuda", options);
        assertEquals(0, is.status(), is.err());
        assertEquals(expected.out(), is.out());
        assertTrue(is.out().length() > 20, is.out());
    }

    @Test
    void theSameTokens() throws IOException {
        Gpu.first();
        new TinyLlama("llama", 51).write(folder, TensorType.F16);
        same("--ids", "5 17 3", "--max-tokens", "16");
        same("--ids", "5 17 3", "--max-tokens", "16", "--quantize", "--group", "32");
        Path file = Files.writeString(folder.resolve("prompts"), "1 2 3\n9\n44 12 7 7 7 21\n");
        same("--batch-file", file.toString(), "--max-tokens", "8", "--quantize", "--group", "64");
    }

    /** A seed draws the same from logits that differ in their last bits only. */
    @Test
    void sampledFromLogits() throws IOException {
        Gpu.first();
        new TinyLlama("qwen3", 52).write(folder, TensorType.F16);
        same("--ids", "5 17 3", "--max-tokens", "12", "--temperature", "0.8", "--top-p", "0.9", "--seed", "7");
    }
}
