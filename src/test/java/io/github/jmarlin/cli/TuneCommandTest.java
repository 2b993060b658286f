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
import io.github.jmarlin.plan.HopperTile;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.TileShape;
import io.github.jmarlin.plan.Tuning;
import io.github.jmarlin.plan.TuningCandidates;
import io.github.jmarlin.plan.TuningFile;
import io.github.jmarlin.plan.WeightShape;
import io.github.jmarlin.quantize.RoundToNearest;
import java.nio.file.Files;
import java.nio.file.Path;
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
    void askForAFile() {
        file = folder.resolve("tuning.json");
        System.setProperty(TuningFile.PROPERTY, file.toString());
    }

    @AfterEach
    void restoreProperty() {
        System.setProperty(TuningFile.PROPERTY, PROPERTY_BEFORE);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--shape 4096     | --shape 4096: must be KxN",
        "--shape 0x64     | --shape 0x64: weights 0 x 64: k and n must be in 1..",
        "--group 48       | --shape 4096x6144: group size 48: must be",
        "--dtype fp32     | --shape 4096x6144: compute type FP32",
        "--m 8,0          | --m 0: must be in 1..1024",
        "--m 8            | tune measures kernels of a GPU, and the device is CPU",
        "--shape 99999x99999 | --shape 99999x99999: a matrix of more than 2^30 elements",
    })
    void badOptionsAreNamed(String options, String message) {
        Cli run = Cli.run(("tune --device cpu " + options).split(" "));
        assertEquals(2, run.status(), run.out());
        assertTrue(run.err().startsWith(message), run.err());
    }

    @Test
    @Tag("gpu-on-stand-in")
    void timesOfAnEmulatedDeviceAreNotStored() {
        assertTrue(gpu().name().startsWith("Emulated"), gpu().name());
        Cli run = Cli.run("tune", "--device", "cuda", "--shape", "64x64", "--m", "1");
        assertEquals(2, run.status(), run.out());
        assertTrue(run.err().contains("times of an emulated device mean nothing and are not stored; --dry-run"), run.err());
        assertFalse(Files.exists(file));
    }

    @Test
    @Tag("gpu")
    @Tag("hopper")
    void aDryRunMeasuresEveryCandidateAndStoresNothing() {
        gpu();
        Cli run = Cli.run("tune", "--device", "cuda", "--shape", "64x64", "--m", "1", "--group", "64", "--dry-run");
        assertEquals("", run.err());
        assertEquals(0, run.status(), run.out());
        assertTrue(run.out().matches("(?s).*\\| +64x64 +1 +(striped \\d+x|hopper \\d+x|dense ).* [1-9]\\d* +0 +\\|.*"), run.out());
        assertFalse(Files.exists(file));
    }

    /** One candidate more where cuBLAS can be used; a word why not where it cannot. */
    @Test
    @Tag("gpu-on-stand-in")
    void denseWeightsAreACandidateWhereCublasIs() throws Exception {
        CudaDevice gpu = gpu();
        assumeTrue(gpu.missingDense().isEmpty(), () -> gpu.missingDense().orElseThrow());
        String[] options = {"tune", "--device", "cuda", "--shape", "64x64", "--m", "40", "--group", "64", "--dry-run"};
        int others = TuningCandidates.of(gpu.facts(), new WeightShape(64, 64, 64, DataType.FP16, false), 40).size();
        Cli with = Cli.run(options);
        assertEquals(0, with.status(), with.err() + with.out());
        assertTrue(with.out().matches("(?s).* " + (others + 1) + " +0 +\\|.*") && !with.out().contains("not measured"), with.out());

        String images = System.getProperty("jmarlin.images");
        for (String image : new String[] {"striped.sm_80.cubin", "images.properties"}) {
            Files.copy(Path.of(images, image), folder.resolve(image));
        }
        System.setProperty("jmarlin.images", folder.toString());
        try {
            Cli without = Cli.run(options);
            assertEquals(0, without.status(), without.err() + without.out());
            assertTrue(without.out().matches("(?s).* " + others + " +0 +\\|.*"), without.out());
            assertTrue(without.out().contains("dense weights and cuBLAS: this library has no kernel image dequantize.sm_80.cubin"),
                    without.out());
        } finally {
            System.setProperty("jmarlin.images", images);
        }
    }

    @Test
    @Tag("gpu")
    void aStoredCrossoverIsShown() throws Exception {
        CudaDevice gpu = gpu();
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
        CudaDevice gpu = gpu();
        WeightShape shape = new WeightShape(128, 200, 64, DataType.FP16, false);
        boolean hopper = gpu.facts().computeCapability() == 90;
        PlanOptions options = hopper ? PlanOptions.DEFAULT.withHopperTile(new HopperTile(16, 256, 2))
                : PlanOptions.DEFAULT.withTile(new TileShape(32, 256)).withGrid(2).withStages(2);
        TuningFile.write(file, gpu.facts(), Tuning.NONE.with(Tuning.Product.of(shape, 1), new Tuning.Winner(options, 3e-6)));
        Cli show = Cli.run("tune", "--device", "cuda", "--show");
        assertEquals(0, show.status(), show.err());
        String shown = hopper ? "hopper 16x256 in clusters of 2" : "striped 32x256, 2 blocks, 2 stages";
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
        gpu();
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
    }

    private static CudaDevice gpu() {
        assumeTrue(CudaDriver.isAvailable(), CudaDriver::unavailableReason);
        CudaDevice device = CudaDriver.devices().get(0);
        assumeTrue(device.missingKernels().isEmpty(), () -> device.missingKernels().orElseThrow());
        return device;
    }
}
