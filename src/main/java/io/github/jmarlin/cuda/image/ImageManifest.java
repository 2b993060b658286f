package io.github.jmarlin.cuda.image;

import io.github.jmarlin.KernelImageException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.stream.Stream;

/**
 * What the build wrote beside the kernel images: which there are and what compiled them.
 *
 * @param origin the folder that was looked at, or "the jar"
 * @param nvcc version of the compiler, as in 13.0.88; empty if unknown
 * @param images those that are there; empty if there are none
 */
public record ImageManifest(String origin, String nvcc, List<ImageFacts> images) {
    private static final String FILE = "images.properties";

    /**
     * The images that would be loaded: of the folder that {@code -Djmarlin.images} names, else of the class path.
     *
     * @throws KernelImageException if they cannot be read
     */
    public static ImageManifest read() {
        String folder = System.getProperty(KernelImages.FOLDER_PROPERTY);
        try {
            Properties properties = properties();
            return new ImageManifest(KernelImages.place(), properties.getProperty("nvcc", ""),
                    (folder == null ? listed(properties) : files(Path.of(folder))).stream()
                            .map(file -> ImageFacts.of(file, properties)).toList());
        } catch (IOException | IllegalArgumentException e) {
            throw new KernelImageException("the kernel images in " + KernelImages.place() + " cannot be read: " + e, e);
        }
    }

    /** What is known of one image; facts that say nothing if the build wrote nothing or cannot be read. */
    public static ImageFacts facts(String file) {
        try {
            return ImageFacts.of(file, properties());
        } catch (IOException | IllegalArgumentException e) {
            return ImageFacts.of(file, new Properties());
        }
    }

    private static Properties properties() throws IOException {
        Properties properties = new Properties();
        try {
            properties.load(new ByteArrayInputStream(KernelImages.bytes(FILE)));
        } catch (NoSuchFileException e) {
            return properties;      // somebody's own folder needs none, a build without kernels has none
        }
        return properties;
    }

    private static List<String> listed(Properties properties) {
        String images = properties.getProperty("images", "");
        return images.isBlank() ? List.of() : List.of(images.split(","));
    }

    private static List<String> files(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".cubin") || name.endsWith(".ptx")).sorted().toList();
        }
    }
}
