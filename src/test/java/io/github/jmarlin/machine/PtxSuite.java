package io.github.jmarlin.machine;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;

/** The program of the kernels' cases, {@code src/test/cuda/suites}, and the PTX texts that it executes. */
final class PtxSuite {
    static final Path ROOT = Path.of(System.getProperty("basedir", "")).toAbsolutePath().normalize();
    static final Path SOURCES = ROOT.resolve("src/test/cuda/suites");
    static final Path RESOURCES = ROOT.resolve("src/test/resources/io/github/jmarlin/machine");
    static final int PROCESSORS = Runtime.getRuntime().availableProcessors();
    /** As they ship, and with the source lines that a finding then names. */
    static final Path TEXTS = ROOT.resolve("target/kernels/lined");
    private static final MachineBuild BUILD = MachineBuild.ofProject();
    private static Path program;

    private PtxSuite() {
    }

    /** Builds the program, or skips the test and says why. */
    static synchronized Path program() throws IOException {
        if (program != null) {
            return program;
        }
        assumeTrue(BUILD.unavailable().isEmpty(), () -> BUILD.unavailable().orElse(""));
        assumeTrue(Files.isDirectory(TEXTS), () -> "without nvcc there are no kernels to execute: no " + TEXTS);
        try (Stream<Path> files = Files.list(SOURCES)) {
            List<Path> sources = files.filter(file -> file.toString().endsWith(".cpp")).sorted().map(ROOT::relativize).toList();
            program = BUILD.program("ptx_suite", sources);
            return program;
        }
    }

    /** The PTX texts whose names match, such as {@code hopper_.*\.compute_90a}. At least one. */
    static List<Path> texts(String name) throws IOException {
        try (Stream<Path> files = Files.list(TEXTS)) {
            List<Path> texts = files.filter(file -> file.getFileName().toString().matches(name + "\\.ptx")).sorted().toList();
            if (texts.isEmpty()) {
                throw new IOException("no " + name + ".ptx in " + TEXTS);
            }
            return texts;
        }
    }

    /** The lines that the program prints within so many seconds. A failed case is no error here, a crash and a hang are. */
    static List<String> run(int seconds, List<Path> texts, List<String> words) throws IOException {
        List<String> command = new ArrayList<>(List.of("timeout", "-k", "5", Integer.toString(seconds), program().toString()));
        texts.forEach(text -> command.add(text.toString()));
        command.addAll(words);
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        try {
            List<String> lines = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().toList();
            int status = process.waitFor();
            if (status != 0 && (status != 1 || lines.isEmpty())) {
                String last = lines.isEmpty() ? "" : ", the last: " + lines.get(lines.size() - 1);
                throw new IOException(String.join(" ", words) + " of " + texts.get(0).getFileName() + " exits " + status + " (124: after "
                        + seconds + " s) with " + lines.size() + " lines" + last);
            }
            return lines;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted: " + String.join(" ", command), e);
        } finally {
            process.destroyForcibly();
        }
    }

    /** The same in as many parts as there are processors, at once. */
    static List<String> runInParts(int seconds, List<Path> texts, List<String> words) throws IOException {
        return runInParts(seconds, texts, words, part -> List.of());
    }

    /** More words for a part. */
    interface OfPart {
        List<String> words(int part);
    }

    static List<String> runInParts(int seconds, List<Path> texts, List<String> words, OfPart more) throws IOException {
        program();      // once, before the parts want it
        List<Callable<List<String>>> parts = new ArrayList<>();
        for (int part = 0; part < PROCESSORS; part++) {
            List<String> own = new ArrayList<>(words);
            own.addAll(List.of("--part", part + "/" + PROCESSORS));
            own.addAll(more.words(part));
            parts.add(() -> run(seconds, texts, own));
        }
        return onAllProcessors(parts).stream().flatMap(List::stream).toList();
    }

    /** The results of tasks that run at once, as many as there are processors, in order. */
    static <T> List<T> onAllProcessors(List<Callable<T>> tasks) throws IOException {
        ExecutorService workers = Executors.newFixedThreadPool(PROCESSORS);
        try {
            List<T> results = new ArrayList<>();
            for (Future<T> result : workers.invokeAll(tasks)) {
                results.add(result.get());
            }
            return results;
        } catch (ExecutionException e) {
            throw e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        } finally {
            workers.shutdownNow();
        }
    }
}
