package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.JMarlinException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** tokenizer.json both ways, and text that comes in pieces of characters. */
final class TokenizerTest {
    @TempDir
    Path folder;

    private static List<Integer> list(int[] ids) {
        List<Integer> list = new ArrayList<>();
        for (int id : ids) {
            list.add(id);
        }
        return list;
    }

    @Test
    void bothWays() throws IOException {
        ByteTokenizer.write(folder);
        try (Tokenizer tokenizer = Tokenizer.open(folder)) {
            assertArrayEquals(new int[] {0, 'H' + 1, 'i' + 1, ' ' + 1, 0xc3 + 1, 0xa9 + 1}, tokenizer.encode("Hi \u00e9"));
            assertEquals("Hi \u00e9", tokenizer.decode(list(tokenizer.encode("Hi \u00e9"))));
            // Longer than the library's own limit, of which nothing may be cut off.
            assertEquals(5001, tokenizer.encode("x".repeat(5000)).length);
        }
    }

    @Test
    void noTokenizer() throws IOException {
        JMarlinException missing = assertThrows(JMarlinException.class, () -> Tokenizer.open(folder));
        assertEquals(folder + ": tokenizer.json: found nothing; a prompt in words needs it; token ids do not (--ids)",
                missing.getMessage());
        Files.writeString(folder.resolve("tokenizer.json"), "{\"model\": 3}");
        JMarlinException broken = assertThrows(JMarlinException.class, () -> Tokenizer.open(folder));
        assertTrue(broken.getMessage().startsWith(folder.resolve("tokenizer.json") + ": content: found "), broken.getMessage());
        assertTrue(broken.getMessage().endsWith("; must be a tokenizer of Hugging Face's"), broken.getMessage());
    }

    /** Whatever the characters' lengths, each comes out once it is whole and not before. */
    @ParameterizedTest
    @ValueSource(strings = {"plain", "na\u00efve caf\u00e9", "\u4f60\u597d, \ud83d\ude00!", "\ud83d\udc69\u200d\ud83d\udd2c lab", ""})
    void charactersInPieces(String text) throws IOException {
        ByteTokenizer.write(folder);
        try (Tokenizer tokenizer = Tokenizer.open(folder)) {
            int[] prompt = tokenizer.encode("Say: ");
            TextStream stream = new TextStream(tokenizer::decode, prompt);
            StringBuilder shown = new StringBuilder();
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            for (int i = 0; i < bytes.length; i++) {
                shown.append(stream.add((bytes[i] & 0xff) + 1));
                String whole = new String(bytes, 0, i + 1, StandardCharsets.UTF_8).replace("\ufffd", "");
                assertEquals(whole, shown.toString(), "after byte " + i);
            }
            assertEquals("", stream.finish());
        }
    }

    @Test
    void charactersThatNeverGetWhole() throws IOException {
        ByteTokenizer.write(folder);
        try (Tokenizer tokenizer = Tokenizer.open(folder)) {
            TextStream stream = new TextStream(tokenizer::decode, new int[] {0});
            assertEquals("", stream.add(0xe4 + 1));
            assertEquals("\ufffda", stream.add('a' + 1));
            assertEquals("", stream.add(0xe4 + 1));
            assertEquals("\ufffd", stream.finish());
            String endless = "";
            for (int i = 0; i < 12; i++) {
                endless += stream.add(0x80 + 1);
            }
            assertTrue(endless.length() >= 8, "nothing is held back for ever: " + endless.length());
        }
    }
}
