package io.github.jmarlin.checkpoint.packed;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 of what a packed layer or model was made from. */
final class SourceHash {
    private final MessageDigest digest;

    SourceHash() {
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    void add(String text) {
        digest.update(text.getBytes(StandardCharsets.UTF_8));
        digest.update((byte) 0);
    }

    void add(ByteBuffer bytes) {
        digest.update(bytes);
    }

    String finish() {
        return HexFormat.of().formatHex(digest.digest());
    }
}
