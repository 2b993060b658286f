package io.github.jmarlin.cli;

import io.github.jmarlin.llama.Decoder;
import io.github.jmarlin.llama.Generation;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The model of our own that the command line's jar has ({@code src/model} tells how it was made): a folder as people download it, in
 * the temporary folder until it is closed. A token is a byte; byte 0 begins and ends a tale.
 */
final class Tales implements AutoCloseable {
    /** What commands call it. */
    static final String NAME = "tales";

    private static final int END = 0;
    private static final List<String> FILES = List.of("config.json", "generation_config.json", "tokenizer.json", "model.safetensors");

    private final Path folder;

    Tales() throws IOException {
        folder = Files.createTempDirectory("jmarlin-tales");
        try {
            for (String file : FILES) {
                try (InputStream content = resource(file)) {
                    Files.copy(content, folder.resolve(file));
                }
            }
        } catch (IOException | RuntimeException e) {
            close();
            throw e;
        }
    }

    /** Whether a command's MODEL is this one; a folder of that name comes first. */
    static boolean isMeant(Path model) {
        return model.toString().equals(NAME) && !Files.exists(model);
    }

    private static InputStream resource(String file) {
        return Tales.class.getResourceAsStream("tales/" + file);
    }

    Path folder() {
        return folder;
    }

    /** Tales that the model was not trained on. */
    static List<int[]> heldOut() throws IOException {
        return whole("held-out.txt");
    }

    /** Others, to calibrate with. */
    static List<int[]> calibration() throws IOException {
        return whole("calibration.txt");
    }

    private static List<int[]> whole(String file) throws IOException {
        try (InputStream content = resource(file)) {
            return new String(content.readAllBytes(), StandardCharsets.UTF_8).lines().map(tale -> tokens(tale, true)).toList();
        }
    }

    /** The tokens of a beginning. */
    static int[] beginning(String text) {
        return tokens(text, false);
    }

    /** What a model says after a beginning, the likeliest token each time, up to the end of the tale or of what it was made for. */
    static Generation.Result tell(Decoder decoder, String beginning) {
        int[] begun = beginning(beginning);
        Generation.Settings settings = new Generation.Settings(decoder.config().positions() - begun.length, 0, 1, 0);
        return new Generation(decoder, settings, (prompt, token) -> { }).run(List.of(begun));
    }

    /** Tokens as text, without the end. */
    static String text(List<Integer> tokens) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (int token : tokens) {
            if (token != END) {
                bytes.write(token);
            }
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private static int[] tokens(String text, boolean ended) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int[] tokens = new int[1 + bytes.length + (ended ? 1 : 0)];
        tokens[0] = END;
        for (int i = 0; i < bytes.length; i++) {
            tokens[1 + i] = Byte.toUnsignedInt(bytes[i]);
        }
        if (ended) {
            tokens[tokens.length - 1] = END;
        }
        return tokens;
    }

    /** Deletes the folder. */
    @Override
    public void close() {
        try {
            for (String file : FILES) {
                Files.deleteIfExists(folder.resolve(file));
            }
            Files.deleteIfExists(folder);
        } catch (IOException e) {
            // NOTES: Windows does not delete a file that is still mapped; it then stays in the temporary folder.
            if (!System.getProperty("os.name").startsWith("Windows")) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
