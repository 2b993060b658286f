package io.github.jmarlin.cuda.image;

import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.plan.DeviceFacts;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/** Tells one build's kernels from another's. */
public final class ImageHash {
    private ImageHash() {
    }

    /**
     * A number of 128 bits, in hexadecimal, of the images that a device can get: their names, and of every module the bytes of the best.
     *
     * @throws KernelImageException if they cannot be read
     */
    public static String of(DeviceFacts device) {
        MessageDigest digest = sha256();
        for (String module : ImageManifest.read().images().stream().map(ImageFacts::module).distinct().sorted().toList()) {
            List<String> candidates = KernelImages.candidates(module, device);
            digest.update(candidates.toString().getBytes(StandardCharsets.UTF_8));
            if (!candidates.isEmpty()) {
                digest.update(KernelImages.read(candidates.get(0)).bytes());
            }
        }
        return HexFormat.of().formatHex(digest.digest(), 0, 16);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
