package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.bench.Journal;
import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.ResultsFiles;
import io.github.jmarlin.machine.MachineBuild;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * {@code run.sh first} of the GPU bundle from end to end on the stand-in driver, with a fault planted in a kernel, and with a probe that
 * hangs after its first rate. Whatever was measured before the fault, and what does not need the kernel, is in the archive, in time. The runs
 * mostly wait for what hangs: all at once.
 */
@Tag("long")
@Tag("source-tree")
@Execution(ExecutionMode.CONCURRENT)
class BundleRehearsalTest {
    private static final int LIMIT_SECONDS = 300;
    private static final int MOST_FILES = 8;
    private static final long MOST_BYTES = 64L << 20;
    /** As often as {@code --tiny} has kernels: 8 striped tiles and 5 of Hopper's, 6 products each. */
    private static final String STRIPED_RIGHT = "48 products, 0 wrong";
    private static final String HOPPER_RIGHT = "30 products, 0 wrong";

    @TempDir
    private static Path folder;

    private static Path bundle;

    /** What a run left: its folder of results, the archive unpacked, the page. */
    private record Outcome(Path out, Path run, String page) {
        String log(String part) throws IOException {
            return Files.readString(run.resolve(part + ".log"));
        }

        /** Names of what was timed, with m; each of them right. */
        Set<String> timed(String bench) throws IOException {
            List<Measurement> all = Journal.read(run.resolve(bench)).orElseThrow().measurements();
            all.forEach(m -> assertTrue(m.counts(), m.toString()));
            return all.stream().map(m -> m.contender() + " " + m.subject().m()).collect(Collectors.toSet());
        }
    }

    /** The bundle as BundleBuild lays it out, but with this build's classes, this Java, and PTX only. */
    @BeforeAll
    static void layOut() throws Exception {
        MachineBuild machine = MachineBuild.ofProject();
        assumeTrue(machine.unavailable().isEmpty(), () -> machine.unavailable().orElse(""));
        machine.standIn();
        Path images = Path.of("target/classes/io/github/jmarlin/cuda/images").toAbsolutePath();
        assumeTrue(Files.exists(images.resolve("hopper_m16_n128_p1_s4.compute_90a.ptx")), "no nvcc made kernels");
        bundle = Files.createDirectories(folder.resolve("bundle"));
        for (String script : List.of("run.sh", "parts.sh")) {
            Files.copy(Path.of("src/bundle", script), bundle.resolve(script));
        }
        Files.writeString(bundle.resolve("COMMIT"), "rehearsal\n");
        Files.createSymbolicLink(bundle.resolve("jre"), Path.of(System.getProperty("java.home")));
        Files.createSymbolicLink(bundle.resolve("images"), images);
        pathingJar(Files.createDirectories(bundle.resolve("lib")).resolve("jmarlin-cli.jar"));
        Path sanitize = Files.createDirectories(bundle.resolve("sanitize")).resolve("sanitize");
        assertEquals(0, new ProcessBuilder("g++", "-std=c++17", "-O1", "-Isrc/test/cuda", "-Isrc/main/cuda", "-o", sanitize.toString(),
                "src/test/cuda/sanitize/sanitize.cpp", "-ldl").inheritIO().start().waitFor());
        // nvcc's machine code cannot run here; a probe that hangs can.
        Path probe = Files.createDirectories(bundle.resolve("probe")).resolve("hopper_probe");
        Files.writeString(probe, "#!/bin/sh\necho 'rate L2_BYTES_PER_CLOCK=40'\nexec sleep 1000\n");
        assertTrue(probe.toFile().setExecutable(true));
    }

    @Test
    void aKernelThatHangsCostsItsPartAlone() throws Exception {
        Outcome run = first("hang:striped_f16");
        assertTrue(run.log("bench_striped").strip().endsWith("s left") && run.log("bench_striped").contains("2 of 3: 256x256, m 1"),
                run.log("bench_striped"));
        assertEquals(Set.of(Contenders.EMPTY + " 0", Contenders.COPY + " 0"), run.timed("bench_striped"), "what was measured before");
        assertTrue(Files.exists(run.run().resolve("bench_striped").resolve(ResultsFiles.CSV)));
        assertTrue(run.timed("bench_hopper").containsAll(Set.of("jmarlin hopper 1", "cublas 1")), run.log("bench_hopper"));
        assertTrue(run.log("smoke_striped").strip().endsWith(STRIPED_RIGHT) && run.log("smoke_hopper").strip().endsWith(HOPPER_RIGHT));
        assertTrue(run.page().contains("STRIPED: ") && run.page().contains("bench_striped TIMED OUT: ended after "), run.page());
        assertTrue(run.page().contains("HOPPER: RIGHT: " + HOPPER_RIGHT.replace(",", " in the smoke test,")), run.page());
    }

