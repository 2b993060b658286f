package io.github.jmarlin.emulator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.github.jmarlin.DataType;
import io.github.jmarlin.emulator.EmulatorBuild.Source;
import io.github.jmarlin.plan.HopperTile;
import io.github.jmarlin.plan.WeightShape;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs the Hopper kernel in the emulator; and shows, by breaking it in many ways, that these tests can fail. */
class HopperEmulatorTest {
    private static final EmulatorBuild BUILD = EmulatorBuild.ofProject();
    private static final Path ROOT = Path.of(System.getProperty("basedir", "")).toAbsolutePath();
    private static final String INCLUDE = "-I" + ROOT.resolve("src/test/cuda");
    private static final List<Path> CASES = List.of(Path.of("src/test/cuda/hopper/hopper_test.cpp"));

    @BeforeEach
    void needsCompiler() {
        assumeTrue(BUILD.unavailable().isEmpty(), () -> BUILD.unavailable().orElse(""));
    }

    @ParameterizedTest
    @ValueSource(strings = {"exact", "shapes", "real", "deterministic", "banks", "golden", "fragments"})
    void suite(String name) throws Exception {
        Outcome outcome = run(BUILD.program("hopper_test", CASES, List.of(INCLUDE)), name);
        assertEquals(0, outcome.exit(), outcome.output());
        assertTrue(outcome.output().contains(name + ": passed"), outcome.output());
    }

    /** The plan and the kernel agree on every tile's bytes. */
    @Test
    void tilesAreThoseOfThePlan() throws Exception {
        String printed = run(BUILD.program("hopper_test", CASES, List.of(INCLUDE)), "tiles").output();
        StringBuilder planned = new StringBuilder();
        for (HopperTile tile : HopperTile.INSTANCES) {
            for (WeightShape weights : List.of(new WeightShape(256, 256, 64, DataType.FP16, false),
                    new WeightShape(256, 256, 32, DataType.FP16, true), new WeightShape(256, 256, -1, DataType.BF16, true),
                    new WeightShape(256, 256, 32, DataType.BF16, false))) {
                int stages = tile.stagesFitting(weights, 227 * 1024);
                planned.append(tile.kernelName(weights)).append(' ').append(tile.slotBytes(weights)).append(' ').append(stages).append(' ')
                        .append(tile.sharedBytes(weights, stages)).append('\n');
            }
        }
        assertEquals(planned + "tiles: passed\n", printed);
    }

    @TestFactory
    Stream<DynamicTest> everyMutationIsCaught() throws IOException {
        Mutation unbroken = mutation(SMALL + STRIPED + PAIRED, "none", "hopper.cuh", "");
        List<Mutation> mutations = Stream.concat(Stream.of(unbroken), mutations()).toList();
        Map<String, List<Source>> programs = new LinkedHashMap<>();
        for (Mutation mutation : mutations) {
            programs.put("hopper_mutant_" + programs.size(), sources(mutation, programs.size()));
        }
        List<Future<Outcome>> outcomes = outcomes(BUILD.programs(programs));
        return Stream.iterate(0, i -> i + 1).limit(mutations.size()).map(i -> dynamicTest(mutations.get(i).name(), () -> {
            Outcome outcome = outcomes.get(i).get();
            if (i == 0) {
                assertEquals(0, outcome.exit(), outcome.output());
            } else {
                assertNotEquals(0, outcome.exit(), "not caught");
                assertTrue(outcome.output().contains(mutations.get(i).evidence()), "caught as something else:\n" + outcome.output());
            }
        }));
    }

