package io.github.jmarlin.cuda;

import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.plan.DeviceFacts;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;

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
    /** Names a folder to take the images from instead of the jar. */
    static final String FOLDER_PROPERTY = "jmarlin.images";

    private static final String RESOURCES = "/io/github/jmarlin/cuda/images/";

    private KernelImages() {
    }

    /**
     * An image and where it is from.
     *
     * @param origin a path or resource name
     * @param bytes as the driver takes them: PTX ends with a zero byte
     */
    public record Image(String origin, byte[] bytes) {}

    /** The files that could hold a module's kernels for a device, best first, whether or not they are there. */
    static List<String> fileNames(String module, DeviceFacts device) {
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

    /** The best file that is there for a module and a device; the one that any device could use if there is none. */
    static String fileName(String module, DeviceFacts device) {
        List<String> names = fileNames(module, device);
        return names.stream().filter(KernelImages::exists).findFirst().orElse(names.get(names.size() - 1));
    }

    /** Whether there are kernels of a module for a device. */
    static boolean exists(String module, DeviceFacts device) {
        return fileNames(module, device).stream().anyMatch(KernelImages::exists);
    }

    private static boolean exists(String file) {
        String folder = System.getProperty(FOLDER_PROPERTY);
        return folder == null ? KernelImages.class.getResource(RESOURCES + file) != null : Files.exists(Path.of(folder, file));
    }

    /**
     * All images of a module that could serve a device, best first; at least one.
     *
     * @throws KernelImageException if there is none
     */
    public static List<Image> all(String module, DeviceFacts device) {
        List<String> there = fileNames(module, device).stream().filter(KernelImages::exists).toList();
        if (there.isEmpty()) {
            throw new KernelImageException("no kernel image for " + device + ": " + origin(fileName(module, device))
                    + " does not exist; a build finds nvcc in CUDA_HOME or PATH and adds it, -D" + FOLDER_PROPERTY
                    + " names a folder with images");
        }
        return there.stream().map(KernelImages::read).toList();
    }

    /**
     * The best image of a module for a device.
     *
     * @throws KernelImageException if there is none
     */
    public static Image load(String module, DeviceFacts device) {
        return all(module, device).get(0);
    }

    private static Image read(String file) {
        try {
            byte[] bytes = bytes(file);
            return new Image(origin(file), file.endsWith(".ptx") ? Arrays.copyOf(bytes, bytes.length + 1) : bytes);
        } catch (IOException e) {
            throw new KernelImageException("kernel image " + origin(file) + " cannot be read: " + e, e);
        }
    }

    private static String origin(String file) {
        String folder = System.getProperty(FOLDER_PROPERTY);
        return folder == null ? "resource " + RESOURCES + file : Path.of(folder, file).toString();
    }

    /** What the build wrote about its compiler, for messages; empty if nothing. */
    static String compiler() {
        try {
            Properties manifest = new Properties();
            manifest.load(new ByteArrayInputStream(bytes("images.properties")));
            return manifest.getProperty("nvcc", "");
        } catch (IOException e) {
            return "";
        }
    }

    private static byte[] bytes(String file) throws IOException {
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
