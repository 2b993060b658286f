package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.llama.ByteTokenizer;
import io.github.jmarlin.llama.Stories;
import io.github.jmarlin.llama.TinyLlama;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code jmarlin generate} as its help says. */
final class GenerateCommandTest {
    @TempDir
    Path temporary;
    private Path folder;

    @BeforeEach
    void model() throws IOException {
        folder = temporary.resolve("model");
        new TinyLlama("llama", 31).write(folder, TensorType.BF16);
    }

    private Cli run(String... options) {
        List<String> args = new ArrayList<>(List.of("generate", folder.toString(), "--device", "cpu"));
        args.addAll(List.of(options));
        return Cli.run(args.toArray(new String[0]));
    }

    /** Of a byte-level model whose head gives no special token and no control character. */
    private void withTokenizer() throws IOException {
        TinyLlama tiny = new TinyLlama("llama", 32).config("vocab_size", "" + ByteTokenizer.VOCABULARY);
        tiny.matrix("model.embed_tokens.weight", ByteTokenizer.VOCABULARY, TinyLlama.HIDDEN);
        tiny.matrix("lm_head.weight", ByteTokenizer.VOCABULARY, TinyLlama.HIDDEN);
        tiny.write(folder, TensorType.F32);
        ByteTokenizer.write(folder);
    }

    @Test
    void idsOnOneLineStatisticsApart() {
        Cli run = run("--ids", "5 17", "--max-tokens", "6");
        assertEquals(0, run.status(), run.err());
        assertTrue(run.out().matches("\\d+( \\d+){5}\\R"), run.out());
        List<String> lines = run.err().lines().toList();
        assertTrue(lines.get(0).matches("llama of 2 blocks, 0 packed products and 15 in full precision, opened in .*; "
                + "CPU, \\d+ threads?, .*"), run.err());
        assertTrue(lines.get(1).matches("prefill 2 tokens in .*, [\\d.]+ tokens/s; decode 5 tokens in .*, [\\d.]+ tokens/s"), run.err());
        assertTrue(lines.get(2).matches("of the time, packed products took 0 % and products in full precision \\d+ %"), run.err());
        assertEquals(run.out(), run("--ids", " 5  17 ", "--max-tokens", "6", "--dense").out());
    }

    @Test
    void quantizedWhenAskedFor() {
        Cli run = run("--ids", "5 17", "--max-tokens", "6", "--quantize", "--group", "32");
        assertEquals(0, run.status(), run.err());
        // q, k and v are one product, gate and up one.
        assertTrue(run.err().startsWith("llama of 2 blocks, 8 packed products and 1 in full precision"), run.err());
    }

    @Test
    void aPromptIsContinuedAsItComes() throws IOException {
        withTokenizer();
        Cli text = run("--prompt", "Once", "--max-tokens", "40");
        assertEquals(0, text.status(), text.err());
        String ids = "0 " + "Once".chars().mapToObj(c -> "" + (c + 1)).collect(Collectors.joining(" "));
        Cli run = run("--ids", ids, "--max-tokens", "40");
        byte[] bytes = new byte[40];
        int count = 0;
        for (String id : run.out().trim().split(" ")) {
            if (!id.equals("0")) {
                bytes[count++] = (byte) (Integer.parseInt(id) - 1);
            }
        }
        String expected = new String(bytes, 0, count, StandardCharsets.UTF_8);
        assertEquals(expected, text.out().substring(0, text.out().length() - 1));
        assertTrue(text.err().contains("prefill 5 tokens"), text.err());
    }

