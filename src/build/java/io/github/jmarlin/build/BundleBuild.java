package io.github.jmarlin.build;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Packs everything that a machine with a GPU but without Java needs into one archive: a trimmed Java runtime, the command line's
 * jar with kernels and benchmarks, the tests with JUnit, the C++ program for compute-sanitizer, the probe of what the Hopper
 * kernel's plan rests on, and {@code run.sh}.
 *
 * <p>Arguments: project folder, build folder, the command line's jar, JUnit's console jar. Leaves {@code
 * jmarlin-gpu-bundle.tar.gz} in the build folder. Needs the JDK's jlink, g++, nvcc, tar, gzip and compiled kernels; says so in
 * one line and exits 1 without.
 */
public final class BundleBuild {
    private static final long MOST_BYTES = 64_000_000;
    /**
     * Logging: JCuda. Management and unsupported: JMH. XML: JUnit's reports. Without java.desktop there are no charts, but 7 MB
     * less; a bare machine has no fonts to draw them with anyway, and {@code jmarlin bench --report} draws them elsewhere.
     */
    private static final String MODULES = "java.base,java.logging,java.management,java.xml,jdk.management,jdk.unsupported";
    /**
     * Left out of the command line's jar: the images, which lie beside it for the C++ program too, what only charts need, and the
     * tokenizers' native code for other platforms.
     */
    private static final List<String> NOT_IN_JAR = List.of("io/github/jmarlin/cuda/images/", "org/knowm/", "de/erichseifert/",
            "native/lib/linux-aarch64/", "native/lib/osx-", "native/lib/win-");
    private static final String IMAGES = "classes/io/github/jmarlin/cuda/images";
    /**
     * Images that others serve for: PTX for 9.0 but the Hopper kernels' has nothing that the one for 8.0 lacks, 8.9 runs the machine code
     * of 8.6, and 10.0 translates PTX.
     */
    private static final Pattern NOT_IN_BUNDLE = Pattern.compile("(?!hopper).*\\.compute_90a\\.ptx|.*\\.sm_(89|100)\\.cubin");

    private final Path project;
    private final Path build;
    private final Path bundle;

    private BundleBuild(Path project, Path build) {
        this.project = project;
        this.build = build;
        bundle = build.resolve("bundle");
    }

    public static void main(String[] args) throws IOException, InterruptedException {
        if (args.length != 4) {
            throw new IllegalArgumentException("usage: BundleBuild PROJECT BUILD CLI_JAR JUNIT_JAR, got " + List.of(args));
        }
        try {
            new BundleBuild(Path.of(args[0]), Path.of(args[1])).run(Path.of(args[2]), Path.of(args[3]));
        } catch (IOException e) {
            System.err.println("bundle: " + e.getMessage());
            System.exit(1);
        }
    }

    private void run(Path cli, Path junit) throws IOException, InterruptedException {
        if (!Files.isDirectory(build.resolve(IMAGES))) {
            throw new IOException("there are no kernels in " + build.resolve(IMAGES)
                    + ": a bundle needs nvcc (-Djmarlin.kernels=required)");
        }
        delete(bundle);
        Files.createDirectories(bundle.resolve("lib"));
        repack(cli, bundle.resolve("lib/jmarlin-cli.jar"));
        repack(junit, bundle.resolve("lib/junit.jar"));
        copyTree(build.resolve("test-classes"), bundle.resolve("tests"));
        copyTree(build.resolve(IMAGES), bundle.resolve("images"));
        leaveOut(bundle.resolve("images"));
        buildSanitizer();
        buildProbe();
        for (String script : List.of("run.sh", "parts.sh")) {
            Files.copy(project.resolve("src/bundle/" + script), bundle.resolve(script));
        }
        run(List.of("chmod", "755", bundle.resolve("run.sh").toString()));
        Files.writeString(bundle.resolve("COMMIT"), commit() + "\n");
        // Uncompressed, since the archive compresses better.
        run(List.of(Path.of(System.getProperty("java.home"), "bin", "jlink").toString(), "--add-modules", MODULES,
                "--strip-debug",
                "--no-header-files", "--no-man-pages", "--compress=0", "--output", bundle.resolve("jre").toString()));
        archive();
    }

