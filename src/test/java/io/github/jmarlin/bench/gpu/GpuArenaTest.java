package io.github.jmarlin.bench.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.bench.BenchCase;
import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.bench.Journal;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.Measurement.Status;
import io.github.jmarlin.bench.ModelShapes;
import io.github.jmarlin.bench.Results;
import io.github.jmarlin.bench.ResultsFiles;
import io.github.jmarlin.bench.Session;
import io.github.jmarlin.bench.Subject;
import io.github.jmarlin.bench.TimingMode;
import io.github.jmarlin.cuda.CudaDriver;
import io.github.jmarlin.machine.StandIn;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The whole of {@code jmarlin bench} on the stand-in driver with a stand-in cuBLAS: as a program of its own, since a JVM loads
 * cuBLAS once. Its times mean nothing; its answers, rows and exit codes do.
 */
@Tag("gpu-on-stand-in")
class GpuArenaTest {
    @TempDir
    private Path folder;

    @BeforeEach
    void needsTheStandIn() {
        StandIn.assumeLoaded();         // a stand-in cuBLAS cannot read a real device's memory
    }

    @Test
    void everyContenderIsRightInEveryMode() throws Exception {
        StandInCublas.build("cublas13_product.c", folder);
        Finished run = bench(Map.of(), "--m", "9", "--group", "-1,32", "--type", "bf16");
        assertEquals(0, run.exitCode(), run.text());

        Results results = ResultsFiles.read(folder.resolve(ResultsFiles.JSON));
        List<String> expected = new ArrayList<>();
        for (TimingMode mode : List.of(TimingMode.GRAPH, TimingMode.STREAM, TimingMode.FLUSHED)) {
            expected.addAll(List.of(mode.key() + " jmarlin -1", mode.key() + " jmarlin 32", mode.key() + " cublas 0",
                    mode.key() + " dequantize+cublas -1"));
        }
        assertEquals(expected, results.of(Subject.Kind.LAYER).stream()
                .map(m -> m.mode().key() + " " + m.contender() + " " + m.groupSize()).toList());
        for (Measurement m : results.of(Subject.Kind.LAYER)) {
            assertEquals(Status.OK, m.status(), m.toString());
            assertTrue(m.error() > 0 && m.error() < 4e-3, m.toString());
        }
        assertTrue(results.run().standIn());
        assertTrue(results.copyBandwidth().isPresent());
        assertTrue(results.fixedMicros(TimingMode.FLUSHED).isPresent());
        assertTrue(results.find(Subject.device(), TimingMode.STREAM, Contenders.HOST_LAUNCH, 0).isPresent());
        assertTrue(run.text().contains("A STAND-IN DEVICE"), run.text());
        assertFalse(run.text().matches("(?s).*\\d\\.\\d+x .*"), "a speedup is stated: " + run.text());
        assertFalse(Files.exists(folder.resolve("charts")));
    }

    /** Weights of other kinds beside 4-bit integers and cuBLAS, by their kernels' names, in the JSON too. */
    @Test
    void otherWeightsAreContenders() throws Exception {
        StandInCublas.build("cublas13_product.c", folder);
        Finished run = bench(Map.of(), "--m", "9", "--group", "64", "--mode", "graph", "--sparse24", "--weights", "fz,i8,fp4");
        assertEquals(0, run.exitCode(), run.text());
        Map<String, Status> statuses = new TreeMap<>();
        Results results = ResultsFiles.read(folder.resolve(ResultsFiles.JSON));
        results.of(Subject.Kind.LAYER).forEach(m -> statuses.put(m.contender(), m.status()));
        assertEquals(Map.of("jmarlin", Status.OK, "jmarlin sp24", Status.OK, "jmarlin fz", Status.OK, "jmarlin i8", Status.OK,
                "jmarlin fp4", Status.OK, "cublas", Status.OK, "dequantize+cublas", Status.OK), statuses);
    }

    @Test
    void aWrongAnswerIsMarkedAndFails() throws Exception {
        StandInCublas.build("cublas13_product.c", folder);
        Finished run = bench(Map.of("CUBLAS_WRONG", "1"), "--m", "1", "--group", "64", "--mode", "graph");
        assertEquals(1, run.exitCode(), run.text());
        assertTrue(run.text().contains("WRONG"), run.text());
        Results results = ResultsFiles.read(folder.resolve(ResultsFiles.JSON));
        Map<String, Status> statuses = new TreeMap<>();
        results.of(Subject.Kind.LAYER).forEach(m -> statuses.put(m.contender(), m.status()));
        assertEquals(Map.of("jmarlin", Status.OK, "cublas", Status.WRONG, "dequantize+cublas", Status.WRONG), statuses);
    }

