package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.checkpoint.container.Tensor;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Consumer;
import java.util.zip.CRC32C;

/**
 * CRC-32C of the bytes that a layer was packed from, one tensor behind the other. It tells a source that changed; it is no proof
 * against someone who wants two sources to look alike, and {@code verify} compares the numbers too. NOTES: SHA-256, which earlier
 * releases wrote, took a quarter of packing's time.
 */
final class SourceChecksum {
    private static final int PIECE = 1 << 20;
    private static final int SHA_256_DIGITS = 64;
    /** Stands for a checksum that is not known yet; as long as one. */
    static final String UNKNOWN = "0".repeat(8);

    private SourceChecksum() {
    }

    static String of(List<Tensor> tensors) {
        CRC32C checksum = new CRC32C();
        forEachPiece(tensors, checksum::update);
        return HexFormat.of().toHexDigits((int) checksum.getValue());
    }

    /** Whether {@code tensors} have a checksum, which may be an earlier release's. */
    static boolean matches(String checksum, List<Tensor> tensors) {
        if (checksum.length() != SHA_256_DIGITS) {
            return checksum.equals(of(tensors));
        }
        SourceHash hash = new SourceHash();
        forEachPiece(tensors, hash::add);
        return checksum.equals(hash.finish());
    }

    private static void forEachPiece(List<Tensor> tensors, Consumer<ByteBuffer> use) {
        for (Tensor tensor : tensors) {
            for (long at = 0; at < tensor.bytes(); at += PIECE) {
                use.accept(tensor.slice(at, (int) Math.min(PIECE, tensor.bytes() - at)));
            }
        }
    }
}
