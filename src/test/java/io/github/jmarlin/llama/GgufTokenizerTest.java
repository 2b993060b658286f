package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.container.gguf.GgufWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokenizers out of a GGUF file's metadata. */
final class GgufTokenizerTest {
    @TempDir
    private Path folder;

    private static GgufWriter file(String kind) {
        return new GgufWriter().string("general.architecture", "llama").string("tokenizer.ggml.model", kind);
    }

    /** Bytes as GPT-2 writes them, and a few merges; the space is U+0120. */
    private static GgufWriter ofBytes(String cut) {
        List<String> tokens = new ArrayList<>();
        int other = 256;
        for (int value = 0; value < 256; value++) {
            boolean printable = value >= '!' && value <= '~' || value >= 0xa1 && value <= 0xac || value >= 0xae;
            tokens.add(Character.toString(printable ? value : other++));
        }
        tokens.addAll(List.of("12", "123", "1234", "\u0120a", "\u0120ab", "<|begin|>", "<|end|>"));
        int[] kinds = new int[tokens.size()];
        Arrays.fill(kinds, 1);
        kinds[261] = 3;
        kinds[262] = 3;
        return file("gpt2").string("tokenizer.ggml.pre", cut).strings("tokenizer.ggml.tokens", tokens)
                .ints("tokenizer.ggml.token_type", kinds)
                .strings("tokenizer.ggml.merges", List.of("1 2", "12 3", "123 4", "\u0120 a", "\u0120a b"))
                .u32("tokenizer.ggml.bos_token_id", 261).u32("tokenizer.ggml.eos_token_id", 262);
    }

    private Tokenizer open(GgufWriter writer) throws IOException {
        return Tokenizer.open(writer.write(folder.resolve("model.gguf")));
    }

    /** Llama 3 cuts numbers into threes and begins with a token, Qwen 2 into digits and does not, GPT-2 leaves them whole. */
    @ParameterizedTest
    @CsvSource({"llama-bpe, 261 257 52", "qwen2, 49 50 51 52", "gpt-2, 258"})
    void mergesOfBytesAsTheCutSays(String cut, String number) throws IOException {
        try (Tokenizer tokenizer = open(ofBytes(cut))) {
            int[] ids = tokenizer.encode("1234 ab<|end|>\u20ac");
            String shown = Arrays.toString(ids).replaceAll("[\\[\\],]", "");
            assertEquals(number + " 260 262 226 130 172", shown);
            assertEquals("1234 ab\u20ac", tokenizer.decode(Arrays.stream(ids).boxed().toList()));
        }
    }

    @Test
    void theFileSaysWhetherATextBegins() throws IOException {
        try (Tokenizer tokenizer = open(ofBytes("gpt-2").bool("tokenizer.ggml.add_bos_token", true)
                .bool("tokenizer.ggml.add_eos_token", true))) {
            assertArrayEquals(new int[] {261, 258, 262}, tokenizer.encode("1234"));
        }
        try (Tokenizer tokenizer = open(ofBytes("llama-bpe").bool("tokenizer.ggml.add_bos_token", false))) {
            assertArrayEquals(new int[] {257, 52}, tokenizer.encode("1234"));
        }
    }

    private static GgufWriter ofScores() {
        List<String> tokens = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
        for (int value = 0; value < 256; value++) {
            tokens.add(String.format("<0x%02X>", value));
        }
        tokens.addAll(List.of("\u2581ab", "bc", "\u2581a", "abc", "\u2581", "a", "b", "c", "ab"));
        float[] scores = new float[tokens.size()];
        int[] kinds = new int[tokens.size()];
        Arrays.fill(kinds, 6);
        for (int i = 259; i < tokens.size(); i++) {
            scores[i] = 259 - i;
            kinds[i] = 1;
        }
        kinds[0] = 2;
        kinds[1] = 3;
        kinds[2] = 3;
        return file("llama").strings("tokenizer.ggml.tokens", tokens).floats("tokenizer.ggml.scores", scores)
                .ints("tokenizer.ggml.token_type", kinds).u32("tokenizer.ggml.bos_token_id", 1).u32("tokenizer.ggml.eos_token_id", 2);
    }

    /** The best pair is joined first: of "_abc", b and c (260), then _ and a (261); "_ab" scores more, but is not made of two of these; a and b score less. */
    @Test
    void mergesOfScoresBestFirst() throws IOException {
        try (Tokenizer tokenizer = open(ofScores())) {
            assertArrayEquals(new int[] {1, 261, 260}, tokenizer.encode("abc"));
            assertArrayEquals(new int[] {1, 259}, tokenizer.encode("ab"));
            assertArrayEquals(new int[] {1, 261, 261}, tokenizer.encode("a a"));
            int[] ids = tokenizer.encode("c\u20ac a");
            assertArrayEquals(new int[] {1, 263, 266, 3 + 0xe2, 3 + 0x82, 3 + 0xac, 261}, ids);
            assertEquals("c\u20ac a", tokenizer.decode(Arrays.stream(ids).boxed().toList()));
        }
    }

    @Test
    void aWholeTokenizerInTheFileIsTaken() throws IOException {
        ByteTokenizer.write(folder);
        String json = java.nio.file.Files.readString(folder.resolve("tokenizer.json"));
        try (Tokenizer tokenizer = open(file("strange").string("tokenizer.huggingface.json", json))) {
            assertArrayEquals(new int[] {0, 'h' + 1, 'i' + 1}, tokenizer.encode("hi"));
        }
    }

    @Test
    void unknownKindsAreNamed() throws IOException {
        Path strange = ofBytes("strange").write(folder.resolve("strange.gguf"));
        assertFalse(Tokenizer.isIn(strange));
        UnsupportedCheckpointException e = assertThrows(UnsupportedCheckpointException.class, () -> Tokenizer.open(strange));
        assertTrue(e.getMessage().contains("found a tokenizer that cuts text like \"strange\""), e.getMessage());
        Path silent = ofBytes("gpt-2").without("tokenizer.ggml.pre").write(folder.resolve("silent.gguf"));
        e = assertThrows(UnsupportedCheckpointException.class, () -> Tokenizer.open(silent));
        assertTrue(e.getMessage().contains("found a tokenizer that does not say how it cuts text"), e.getMessage());
        Path none = new GgufWriter().string("general.architecture", "llama").write(folder.resolve("none.gguf"));
        e = assertThrows(UnsupportedCheckpointException.class, () -> Tokenizer.open(none));
        assertTrue(e.getMessage().contains("found the file has no tokenizer; accepted: those of GPT-2"), e.getMessage());
    }

    @Test
    void listsOfOtherLengthsAreRefused() throws IOException {
        Path file = ofScores().floats("tokenizer.ggml.scores", 1, 2).write(folder.resolve("short.gguf"));
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class, () -> Tokenizer.open(file));
        assertTrue(e.getMessage().contains("key tokenizer.ggml.scores: found 2 elements; there are 268 tokens"), e.getMessage());
    }

    /** Writers give such ids to tokens that there are not. */
    @ParameterizedTest
    @ValueSource(longs = {268, 0xffff_ffffL})
    void idsOutsideTheVocabularyAreNoTokens(long none) throws IOException {
        try (Tokenizer tokenizer = open(ofScores().u32("tokenizer.ggml.bos_token_id", none))) {
            assertArrayEquals(new int[] {259}, tokenizer.encode("ab"));
        }
    }
}