    private static void leaveOut(Path images) throws IOException {
        try (Stream<Path> files = Files.list(images)) {
            for (Path file : files.filter(each -> NOT_IN_BUNDLE.matcher(each.getFileName().toString()).matches()).toList()) {
                Files.delete(file);
            }
        }
    }

    private void buildSanitizer() throws IOException, InterruptedException {
        Files.createDirectories(bundle.resolve("sanitize"));
        run(List.of("g++", "-std=c++17", "-O1", "-s", "-Isrc/test/cuda",
                "-Isrc/main/cuda", "-o", bundle.resolve("sanitize/sanitize").toString(), "src/test/cuda/sanitize/sanitize.cpp",
                "-static-libstdc++", "-static-libgcc", "-ldl"));
    }

    private void buildProbe() throws IOException, InterruptedException {
        Files.createDirectories(bundle.resolve("probe"));
        run(List.of(nvcc(), "-std=c++17", "-O3", "-Isrc/main/cuda", "-gencode=arch=compute_90a,code=sm_90a",
                "-o", bundle.resolve("probe/hopper_probe").toString(), "src/bench/cuda/hopper_probe.cu"));
    }

    private static String nvcc() {
        String home = System.getenv("CUDA_HOME");
        return Stream.of(home + "/bin/nvcc", "/usr/local/cuda/bin/nvcc").filter(file -> Files.isRegularFile(Path.of(file)))
                .findFirst().orElse("nvcc");
    }

    /** Copies a jar without compressing it: compressed as a whole the archive becomes a fifth smaller. */
    private static void repack(Path from, Path to) throws IOException {
        try (ZipFile jar = new ZipFile(from.toFile()); ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(to))) {
            for (ZipEntry entry : (Iterable<ZipEntry>) jar.stream().map(ZipEntry.class::cast)::iterator) {
                if (NOT_IN_JAR.stream().noneMatch(entry.getName()::startsWith)) {
                    byte[] bytes = jar.getInputStream(entry).readAllBytes();
                    CRC32 checksum = new CRC32();
                    checksum.update(bytes);
                    ZipEntry stored = new ZipEntry(entry.getName());
                    stored.setTime(0);
                    stored.setMethod(ZipEntry.STORED);
                    stored.setSize(bytes.length);
                    stored.setCrc(checksum.getValue());
                    out.putNextEntry(stored);
                    out.write(bytes);
                }
            }
        }
    }

    private String commit() throws InterruptedException {
        try {
            return run(List.of("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")).strip();
        } catch (IOException e) {
            return "unknown";
        }
    }

    /** The same files give the same bytes. */
    private void archive() throws IOException, InterruptedException {
        Path tar = build.resolve("jmarlin-gpu-bundle.tar");
        Path archive = build.resolve("jmarlin-gpu-bundle.tar.gz");
        Files.deleteIfExists(archive);
        run(List.of("tar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-C", build.toString(),
                "-cf", tar.toString(), "bundle"));
        run(List.of("gzip", "-9n", tar.toString()));
        long bytes = Files.size(archive);
        System.out.printf("bundle: %s, %.1f MB%n", archive, bytes / 1e6);
        if (bytes > MOST_BYTES) {
            throw new IOException(archive + " has " + bytes + " bytes, at most " + MOST_BYTES + " allowed");
        }
    }

    private String run(List<String> command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).directory(project.toFile()).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IOException(String.join(" ", command) + " failed with exit code " + process.exitValue() + ":\n" + output);
        }
        return output;
    }

    private static void copyTree(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                Path target = to.resolve(from.relativize(file).toString());
                if (Files.isDirectory(file)) {
                    Files.createDirectories(target);
                } else {
                    Files.copy(file, target, StandardCopyOption.REPLACE_EXISTING);
                }
            }
        }
    }

    private static void delete(Path folder) throws IOException {
        if (Files.exists(folder)) {
            try (Stream<Path> files = new ArrayList<>(Files.walk(folder).toList()).stream().sorted(Comparator.reverseOrder())) {
                files.forEach(file -> {
                    try {
                        Files.delete(file);
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                });
            }
        }
    }
}
