package io.github.jmarlin.checkpoint.container;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Recognises what lies in place of a file when a download went wrong or a name lies: a Git LFS pointer, a web page, an error
 * message, weights of another container. Told from its first bytes.
 */
public final class ForeignContent {
    private static final int LOOKED_AT = 1024;
    private static final Pattern LFS_SIZE = Pattern.compile("(?m)^size (\\d{1,18})$");

    private ForeignContent() {
    }

    /** What the file is, and what to do, as an exception; null if its first bytes tell nothing. */
    public static MalformedCheckpointException of(Path path, ByteBuffer start, String expected) {
        byte[] head = new byte[Math.min(LOOKED_AT, start.remaining())];
        start.duplicate().get(head);
        String text = new String(head, StandardCharsets.ISO_8859_1);
        String trimmed = text.stripLeading().toLowerCase(Locale.ROOT);
        if (trimmed.startsWith("version https://git-lfs")) {
            Matcher size = LFS_SIZE.matcher(text);
            return wrong(path, "a Git LFS pointer" + (size.find() ? " to " + size.group(1) + " bytes" : ""),
                    "the file itself was not downloaded: `git lfs pull` fetches it");
        }
        if (trimmed.startsWith("<!doctype") || trimmed.startsWith("<html") || trimmed.startsWith("<?xml")) {
            return wrong(path, "a web page", "must be " + expected + ": download the file itself, not the page that shows it");
        }
        String container = container(text);
        if (container != null) {
            return wrong(path, container, "must be " + expected);
        }
        if (isText(head)) {
            return wrong(path, "the text \"" + text.strip().lines().findFirst().orElse("") + "\"", "must be " + expected);
        }
        return null;
    }

    private static String container(String text) {
        if (text.startsWith("GGUF")) {
            return "a GGUF file (which is a model by itself: name the file)";
        }
        if (text.startsWith("PK\3\4")) {
            return "a zip archive, as PyTorch writes";
        }
        if (text.startsWith("\u0080\2") || text.startsWith("\u0080\4")) {
            return "a Python pickle";
        }
        if (text.startsWith("\u0089HDF")) {
            return "an HDF5 file";
        }
        return text.startsWith("\u001f\u008b") ? "a gzip archive" : null;
    }

    /** Whether all of it is printable ASCII: the length field of a safetensors file never is. */
    private static boolean isText(byte[] head) {
        for (byte b : head) {
            if ((b < ' ' || b > '~') && b != '\n' && b != '\r' && b != '\t') {
                return false;
            }
        }
        return head.length >= Long.BYTES;
    }

    private static MalformedCheckpointException wrong(Path path, String found, String rule) {
        return new MalformedCheckpointException(path, "content", found, rule);
    }
}
