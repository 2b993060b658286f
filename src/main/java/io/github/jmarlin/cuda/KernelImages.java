package io.github.jmarlin.cuda;

import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.plan.DeviceFacts;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Properties;

/**
 * The compiled kernels: in the jar, or in the folder that {@code -Djmarlin.images} names.
 *
 * <p>Machine code for the architectures it was made for, PTX that the driver compiles for newer ones:
 * <pre>
 *   compute capability 8.x   striped.sm_80.cubin
 *   9.0                      striped.sm_90a.cubin
 *   10.0 and newer           striped.compute_80.ptx
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

    /** The file that holds the kernels of a family for a device. */
    static String fileName(String family, DeviceFacts device) {
        int capability = device.computeCapability();
        if (device.computeMajor() == 8) {
            return family + ".sm_80.cubin";
        }
        return capability == 90 ? family + ".sm_90a.cubin" : family + ".compute_80.ptx";
    }

    /** Whether there are kernels of a family for a device. */
    static boolean exists(String family, DeviceFacts device) {
        String folder = System.getProperty(FOLDER_PROPERTY);
        String file = fileName(family, device);
        return folder == null ? KernelImages.class.getResource(RESOURCES + file) != null : Files.exists(Path.of(folder, file));
    }

    /**
     * The kernels of a family for a device.
     *
     * @throws KernelImageException if there are none
     */
    public static Image load(String family, DeviceFacts device) {
        String file = fileName(family, device);
        String folder = System.getProperty(FOLDER_PROPERTY);
        String origin = folder == null ? "resource " + RESOURCES + file : Path.of(folder, file).toString();
        try {
            byte[] bytes = read(folder, file);
            return new Image(origin, file.endsWith(".ptx") ? java.util.Arrays.copyOf(bytes, bytes.length + 1) : bytes);
        } catch (NoSuchFileException e) {
            throw new KernelImageException("no kernel image for " + device + ": " + origin
                    + " does not exist; a build finds nvcc in CUDA_HOME or PATH and adds it, -D" + FOLDER_PROPERTY
                    + " names a folder with images", e);
        } catch (IOException e) {
            throw new KernelImageException("kernel image " + origin + " cannot be read: " + e, e);
        }
    }

    /** What the build wrote about its compiler, for messages; empty if nothing. */
    static String compiler() {
        try {
            Properties manifest = new Properties();
            manifest.load(new java.io.ByteArrayInputStream(read(System.getProperty(FOLDER_PROPERTY), "images.properties")));
            return manifest.getProperty("nvcc", "");
        } catch (IOException e) {
            return "";
        }
    }

    private static byte[] read(String folder, String file) throws IOException {
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