    /** Runs the programs, on all cores. */
    private static List<Future<Outcome>> outcomes(List<Path> programs) {
        ExecutorService cores = Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors());
        List<Future<Outcome>> outcomes = new ArrayList<>();
        programs.forEach(program -> outcomes.add(cores.submit(() -> run(program, "exact", "banks"))));
        cores.shutdown();       // of new work
        return outcomes;
    }

    /**
     * One way to break the kernel.
     *
     * @param cases which of the instances of hopper_test.cpp show it: {@link #SMALL}, {@link #STRIPED}, {@link #PAIRED}
     * @param file of src/main/cuda/hopper
     * @param evidence what the report must contain
     * @param edits what stands in the file, at least once, and what takes its place everywhere; in turn
     */
    record Mutation(int cases, String name, String file, String evidence, List<String> edits) {}

    /** A cluster that splits k. */
    private static final int SMALL = 1;
    /** A pair that walks stripes. */
    private static final int STRIPED = 2;
    /** Two pairs that split k. */
    private static final int PAIRED = 4;

    private static Mutation mutation(int cases, String name, String file, String evidence, String... edits) {
        return new Mutation(cases, name, file, evidence, List.of(edits));
    }

    static Stream<Mutation> mutations() {
        return Stream.of(
                mutation(SMALL, "consumer does not wait for a full slot", "consumer.cuh", "in flight",
                        "mbarrier_wait(ring.full(slot), drain.parity);", ""),
                mutation(SMALL, "full slot awaited with the wrong parity", "consumer.cuh", "FAIL", "drain.parity);",
                        "drain.parity ^ 1);"),
                mutation(SMALL, "producer does not wait for an empty slot", "producer.cuh", "arrivals of phase",
                        "mbarrier_wait(ring.empty(fill.slot), fill.parity ^ 1);", ""),
                mutation(SMALL, "empty slot awaited with the wrong parity", "producer.cuh", "DEADLOCK", "fill.parity ^ 1)",
                        "fill.parity)"),
                mutation(SMALL, "empty after seven of eight warps", "hopper.cuh", "FAIL", "(kConsumerThreads / 32));",
                        "(kConsumerThreads / 32 - 1));"),
                mutation(SMALL, "full without one warp's activations", "hopper.cuh", "FAIL", "1 + kProducerWarps;",
                        "kProducerWarps;"),
                mutation(SMALL, "full expects one copy too many", "hopper.cuh", "DEADLOCK", "1 + kProducerWarps;",
                        "2 + kProducerWarps;"),
                mutation(SMALL, "too few bytes expected", "producer.cuh", "lands on an mbarrier that expects",
                        "expect_tx(full, u32(strips)", "expect_tx(full, u32(strips - 1)"),
                mutation(SMALL, "too many bytes expected", "producer.cuh", "DEADLOCK", "expect_tx(full, u32(strips)",
                        "expect_tx(full, u32(strips + 1)"),
                mutation(SMALL, "slot released before its products are over", "consumer.cuh", "race",
                        "                if (block == 0 && !first_stage) release(previous);", "",
                        "multiply<0>(sums[u], even, activations);",
                        "if (u == 0 && block == 0 && !first_stage) release(previous);\n multiply<0>(sums[u], even, activations);"),
                mutation(SMALL, "slot released before the other lanes have read it", "consumer.cuh", "race", "warp_sync();\n", ""),
                mutation(SMALL, "no wgmma fence", "consumer.cuh", "no wgmma_fence", "wgmma_fence();", ""),
                mutation(SMALL, "no wait for the products before", "consumer.cuh", "changed while it was in flight",
                        "wgmma_wait<1>();", ""),
                mutation(SMALL, "no wait for the last products", "consumer.cuh", "FAIL", "wgmma_wait<0>();", ""),
                mutation(SMALL, "no proxy fence after the activations", "producer.cuh", "PROXY", "        fence_proxy_async();\n", ""),
                mutation(SMALL, "no proxy fence before the ring is handed back", "cluster_reduce.cuh", "PROXY",
                        "    fence_proxy_async();  ", "//"),
                mutation(SMALL, "activations published before the other lanes' are there", "producer.cuh", "race",
                        "        warp_sync();\n        if (lane", "        if (lane"),
                mutation(SMALL, "activations published a stage early", "producer.cuh", "race",
                        "cp_async_wait<Shape::kActivationLag>();", "cp_async_wait<Shape::kActivationLag + 1>();"),
                mutation(SMALL, "activations published too late for the ring", "producer.cuh", "DEADLOCK",
                        "under_way == Shape::kActivationLag", "under_way == Shape::kActivationLag + 1"),
                mutation(SMALL, "activations not swizzled", "producer.cuh", "expected", "(chunk ^ row % 8)", "chunk", " ^ (i % 2 * 64)", ""),
                mutation(SMALL, "second half of k multiplies the first again", "consumer.cuh", "expected",
                        "activations + 4 * kHalf + 2", "activations + 4 * kHalf"),
                mutation(SMALL, "k beyond the end not zeroed", "producer.cuh", "FAIL", "left < 0 ? 0 : left > 8 ? 8 : left",
                        "8"),
                mutation(SMALL, "sums not cleared between tiles", "consumer.cuh", "expected", "sums[u][i] = 0.0f;",
                        "if (drain.slot == 0 && drain.parity == 0) sums[u][i] = 0.0f;"),
                mutation(SMALL, "scale row counted from the start of k", "consumer.cuh", "FAIL", "- first_scale;", ";"),
                mutation(SMALL, "other warpgroup may still read the ring", "cluster_reduce.cuh", "race",
                        "named_barrier_sync(1, kConsumerThreads);", ""),
                mutation(SMALL, "cluster reads partial tiles that are not there", "cluster_reduce.cuh", "FAIL",
                        "cluster_sync();     // every", "block_sync();     // every", "cluster_wait();\n    share",
                        "block_sync();\n    share"),
                mutation(SMALL, "mbarriers not shown to the copy engine", "hopper.cuh", "no fence_mbarrier_init",
                        "        fence_mbarrier_init();\n        fence_proxy_async();\n", ""),
                mutation(SMALL, "mbarriers used before they are there", "hopper.cuh", "mbarrier", "        block_sync();\n", ""),
                mutation(SMALL, "two warps take the same turn", "producer.cuh", "FAIL", "u32 turn = thread / 32;", "u32 turn = thread / 32 & 2;"),
                mutation(SMALL, "first weights requested twice", "producer.cuh", "FAIL", "stage >= requested", "true"),
                mutation(STRIPED, "last activations of a stripe never handed over", "producer.cuh", "DEADLOCK", " || work.last())) activations",
                        ")) activations"),
                mutation(STRIPED, "neighbour not told that a slot is empty", "consumer.cuh", "DEADLOCK",
                        "            if (Shape::kNeighbours > 1) mbarrier_arrive_cluster(at_neighbour(ring.empty(slot)));\n", ""),
                mutation(STRIPED, "neighbour not told, and not waited for", "consumer.cuh", "FAIL",
                        "            mbarrier_arrive(ring.empty(slot));\n            if (Shape::kNeighbours > 1) mbarrier_arrive_cluster(at_neighbour(",
                        "            mbarrier_arrive(ring.empty(slot));\n            if (Shape::kNeighbours > 1) mbarrier_arrive(("),
                mutation(STRIPED, "neighbour's bytes not expected", "producer.cuh", "FAIL", "+ shared_bytes)", ")"),
                mutation(STRIPED, "rows sent to the wrong place", "producer.cuh", "FAIL", "at_neighbour(rows), rows", "at_neighbour(rows ^ 1024), rows"),
                mutation(STRIPED, "neighbour's mbarriers used before they are there", "hopper.cuh", "FAIL",
                        "cluster_sync_mbarriers();", "block_sync();"),
                mutation(STRIPED, "block exits while its neighbour may still use it", "hopper.cuh", "exited",
                        "if (Shape::kNeighbours > 1 && Shape::kStriped) cluster_sync();", ""),
                mutation(PAIRED, "tile staged over activations on their way to the neighbour", "cluster_reduce.cuh", "FAIL",
                        "if (Shape::kNeighbours > 1) cluster_sync();", "", "if (Shape::kNeighbours == 1) {", "if (true) {"),
                mutation(STRIPED, "partial tiles of neighbours in one slot", "stripe_reduce.cuh", "FAIL",
                        "u64(n_rank<Shape>()) * (Shape::kM", "0 * (Shape::kM"),
                mutation(STRIPED, "counter shared by neighbours", "stripe_reduce.cuh", "FAIL", "* Shape::kNeighbours + n_rank<Shape>()) * 4",
                        "* Shape::kNeighbours) * 4"),
                mutation(STRIPED, "counter not back at zero", "stripe_reduce.cuh", "left counter", "u32(contributors.last - contributors.first);",
                        "u32(contributors.last - contributors.first) + 1;", "== others", "== others - 1"),
                mutation(STRIPED, "arrival before all partial sums are stored", "stripe_reduce.cuh", "race",
                        "            named_barrier_sync(1, kConsumerThreads);    // read", "            // read"),
                mutation(STRIPED, "staged sums read before they are there", "stripe_reduce.cuh", "race",
                        "place.rows, spread);\n            named_barrier_sync(1, kConsumerThreads);", "place.rows, spread);"),
                mutation(STRIPED, "last arriver leaves out the last stripe", "stripe_reduce.cuh", "expected", "cluster <= contributors.last",
                        "cluster < contributors.last"),
                mutation(STRIPED, "stripe of every block its own", "work.cuh", "FAIL", "return block_index() / Shape::kCluster;",
                        "return block_index();"),
                mutation(SMALL, "staged sums without their swizzle", "staging.cuh", "excess", "(s ^ (strip % 2))", "s"));
    }

    /** The cases with a copy of the kernel in which one thing is different. */
    private static List<Source> sources(Mutation mutation, int number) throws IOException {
        Path headers = ROOT.resolve("target/emulator/hopper_mutants").resolve(Integer.toString(number));
        Path folder = Files.createDirectories(headers.resolve("hopper"));
        try (Stream<Path> sources = Files.list(ROOT.resolve("src/main/cuda/hopper"))) {
            for (Path source : sources.toList()) {
                String text = Files.readString(source);
                for (int i = 0; source.endsWith(mutation.file()) && i < mutation.edits().size(); i += 2) {
                    assertTrue(text.contains(mutation.edits().get(i)), mutation.edits().get(i) + " is no longer in " + source);
                    text = text.replace(mutation.edits().get(i), mutation.edits().get(i + 1));
                }
                Files.writeString(folder.resolve(source.getFileName()), text);
            }
        }
        return CASES.stream().map(file -> new Source(file, List.of("-I" + headers, INCLUDE, "-DJMARLIN_MUTANT=" + mutation.cases()))).toList();
    }

    private record Outcome(int exit, String output) {}

    private static Outcome run(Path program, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(program.toString()));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(process.waitFor(3, TimeUnit.MINUTES), "still running: " + command);
        return new Outcome(process.exitValue(), output);
    }
}
