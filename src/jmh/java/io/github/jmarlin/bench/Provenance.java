package io.github.jmarlin.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** What a results file says about where it comes from, as far as this process can find out. */
public final class Provenance {
    /** System property that names the commit where there is no git, as in the GPU bundle. */
    public static final String COMMIT_PROPERTY = "jmarlin.commit";

    private Provenance() {
    }

    /**
     * The commit the program was built from: the property, or what git says about the current folder; {@code unknown}
     * otherwise.
     */
    public static String commit() {
        String property = System.getProperty(COMMIT_PROPERTY);
        if (property != null && !property.isBlank()) {
            return property;
        }
        return output(List.of("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")).orElse("unknown");
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
        return new RunInfo(device, false, whyNoGpu, null, Contenders.DENSE_JAVA, runtime.availableProcessors(), 0,
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