    @Test
    void anIllegalAddressCostsItsPartAlone() throws Exception {
        Outcome run = first("address:hopper_f16");
        assertTrue(run.log("bench_hopper").contains("jmarlin hopper, 256x256, m 1, FP16, graph: cuStreamSynchronize failed with 700"),
                run.log("bench_hopper"));
        assertEquals(Set.of(Contenders.EMPTY + " 0", Contenders.COPY + " 0"), run.timed("bench_hopper"), "what was measured before");
        assertTrue(run.timed("bench_striped").containsAll(Set.of("jmarlin striped 1", "dequantize+cublas 1", "cublas 1")),
                run.log("bench_striped"));
        assertTrue(run.page().contains("bench_hopper FAILED: exit code 1; " + HOPPER_RIGHT.replace(",", " in the smoke test,")), run.page());
        assertTrue(run.page().contains("STRIPED: RIGHT: ") && run.page().contains("DENSE: RIGHT in the products that were timed: "), run.page());
    }

    @Test
    void aWrongAnswerIsNamedAndTheRestMeasured() throws Exception {
        Outcome run = first("wrong:striped_bf16_sym_g64_m16_n128");
        assertTrue(run.log("smoke_striped").contains("WRONG striped_bf16_sym_g64_m16_n128, m 16, n 128, k 256, grid 1: launch 1: C[0][0]"),
                run.log("smoke_striped"));
        assertTrue(run.log("smoke_striped").contains("striped_m16_n128: 0 right, 6 wrong\nstriped_m16_n256: 6 right\n"));
        assertTrue(run.page().contains("STRIPED: WRONG; "), run.page());
        assertTrue(run.page().contains("HOPPER: RIGHT: "), run.page());
        assertTrue(run.timed("bench_striped").contains("jmarlin striped 1"), "the type that is right is timed");
        assertTrue(run.timed("bench_hopper").contains("jmarlin hopper 1"), run.log("bench_hopper"));
    }

    /** Runs it, and asserts what holds whatever the fault. */
    private static Outcome first(String fault) throws Exception {
        Path place = Files.createDirectories(folder.resolve(fault.replace(':', '-')));
        Path out = place.resolve("out");
        ProcessBuilder builder = new ProcessBuilder("sh", bundle.resolve("run.sh").toString(), "first", "--out", out.toString(), "--limit",
                "" + LIMIT_SECONDS, "--tiny").redirectErrorStream(true).redirectOutput(place.resolve("terminal").toFile());
        String machine = Path.of("target/machine").toAbsolutePath().toString();
        builder.environment().keySet().removeIf(name -> name.startsWith("JMARLIN_"));
        builder.environment().putAll(Map.of("CUDA_DIR", machine, "CUBLAS_DIR", machine + "/cublas", "JMARLIN_WORK", place.resolve("work").toString(),
                "JMARLIN_STANDIN_CAPABILITY", "90", "JMARLIN_STANDIN_SHARED", "232448", "JMARLIN_STANDIN_L2", "131072",
                "JMARLIN_STANDIN_CLOCK", "100", "JMARLIN_STANDIN_FAULT", fault));
        long started = System.nanoTime();
        Process process = builder.start();
        int code = process.waitFor();
        long seconds = (System.nanoTime() - started) / 1_000_000_000;
        String terminal = Files.readString(place.resolve("terminal"));
        assertTrue(seconds <= LIMIT_SECONDS, seconds + " s:\n" + terminal);
        assertEquals(1, code, terminal);

        try (Stream<Path> files = Files.walk(out)) {
            List<Path> all = new ArrayList<>(files.filter(Files::isRegularFile).toList());
            assertTrue(all.size() <= MOST_FILES, all.toString());
        }
        Path archive = out.resolve("first.tar.gz");
        assertTrue(Files.size(archive) <= MOST_BYTES);
        assertEquals(0, new ProcessBuilder("tar", "xzf", archive.toString(), "-C", place.toString()).inheritIO().start().waitFor());
        Outcome outcome = new Outcome(out, place.resolve("first"), Files.readString(out.resolve("first.txt")));
        assertTrue(outcome.log("info").contains("Stand-in sm_90 device"), terminal);
        assertTrue(outcome.page().contains("probe            TIMED OUT: ended after "), outcome.page());
        assertTrue(Files.readString(place.resolve("tuning")).contains("L2_BYTES_PER_CLOCK"), "the rate of a probe that hung");
        assertTrue(Files.exists(place.resolve("tuning.check")), terminal);
        assertFalse(outcome.page().substring(outcome.page().indexOf("\nparts\n")).contains("not reached"), outcome.page());
        assertTrue(outcome.page().lines().count() < 60, "more than a page:\n" + outcome.page());
        return outcome;
    }

    /** A jar that holds nothing but the class path of the tests. */
    private static void pathingJar(Path jar) throws IOException {
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, "io.github.jmarlin.cli.Main");
        String path = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        manifest.getMainAttributes().put(Attributes.Name.CLASS_PATH, Stream.of(path.split(File.pathSeparator))
                .map(entry -> Path.of(entry).toUri().toString()).collect(Collectors.joining(" ")));
        try (OutputStream out = Files.newOutputStream(jar)) {
            new JarOutputStream(out, manifest).close();
        }
    }
}
