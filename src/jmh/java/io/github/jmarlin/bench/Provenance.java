package io.github.jmarlin.bench;

import io.github.jmarlin.bench.host.DenseLibrary;
import java.io.IOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarFile;
import java.util.jar.Manifest;

/** What a results file says about where it comes from, as far as this process can find out. */
public final class Provenance {
    /** System property that names the commit where there is no git, as in the GPU bundle. */
    public static final String COMMIT_PROPERTY = "jmarlin.commit";

    /** What the build writes into the manifest. */
    static final String COMMIT_ATTRIBUTE = "JMarlin-Commit";

    private Provenance() {
    }

    /**
     * The commit the program was built from: the property, or what the manifest of its jar says, or, without a jar, what git says
     * about the current folder; {@code unknown} otherwise.
     */
    public static String commit() {
        String property = System.getProperty(COMMIT_PROPERTY);
        if (property != null && !property.isBlank()) {
            return property;
        }
        CodeSource source = Provenance.class.getProtectionDomain().getCodeSource();
        if (source != null && source.getLocation().getPath().endsWith(".jar")) {
            return ofJar(source.getLocation());
        }
        return output(List.of("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")).orElse("unknown");
    }

    private static String ofJar(URL jar) {
        try (JarFile file = new JarFile(Path.of(jar.toURI()).toFile())) {
            Manifest manifest = file.getManifest();
            String commit = manifest == null ? null : manifest.getMainAttributes().getValue(COMMIT_ATTRIBUTE);
            return commit == null ? "unknown" : commit;
        } catch (IOException | URISyntaxException e) {
            return "unknown";
        }
    }

    /** Version and vendor of the JVM. */
    public static String java() {
        return System.getProperty("java.version") + " (" + System.getProperty("java.vm.name") + ")";
    }

    /** Operating system and architecture. */
    public static String system() {
        return System.getProperty("os.name") + " " + System.getProperty("os.version") + " " + System.getProperty("os.arch");
    }

    /** The record of a run on the CPU. */
    public static RunInfo ofCpu(String device, String whyNoGpu) {
        Runtime runtime = Runtime.getRuntime();
        String dense = DenseLibrary.find().map(DenseLibrary::name).orElse("a plain Java loop: no OpenBLAS on the class path");
        return new RunInfo(device, false, whyNoGpu, null, dense, runtime.availableProcessors(), 0,
                runtime.maxMemory(), java(), system(), commit());
    }

    /** The first line a program prints; nothing if it is not there, fails, or takes long. */
    public static Optional<String> output(List<String> command) {
        try {
            Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
            String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            boolean ended = process.waitFor(10, TimeUnit.SECONDS);
            if (!ended) {
                process.destroyForcibly();
            }
            return ended && process.exitValue() == 0 ? text.lines().findFirst().filter(line -> !line.isBlank())
                    : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.empty();
        }
    }
}
