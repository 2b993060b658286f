package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.CudaDriver;
import io.github.jmarlin.cuda.CudaLinear;
import io.github.jmarlin.cuda.image.ImageHash;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.plan.CheckFile;
import io.github.jmarlin.plan.GemmPlan;
import io.github.jmarlin.plan.HopperTile;
import io.github.jmarlin.plan.KernelChecks;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.Planner;
import io.github.jmarlin.plan.TileShape;
import io.github.jmarlin.plan.Tuning;
import io.github.jmarlin.plan.TuningCandidates;
import io.github.jmarlin.plan.TuningFile;
import io.github.jmarlin.plan.WeightShape;
import io.github.jmarlin.quantize.RoundToNearest;
import io.github.jmarlin.testing.Gpu;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TuneCommandTest {
    private static final String PROPERTY_BEFORE = System.getProperty(TuningFile.PROPERTY, TuningFile.OFF);

    @TempDir
    Path folder;
    private Path file;

    @BeforeEach
    void askForAFile() throws IOException {
        file = folder.resolve("tuning.json");
        System.setProperty(TuningFile.PROPERTY, file.toString());
        leaveOutTheCheck();
    }

    /** What tune would do first. */
    private static void leaveOutTheCheck() throws IOException {
        for (CudaDevice gpu : CudaDriver.devices()) {
            CheckFile.Machine machine = new CheckFile.Machine(gpu.facts(), CudaDriver.version(), ImageHash.of(gpu.facts()));
            CheckFile.write(CheckFile.location(gpu.facts()).orElseThrow(), machine, KernelChecks.NONE.with(KernelFamily.STRIPED,
                    new KernelChecks.Result(KernelChecks.Outcome.PASSED, "as far as this test is concerned")));
        }
    }

    @AfterEach
    void restoreProperty() {
        System.setProperty(TuningFile.PROPERTY, PROPERTY_BEFORE);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--shape 4096     | --shape 4096: must be KxN",
        "--shape 0x64     | --shape 0x64: weights 0 x 64: k and n must be in 1..",
        "--group 48       | --shape 4096x6144: group size 48 is not supported",
        "--dtype fp32     | must be fp16 or bf16, not fp32",
        "--m 8,0          | --m 0: must be in 1..1024",
        "--m 8            | tune measures kernels of a GPU, and the device is CPU",
        "--shape 99999x99999 | --shape 99999x99999: a matrix of more than 2^30 elements",
    })
    void badOptionsAreNamed(String options, String message) {
        Cli run = Cli.run(("tune --device cpu " + options).split(" "));
        assertEquals(2, run.status(), run.out());
        assertTrue(run.err().contains(message), run.err());
    }

    @Test
    @Tag("gpu-on-stand-in")
    void timesOfAStandInDeviceAreNotStored() {
        assertTrue(Gpu.first().facts().isStandIn(), Gpu.first().name());
        Cli run = Cli.run("tune", "--device", "cuda", "--shape", "64x64", "--m", "1");
        assertEquals(2, run.status(), run.out());
        assertTrue(run.err().contains("times of a stand-in device mean nothing and are not stored; --dry-run"), run.err());
        assertFalse(Files.exists(file));
    }

    /** From the measurement to the plan: what is stored, what else is in the file, and who obeys it. */
    @Test
    @Tag("gpu-on-stand-in")
    @Tag("hopper")
    void whatIsStoredIsObeyed() throws Exception {
        CudaDevice gpu = Gpu.first();
        Tuning.Product other = Tuning.Product.of(new WeightShape(256, 64, 32, DataType.BF16, true), 8);
        Tuning.Winner old = new Tuning.Winner(PlanOptions.DEFAULT.withTile(new TileShape(8, 64)), 1e-6);
        TuningFile.write(file, gpu.facts(), Tuning.NONE.with(other, old));
        Cli rate = Cli.run("tune", "--device", "cuda", "--rate", "L2_BYTES_PER_CLOCK=40,OVERLAP_LOSS=0.2", "--store-stand-in");
        assertEquals(0, rate.status(), rate.err());
        assertTrue(rate.out().contains("L2_BYTES_PER_CLOCK") && rate.out().contains("striped 8x64"), rate.out());

        // 1 and 3 rows share a winner.
        Cli run = Cli.run("tune", "--device", "cuda", "--shape", "64x72", "--m", "1,3", "--group", "64", "--store-stand-in");
        assertEquals("", run.err());
        assertEquals(0, run.status(), run.out());
        assertTrue(run.out().matches("(?s).*\\| +64x72 +3 +(striped \\d+x|hopper \\d+x|dense ).* [1-9]\\d* +0 +\\|.*"), run.out());

        WeightShape layer = new WeightShape(64, 72, 64, DataType.FP16, false);
        Tuning stored = TuningFile.read(file, gpu.facts());
        assertEquals(Set.of(other, Tuning.Product.of(layer, 3)), stored.winners().keySet());
        assertEquals(old, stored.winners().get(other));
        assertEquals(Map.of("L2_BYTES_PER_CLOCK", 40.0, "OVERLAP_LOSS", 0.2), stored.rates());
        Tuning.Winner winner = stored.winners().get(Tuning.Product.of(layer, 3));
        GemmPlan expected = new Planner(gpu.facts(), layer, winner.options(), stored).plan(1);
        float[] a = DemoLayer.activations(1, 2, 64, DataType.FP16);
        try (QuantizedMatrix matrix = RoundToNearest.symmetric(64, DataType.FP16).quantize(DemoLayer.weights(1, 64, 72), 64, 72);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
                CudaLinear tuned = gpu.place(packed);
                CudaLinear asked = gpu.place(packed, winner.options())) {
            assertEquals(expected.withReason(""), tuned.plan(1).withReason(""));
            assertTrue(tuned.plan(2).reason().startsWith("measured at") && tuned.plan(2).reason().endsWith(file.toString()),
                    tuned.plan(2).reason());
            String more = tuned.plan(9).reason();       // of what was measured for 8 rows only cuBLAS serves more
            assertTrue(more.startsWith(winner.family() == KernelFamily.DENSE ? "measured at" : "fastest prediction"), more);
            assertArrayEquals(asked.multiply(a, 2), tuned.multiply(a, 2));
        }
    }

    @Test
    @Tag("gpu-on-stand-in")
    void wrongAnswersAreCountedAndNotStored() throws Exception {
        CudaDevice gpu = Gpu.first();
        TuningFile.write(file, gpu.facts(), Tuning.NONE.with(Tuning.Product.of(new WeightShape(64, 64, 128, DataType.FP16, false), 1),
                new Tuning.Winner(PlanOptions.DEFAULT.withTile(new TileShape(8, 64)), 1e-6)));
        StandIn.set("fast", 1);         // kernels do not run, the output stays as it was
        try {
            Cli run = Cli.run("tune", "--device", "cuda", "--shape", "64x64", "--m", "1", "--store-stand-in");
            assertEquals(1, run.status(), run.out());
            assertTrue(run.out().matches("(?s).*\\| +64x64 +1 +none +n/a +n/a +n/a +(\\d+) +\\1 +\\|.*WRONG: .*"), run.out());
            assertEquals(Map.of(), TuningFile.read(file, gpu.facts()).winners());
        } finally {
            StandIn.reset();
        }
    }

    @Test
    @Tag("gpu-on-stand-in")
    void aFailedLaunchNamesTheCandidate() {
        Gpu.first();
        StandIn.inject("cuLaunchKernel", 701, 0, 1);
        try {
            Cli run = Cli.run("tune", "--device", "cuda", "--shape", "64x64", "--m", "1", "--dry-run");
            assertEquals(1, run.status(), run.out());
            assertTrue(run.err().matches("(?s)jmarlin tune: striped \\d+x\\d+.* for 1 rows with 64 x 64 .*: cuLaunchKernel .*"), run.err());
        } finally {
            StandIn.reset();
        }
    }

    @Test
    @Tag("gpu-on-stand-in")
    void whatCannotBeCapturedIsNamed() {
        Gpu.first();
        StandIn.inject("cuStreamBeginCapture", 900, 1, 1);
        try {
            Cli run = Cli.run("tune", "--device", "cuda", "--shape", "64x64", "--m", "1", "--dry-run");
            assertEquals(0, run.status(), run.err());
            assertTrue(run.out().matches("(?s).*\\| launched one by one  not as a graph, for 64x64, m 1: striped \\d+x\\d+.*: "
                    + "cuStreamBeginCapture returned 900, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED .*"), run.out());
            assertEquals(run.out().indexOf("one by one"), run.out().lastIndexOf("one by one"), run.out());
        } finally {
            StandIn.reset();
        }
    }

    /** Before anything is measured. */
    @Test
    @Tag("gpu-on-stand-in")
    void aFileThatCannotBeWrittenIsAnErrorAtOnce() throws Exception {
        Gpu.first();
        Files.writeString(folder.resolve("occupied"), "");
        System.setProperty(TuningFile.PROPERTY, folder.resolve("occupied/tuning.json").toString());
        StandIn.reset();
        Cli run = Cli.run("tune", "--device", "cuda", "--shape", "64x64", "--m", "1", "--store-stand-in");
        assertEquals(1, run.status(), run.out());
        Path asked = folder.resolve("occupied/tuning.json");
        assertTrue(run.err().startsWith("jmarlin tune: tuning file " + asked + " cannot be written: "), run.err());
        assertEquals(0, StandIn.count("cuLaunchKernel"));
    }

    @Test
    @Tag("gpu-on-stand-in")
    void badRatesAreNamed() {
        Gpu.first();
        for (String[] bad : new String[][] {{"L3=1", "--rate: rate L3: must be one of [CLOCK_HZ, "}, {"OVERLAP_LOSS=2", "--rate: rate OVERLAP_LOSS of 2.0: must be"},
                {"OVERLAP_LOSS=x", "'x' is not a double"}}) {
            Cli run = Cli.run("tune", "--device", "cuda", "--store-stand-in", "--rate", bad[0]);
            assertEquals(2, run.status(), run.out());
            assertTrue(run.err().contains(bad[1]), run.err());
        }
        Cli both = Cli.run("tune", "--device", "cuda", "--rate", "OVERLAP_LOSS=0.2", "--dry-run");
        assertTrue(both.status() == 2 && both.err().contains("--rate with --dry-run: it only stores"), both.err());
        assertFalse(Files.exists(file));
    }

    @Test
    @Tag("gpu")
    void aDryRunMeasuresEveryCandidateAndStoresNothing() {
        Gpu.first();
        Cli run = Cli.run("tune", "--device", "cuda", "--shape", "64x64", "--m", "1", "--group", "64", "--dry-run");
        assertEquals("", run.err());
        assertEquals(0, run.status(), run.out());
        assertTrue(run.out().matches("(?s).*\\| +64x64 +1 +(striped \\d+x|hopper \\d+x|dense ).* [1-9]\\d* +0 +\\|.*"), run.out());
        assertFalse(Files.exists(file));
    }

    /** One candidate more where cuBLAS can be used; a word why not where it cannot. */
    @Test
    @Tag("long")
    @Tag("gpu-on-stand-in")
    void denseWeightsAreACandidateWhereCublasIs() throws Exception {
        CudaDevice gpu = Gpu.first();
        assumeTrue(gpu.missing(KernelFamily.DENSE).isEmpty(), () -> gpu.missing(KernelFamily.DENSE).orElseThrow());
        String[] options = {"tune", "--device", "cuda", "--shape", "64x64", "--m", "40", "--group", "64", "--dry-run"};
        int others = TuningCandidates.of(gpu.facts(), new WeightShape(64, 64, 64, DataType.FP16, false), 40, Tuning.NONE).size() - 1;
        Cli with = Cli.run(options);
        assertEquals(0, with.status(), with.err() + with.out());
        assertTrue(with.out().matches("(?s).* " + (others + 1) + " +0 +\\|.*") && !with.out().contains("not measured"), with.out());

        System.setProperty("jmarlin.images", StandIn.copyImages(folder, "striped").toString());
        try {
            Cli without = Cli.run(options);
            assertEquals(0, without.status(), without.err() + without.out());
            assertTrue(without.out().matches("(?s).* " + others + " +0 +\\|.*"), without.out());
            assertTrue(without.out().contains("dense: no kernel image of dequantize for "),
                    without.out());
        } finally {
            System.clearProperty("jmarlin.images");
        }
    }

    @Test
    @Tag("gpu")
    void aStoredCrossoverIsShown() throws Exception {
        CudaDevice gpu = Gpu.first();
        WeightShape shape = new WeightShape(128, 200, 64, DataType.FP16, false);
        TuningFile.write(file, gpu.facts(), Tuning.NONE.with(Tuning.Product.of(shape, 512),
                new Tuning.Winner(PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE), 3e-6)));
        Cli show = Cli.run("tune", "--device", "cuda", "--show");
        assertEquals(0, show.status(), show.err());
        assertTrue(show.out().matches("(?s).*128x200.* 512 +dense weights, cuBLAS .*"), show.out());
    }

    @Test
    @Tag("gpu")
    @Tag("hopper")
    void aStoredWinnerIsShownAndRuns() throws Exception {
        CudaDevice gpu = Gpu.first();
        WeightShape shape = new WeightShape(128, 200, 64, DataType.FP16, false);
        boolean hopper = gpu.facts().computeCapability() == 90;
        PlanOptions options = hopper ? PlanOptions.DEFAULT.withHopperTile(new HopperTile(16, 256, 1, 2))
                : PlanOptions.DEFAULT.withTile(new TileShape(32, 256)).withGrid(2).withStages(2);
        TuningFile.write(file, gpu.facts(), Tuning.NONE.with(Tuning.Product.of(shape, 1), new Tuning.Winner(options, 3e-6)));
        Cli show = Cli.run("tune", "--device", "cuda", "--show");
        assertEquals(0, show.status(), show.err());
        String shown = hopper ? "hopper 16x256 k split in 2" : "striped 32x256, 2 blocks, 2 stages";
        assertTrue(show.out().contains(shown), show.out());
        float[] weights = DemoLayer.weights(1, 128, 200);
        try (QuantizedMatrix matrix = RoundToNearest.symmetric(64, DataType.FP16).quantize(weights, 128, 200);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
                CudaLinear tuned = gpu.place(packed);
                CudaLinear asked = gpu.place(packed, options)) {
            assertEquals(asked.plan(1).kernel(), tuned.plan(1).kernel());
            assertEquals(asked.plan(1).grid(), tuned.plan(1).grid());
            assertTrue(tuned.plan(1).reason().startsWith("measured at 3.00 us on this device"), tuned.plan(1).reason());
            assertTrue(tuned.plan(9).reason().startsWith("fastest prediction"), tuned.plan(9).reason());
            float[] a = DemoLayer.activations(1, 1, 128, DataType.FP16);
            assertArrayEquals(asked.multiply(a, 1), tuned.multiply(a, 1));
        }
    }

    @Test
    @Tag("gpu")
    void aBadFileIsAnErrorWhenItIsLookedAt() throws Exception {
        Gpu.first();
        Cli missing = Cli.run("tune", "--device", "cuda", "--show");
        assertEquals(1, missing.status());
        assertEquals("jmarlin tune: tuning file " + file + ": there is no such file\n", missing.err());
        Files.writeString(file, "{}");
        for (String option : new String[] {"--show", "--dry-run"}) {
            Cli bad = Cli.run("tune", "--device", "cuda", option, "--shape", "64x64", "--m", "1");
            assertEquals(1, bad.status(), bad.out());
            assertTrue(bad.err().startsWith("jmarlin tune: tuning file " + file + ": key null: version expected"), bad.err());
        }
        assertEquals("{}", Files.readString(file));
    }}