    @Test
    @Tag("long")
    void anInterruptedRunGoesOn() throws Exception {
        String[] options = {"--m", "1,2,3", "--group", "64", "--mode", "graph", "--seconds", "60"};
        Finished first = bench(Map.of(), options);
        assertEquals(0, first.exitCode(), first.text());

        // As if the process had gone in the middle of the second product's first line.
        Path journal = folder.resolve(Journal.FILE);
        List<String> lines = Files.readAllLines(journal);
        int kept = IntStream.range(0, lines.size()).filter(i -> lines.get(i).contains("\"finished\":\"77x130 m1 ")).findFirst()
                .orElseThrow() + 1;
        Files.writeString(journal, String.join("\n", lines.subList(0, kept)) + "\n" + lines.get(kept).substring(0, 40));
        List<Measurement> before = Journal.read(folder).orElseThrow().measurements();
        assertEquals(List.of(0, 1), before.stream().map(m -> m.subject().m()).distinct().toList());

        List<String> resume = new ArrayList<>(List.of(options));
        resume.add("--resume");
        Finished second = bench(Map.of(), resume.toArray(new String[0]));
        assertEquals(0, second.exitCode(), second.text());
        Results results = Journal.read(folder).orElseThrow();
        assertEquals(before, results.measurements().subList(0, before.size()), "what was there is not measured again");
        assertEquals(List.of(0, 1, 2, 3), results.measurements().stream().map(m -> m.subject().m()).distinct().toList());
        assertEquals(List.of(0), results.sessions().stream().map(Session::unfinished).toList());
    }

    @Test
    void withoutCublasItsRowsAreSkippedWithTheReason() throws Exception {
        Finished run = bench(Map.of(), "--m", "1", "--group", "64", "--mode", "graph");
        assertEquals(0, run.exitCode(), run.text());
        Results results = ResultsFiles.read(folder.resolve(ResultsFiles.JSON));
        Measurement cublas = results.of(Subject.Kind.LAYER).stream().filter(m -> m.contender().equals(Contenders.CUBLAS))
                .findFirst().orElseThrow();
        assertEquals(Status.SKIPPED, cublas.status());
        assertTrue(cublas.note().contains("libcublas.so.13: cannot open shared object file"), cublas.note());
    }

    @Test
    void whatDoesNotFitTheDeviceIsSkippedWithTheSizes() throws Exception {
        StandInCublas.build("cublas13_product.c", folder);
        Finished run = bench(Map.of("JMARLIN_STANDIN_MEMORY", String.valueOf(35 << 20)), "--shape", "2048x2048", "--m", "1",
                "--group", "64", "--mode", "graph");
        assertEquals(0, run.exitCode(), run.text());
        Results results = ResultsFiles.read(folder.resolve(ResultsFiles.JSON));
        Map<String, Status> statuses = new TreeMap<>();
        results.of(Subject.Kind.LAYER).forEach(m -> statuses.put(m.contender(), m.status()));
        assertEquals(Status.SKIPPED, statuses.get("cublas"), run.text());
        assertTrue(run.text().contains("bytes"), run.text());
    }

    @Test
    void allLayersOfABlockRunInOneGraph() throws Exception {
        StandInCublas.build("cublas13_product.c", folder);
        Finished run = java(Map.of(), TinyBlock.class.getName());
        assertEquals(0, run.exitCode(), run.text());
        assertEquals(List.of("jmarlin OK", "jmarlin, no prefetch OK", "cublas OK"), run.text().lines().toList());
    }

    /** Times a block of four small layers. */
    static final class TinyBlock {
        private TinyBlock() {
        }

        public static void main(String[] args) {
            List<LayerShape> layers = List.of(new LayerShape("QKV", 64, 130), new LayerShape("O", 70, 64),
                    new LayerShape("gate-up", 64, 192), new LayerShape("down", 96, 64));
            Subject subject = Subject.block(new ModelShapes.Model("tiny", layers), 5, DataType.FP16);
            try (GpuArena arena = new GpuArena(CudaDriver.devices().get(0))) {
                arena.run(new BenchCase(subject, layers, TimingMode.GRAPH, List.of(32), false), Duration.ofSeconds(1))
                        .forEach(m -> System.out.println(m.contender() + " " + m.status()));
            }
        }
    }

    private record Finished(int exitCode, String text) {
    }

    private Finished bench(Map<String, String> environment, String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("io.github.jmarlin.cli.Main", "bench", "--device", "cuda", "--out",
                folder.toString()));
        if (!List.of(arguments).contains("--shape")) {
            command.addAll(List.of("--shape", "77x130"));
        }
        command.addAll(List.of(arguments));
        return java(environment, command.toArray(new String[0]));
    }

    private Finished java(Map<String, String> environment, String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Djava.io.tmpdir=" + folder, "-Djmarlin.cublas=" + folder, "-cp", System.getProperty("java.class.path")));
        command.addAll(List.of(arguments));
        ProcessBuilder process = new ProcessBuilder(command).redirectErrorStream(true);
        process.environment().put("JMARLIN_STANDIN_L2", "16384");
        process.environment().put("JMARLIN_STANDIN_MULTIPROCESSORS", "2");
        process.environment().putAll(environment);
        Process started = process.start();
        String text = new String(started.getInputStream().readAllBytes());
        assertTrue(started.waitFor(120, TimeUnit.SECONDS), text);
        return new Finished(started.exitValue(), text);
    }
}
