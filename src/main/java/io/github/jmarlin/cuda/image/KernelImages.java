package io.github.jmarlin.cuda.image;

import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.plan.DeviceFacts;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The compiled kernels: in the jar, or in the folder that {@code -Djmarlin.images} names.
 *
 * <p>An image is a module (a kernel family, or one of its tiles: {@code striped_m8_n64}) compiled for one target: machine code, or PTX
 * that the driver compiles. For a device those that could serve are tried in this order:
 * <pre>
 *   1  machine code of its architecture          8.6: striped_m8_n64.sm_86.cubin     9.0: striped_m8_n64.sm_90a.cubin
 *   2  of an older one of the same major version 8.6: striped_m8_n64.sm_80.cubin
 *   3  PTX with the features of its architecture                                     9.0: striped_m8_n64.compute_90a.ptx
 *   4  PTX of any architecture from 8.0 on       striped_m8_n64.compute_80.ptx
 * </pre>
 */
public final class KernelImages {
    /** The property that names a folder to take the images from instead of the jar. */
    public static final String FOLDER_PROPERTY = "jmarlin.images";

    private static final String RESOURCES = "/io/github/jmarlin/cuda/images/";

    private KernelImages() {
    }

    /**
     * An image and where it is from.
     *
     * @param file its name
     * @param origin a path or resource name
     * @param bytes as the driver takes them: PTX ends with a zero byte
     */
    public record Image(String file, String origin, byte[] bytes) {}

    /** The files that could hold a module's kernels for a device, best first, whether or not they are there. */
    private static List<String> fileNames(String module, DeviceFacts device) {
        int capability = device.computeCapability();
        List<String> names = new ArrayList<>();
        names.add(module + ".sm_" + capability + "a.cubin");
        for (int older = capability; older >= 10 * device.computeMajor(); older--) {
            names.add(module + ".sm_" + older + ".cubin");
        }
        names.add(module + ".compute_" + capability + "a.ptx");
        names.add(module + ".compute_80.ptx");
        return names;
    }

    /** The files that are there and could hold a module's kernels for a device, best first; empty if none is. */
    public static List<String> candidates(String module, DeviceFacts device) {
        return fileNames(module, device).stream().filter(KernelImages::exists).toList();
    }

    /** Where images are looked for, as messages name it. */
    public static String place() {
        String folder = System.getProperty(FOLDER_PROPERTY);
        return folder == null ? "the jar" : folder;
    }

    /** What there ought to be where {@link #candidates} finds nothing, in one sentence. */
    public static String missing(String module, DeviceFacts device) {
        return "no kernel image of " + module + " for " + device + " in " + place() + ": a build with nvcc adds those that there are"
                + " (-Djmarlin.targets=all), -D" + FOLDER_PROPERTY + " names a folder with images";
    }

    private static boolean exists(String file) {
        String folder = System.getProperty(FOLDER_PROPERTY);
        return folder == null ? KernelImages.class.getResource(RESOURCES + file) != null : Files.exists(Path.of(folder, file));
    }

    /**
     * An image.
     *
     * @param file one of {@link #candidates}
     * @throws KernelImageException if it cannot be read
     */
    public static Image read(String file) {
        String folder = System.getProperty(FOLDER_PROPERTY);
        String origin = folder == null ? "resource " + RESOURCES + file : Path.of(folder, file).toString();
        try {
            byte[] bytes = bytes(file);
            return new Image(file, origin, file.endsWith(".ptx") ? Arrays.copyOf(bytes, bytes.length + 1) : bytes);
        } catch (IOException e) {
            throw new KernelImageException("kernel image " + origin + " cannot be read: " + e, e);
        }
    }

    static byte[] bytes(String file) throws IOException {
        String folder = System.getProperty(FOLDER_PROPERTY);
        if (folder != null) {
            return Files.readAllBytes(Path.of(folder, file));
        }
        try (InputStream in = KernelImages.class.getResourceAsStream(RESOURCES + file)) {
            if (in == null) {
                throw new NoSuchFileException(RESOURCES + file);
            }
            return in.readAllBytes();
        }
    }
}
