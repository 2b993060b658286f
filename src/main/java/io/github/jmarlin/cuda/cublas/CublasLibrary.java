package io.github.jmarlin.cuda.cublas;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import jcuda.LibUtils;
import jcuda.Pointer;

/**
 * Makes {@code jcuda.jcublas.JCublas2} usable with cuBLAS 12 and with cuBLAS 13. {@link #load} has to run before anything else
 * touches that class; it never throws, and its outcome with the reason is kept.
 *
 * <p>JCublas2 12.6 is linked against libcublas.so.12. Where only 13 is installed, its native half is {@linkplain ElfDependency
 * retargeted} in memory: every function it uses is still there with the same signature. cuBLAS itself is looked for in
 * {@code -Djmarlin.cublas=FOLDER}, {@code $CUBLAS_DIR}, {@code $LD_LIBRARY_PATH}, the toolkit's usual folders and the system's
 * library cache, in this order.
 */
public final class CublasLibrary {
    /** System property: the folder that holds libcublas.so.12 or libcublas.so.13. */
    public static final String FOLDER_PROPERTY = "jmarlin.cublas";

    /** The version JCublas2 was built for comes first: it needs no change. */
    private static final int[] VERSIONS = {12, 13};
    private static final String BUILT_FOR = "libcublas.so.12";
    private static final List<String> USUAL_FOLDERS = List.of("/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib",
            "/usr/lib/x86_64-linux-gnu", "/usr/lib64");

    private static final String BINDING = "jcuda.jcublas.JCublas2";

    private static CublasLibrary loaded;

    private final boolean available;
    private final String description;

    private CublasLibrary(boolean available, String description) {
        this.available = available;
        this.description = description;
    }

    /** Loads cuBLAS through JCublas2 on the first call; later calls return the same outcome. */
    public static synchronized CublasLibrary load() {
        if (loaded == null) {
            loaded = tryLoad();
        }
        return loaded;
    }

    /** Whether JCublas2 can be called. */
    public boolean isAvailable() {
        return available;
    }

    /** @throws IllegalStateException with the reason, unless JCublas2 can be called */
    public void require() {
        if (!available) {
            throw new IllegalStateException("no cuBLAS: " + description);
        }
    }

    /** Which library it is and where it was found, or why there is none. */
    public String description() {
        return description;
    }

    private static CublasLibrary tryLoad() {
        if (!hasBinding()) {
            return new CublasLibrary(false, "JCublas is not on the class path: add org.jcuda:jcublas and, with the classifier"
                    + " linux-x86_64, org.jcuda:jcublas-natives");
        }
        List<String> reasons = new ArrayList<>();
        for (int version : VERSIONS) {
            try {
                Optional<Path> folder = folderOf("libcublas.so." + version);
                Path binding = writeBinding(version);
                preload(folder, version);
                // Fails harmlessly where this version is missing; after JCublas2 itself has failed once it stays unusable.
                System.load(binding.toString());
                initialize(binding.getParent());
                return new CublasLibrary(true, "cuBLAS " + version + " from "
                        + folder.map(Path::toString).orElse("the library cache"));
            } catch (IOException | ReflectiveOperationException | LinkageError | IllegalArgumentException e) {
                reasons.add(reason(e));
            }
        }
        return new CublasLibrary(false, String.join("; ", reasons));
    }

    /** Looks for JCublas2 without initializing it: that loads natives, and can be tried only once. */
    private static boolean hasBinding() {
        try {
            Class.forName(BINDING, false, CublasLibrary.class.getClassLoader());
            return true;
        } catch (ClassNotFoundException | LinkageError e) {
            return false;
        }
    }

    /** The dynamic linker's own words, without the path of the temporary file that needed the library. */
    private static String reason(Throwable e) {
        String message = String.valueOf(e.getMessage());
        int words = message.indexOf(": libcublas");
        return words < 0 ? message : message.substring(words + 2);
    }

    private static Optional<Path> folderOf(String library) {
        return folders().stream().filter(folder -> Files.exists(folder.resolve(library))).findFirst();
    }

    private static Set<Path> folders() {
        List<String> names = new ArrayList<>();
        names.add(System.getProperty(FOLDER_PROPERTY));
        names.add(System.getenv("CUBLAS_DIR"));
        String path = System.getenv("LD_LIBRARY_PATH");
        if (path != null) {
            names.addAll(List.of(path.split(File.pathSeparator)));
        }
        names.addAll(USUAL_FOLDERS);
        Set<Path> folders = new LinkedHashSet<>();
        names.stream().filter(name -> name != null && !name.isEmpty())
                .forEach(name -> folders.add(Path.of(name).toAbsolutePath()));
        return folders;
    }

    /** Loads cuBLAS by its full path; the dynamic linker then recognizes it by name wherever the binding asks for it. */
    private static void preload(Optional<Path> folder, int version) {
        if (folder.isPresent()) {
            for (String name : List.of("libcublasLt.so." + version, "libcublas.so." + version)) {
                Path library = folder.get().resolve(name);
                if (Files.exists(library)) {
                    System.load(library.toString());
                }
            }
        }
    }

    /** JCublas2's native half for this version of cuBLAS, as the only file of a folder of its own. */
    private static Path writeBinding(int version) throws IOException {
        String file = LibUtils.createPlatformLibraryName("JCublas2-" + jcuda.JCudaVersion.get());
        file = System.mapLibraryName(file);
        byte[] library;
        try (InputStream in = Pointer.class.getResourceAsStream("/lib/" + file)) {
            if (in == null) {
                throw new IOException("no native JCublas2 for this platform: /lib/" + file + " is not on the class path");
            }
            library = in.readAllBytes();
        }
        String wanted = "libcublas.so." + version;
        if (!wanted.equals(BUILT_FOR)) {
            ElfDependency.rename(library, BUILT_FOR, wanted);
        }
        Path folder = Files.createTempDirectory("jmarlin-cublas");
        folder.toFile().deleteOnExit();
        Path binding = Files.write(folder.resolve(file), library);
        binding.toFile().deleteOnExit();
        return binding;
    }

    /**
     * Lets JCublas2 find the binding already extracted: it looks in the temporary folder before it writes there. NOTES: under the
     * name that it looks for, so a retargeted binding must not lie in the real temporary folder, where other programs would find it.
     */
    private static void initialize(Path folder) throws ClassNotFoundException {
        String before = System.getProperty("java.io.tmpdir");
        System.setProperty("java.io.tmpdir", folder.toString());
        try {
            Class.forName(BINDING);
        } finally {
            System.setProperty("java.io.tmpdir", before);
        }
    }
}