    @Test
    void aLineForEachPrompt() throws IOException {
        withTokenizer();
        Path file = temporary.resolve("prompts");
        Files.writeString(file, "Once\nTwice upon\nOnce\n");
        Cli run = run("--batch-file", file.toString(), "--max-tokens", "30");
        assertEquals(0, run.status(), run.err());
        List<String> lines = Arrays.asList(run.out().split("\n", -1));
        assertEquals(4, lines.size(), run.out());
        assertEquals(lines.get(0), lines.get(2));
        String alone = run("--prompt", "Twice upon", "--max-tokens", "30").out();
        assertEquals(alone.substring(0, alone.length() - 1).replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r"), lines.get(1));
        assertTrue(run.err().contains("prefill 21 tokens"), run.err());
        assertTrue(run.err().contains("decode 87 tokens"), run.err());
        assertTrue(run.err().contains(", 3 prompts"), run.err());
    }

    /** More prompts than the cache holds at once, as ids where there is no tokenizer. */
    @Test
    void manyLinesOfIds() throws IOException {
        Path file = temporary.resolve("prompts");
        Files.writeString(file, IntStream.range(0, 70).mapToObj(i -> "7 " + i % 5 + "\n").collect(Collectors.joining()));
        Cli run = run("--batch-file", file.toString(), "--max-tokens", "3");
        List<String> lines = run.out().lines().toList();
        assertEquals(70, lines.size(), run.err());
        for (int i = 5; i < 70; i++) {
            assertEquals(lines.get(i - 5), lines.get(i), "line " + i);
        }
        assertTrue(lines.stream().distinct().count() > 2, run.out());
    }

    @Test
    void seedsDraw() {
        String first = run("--ids", "5", "--temperature", "1", "--max-tokens", "20").out();
        assertEquals(first, run("--ids", "5", "--temperature", "1", "--max-tokens", "20", "--seed", "42").out());
        assertTrue(!first.equals(run("--ids", "5", "--temperature", "1", "--max-tokens", "20", "--seed", "43").out()));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--ids 5 --max-tokens 65 | 1 | the prompt of 1 tokens and 65 new ones need 65 positions, and this model has 64: fewer --max-tokens",
        "--ids 96 | 1 | the prompt has token 96, and this model knows 0..95",
        "--ids five | 1 | --ids \"five\": token ids with blanks between expected, for instance \"1 403\"",
        "--prompt hello | 1 | tokenizer.json: found nothing; a prompt in words needs it; token ids do not (--ids)",
        "--batch-file nowhere | 1 | nowhere: cannot read this file: there is no such file or folder",
        "--ids 5 --max-tokens 0 | 2 | max tokens 0: must be at least 1",
        "--ids 5 --temperature -1 | 2 | temperature -1.0: must be 0 or more",
        "--ids 5 --top-p 0 | 2 | top-p 0.0: must be above 0 and at most 1",
        "--ids 5 --quantize --dense | 2 | --dense and --quantize exclude each other",
        "--ids 5 --group 32 | 2 | --group says how --quantize works: give both or neither",
        "--ids 5 --prompt x | 2 | --prompt=TEXT, --ids=\"ID ID\" are mutually exclusive",
        "--max-tokens 3 | 2 | Missing required argument (specify one of these): (--prompt=TEXT",
    })
    void errorsOfOneLine(String options, int status, String message) {
        Cli run = run(options.split(" "));
        assertEquals(status, run.status(), run.toString());
        assertEquals("", run.out());
        List<String> lines = run.err().lines().toList();
        assertEquals(status, lines.size(), run.err());
        assertTrue(lines.get(lines.size() - 1).startsWith("jmarlin generate: "), run.err());
        assertTrue(lines.get(lines.size() - 1).contains(message), run.err());
    }

    @Test
    void emptyLinesAndFiles() throws IOException {
        Path file = Files.writeString(temporary.resolve("prompts"), "5\n\n6\n");
        assertEquals("jmarlin generate: " + file + ", line 2 is empty: a prompt a line expected",
                run("--batch-file", file.toString()).err().trim());
        Files.writeString(file, "");
        assertEquals("jmarlin generate: " + file + " is empty: a prompt a line expected",
                run("--batch-file", file.toString()).err().trim());
    }

    @Test
    void unknownArchitectureAndMissingTensor() throws IOException {
        new TinyLlama("llama", 1).config("model_type", "\"gemma2\"").write(folder, TensorType.F32);
        Cli unknown = run("--ids", "1");
        assertEquals(1, unknown.status());
        assertEquals("jmarlin generate: " + folder.resolve("config.json") + ": key model_type: found gemma2; accepted: LlamaForCausalLM, "
                + "MistralForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM", unknown.err().trim());
        new TinyLlama("llama", 1).without("model.norm.weight").write(folder, TensorType.F32);
        assertEquals("jmarlin generate: " + folder + ": tensor model.norm.weight: found nothing; a llama with this config.json has it",
                run("--ids", "1").err().trim());
    }

    @Test
    void aRealModelSaysWhatTheReferenceSays() throws IOException {
        int[] expected = Stories.ids();
        folder = Stories.folder();
        Cli run = run("--dense", "--ids", "1", "--max-tokens", "199");
        assertEquals(Arrays.stream(expected, 1, 200).mapToObj(String::valueOf).collect(Collectors.joining(" ")), run.out().trim(),
                run.err());
    }
}
