package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.checkpoint.container.Tensor;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/** SHA-256 of what a packed layer or model was made from. */
final class SourceHash {
    private static final int PIECE = 1 << 20;

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

    void add(Tensor tensor) {
        for (long at = 0; at < tensor.bytes(); at += PIECE) {
            digest.update(tensor.slice(at, (int) Math.min(PIECE, tensor.bytes() - at)));
        }
    }

    String finish() {
        return HexFormat.of().formatHex(digest.digest());
    }

    static String of(List<Tensor> tensors) {
        SourceHash hash = new SourceHash();
        tensors.forEach(hash::add);
        return hash.finish();
    }
}
