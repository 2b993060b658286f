package io.github.jmarlin.cuda;

import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.plan.DeviceFacts;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.stream.Stream;

/**
 * What the build wrote beside the kernel images: which there are and what compiled them.
 *
 * @param origin the folder or class-path folder that was looked at
 * @param nvcc version of the compiler, as in 13.0.88; empty if unknown
 * @param images file names; empty if there are none
 */
public record ImageManifest(String origin, String nvcc, List<String> images) {
    private static final String FILE = "images.properties";

    /** The images that would be loaded: of the folder that {@code -Djmarlin.images} names, else of the class path. */
    public static ImageManifest read() {
        String folder = System.getProperty(KernelImages.FOLDER_PROPERTY);
        try {
            return folder == null ? ofClassPath() : ofFolder(Path.of(folder));
        } catch (IOException | IllegalArgumentException e) {
            throw new KernelImageException("the kernel images in " + (folder == null ? "the jar" : folder) + " cannot be read: " + e, e);
        }
    }

    private static ImageManifest ofClassPath() throws IOException {
        Properties properties = new Properties();
        try (InputStream in = ImageManifest.class.getResourceAsStream("images/" + FILE)) {
            if (in != null) {
                properties.load(in);
            }
        }
        String images = properties.getProperty("images", "");
        return new ImageManifest("the jar", properties.getProperty("nvcc", ""), images.isBlank() ? List.of() : List.of(images.split(",")));
    }

    /** Somebody's own folder needs no manifest: its files tell. */
    private static ImageManifest ofFolder(Path folder) throws IOException {
        Properties properties = new Properties();
        if (Files.isRegularFile(folder.resolve(FILE))) {
            try (InputStream in = Files.newInputStream(folder.resolve(FILE))) {
                properties.load(in);
            }
        }
        if (!Files.isDirectory(folder)) {
            return new ImageManifest(folder.toString(), "", List.of());
        }
        try (Stream<Path> files = Files.list(folder)) {
            return new ImageManifest(folder.toString(), properties.getProperty("nvcc", ""), files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".cubin") || name.endsWith(".ptx")).sorted().toList());
        }
    }

    /** The image of a kernel family that a device needs, whether or not it is there. */
    public static String imageFor(String family, DeviceFacts device) {
        return KernelImages.fileName(family, device);
    }
}
