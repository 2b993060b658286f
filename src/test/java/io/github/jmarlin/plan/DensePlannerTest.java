package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Dense weights and cuBLAS: when asked for, when measured, and when not there. */
class DensePlannerTest {
    private static final PlanOptions DENSE = PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE);
    private static final PlanOptions STRIPED = PlanOptions.DEFAULT.withTile(new TileShape(8, 64)).withGrid(77);
    private static final WeightShape SQUARE = new WeightShape(8192, 8192, 128, DataType.FP16, false);

    @TempDir
    Path folder;

    @Test
    void asAsked() {
        for (DeviceFacts device : List.of(PlannerTest.H200, PlannerTest.A100, PlannerTest.A10, PlannerTest.UNTOLD)) {
            for (int m : new int[] {1, 8, 9, 4096, 8192}) {
                DensePlan plan = (DensePlan) new Planner(device, SQUARE, DENSE).plan(m);
                assertEquals((m + 7) / 8 * 8, plan.rows());
                assertEquals(8 * device.multiprocessors(), plan.grid());
                assertTrue(plan.toString().contains("as asked, never measured") && plan.prediction().seconds() > 0, plan.toString());
                assertEquals((device.computeMajor() >= 9 ? 32 : 4) << 20, plan.workspace().cublasBytes());
            }
        }
        assertEquals("dequantize_bf16_zp_g32", DensePlan.kernelName(new WeightShape(64, 64, 32, DataType.BF16, true)));
        assertEquals("dequantize_f16_sym_g64", DensePlan.kernelName(SQUARE));
    }

    /** By hand, H200: 169 MB at 4.33 TB/s and a gap before, 5.5e11 operations at 696 TFLOP/s, a tenth of 62 us of operands. */
    @Test
    void thePredictionIsTheExpansionAndTheProduct() {
        Prediction prediction = new Planner(PlannerTest.H200, SQUARE, DENSE).plan(4096).prediction();
        assertEquals("tensor cores", prediction.bound());
        assertEquals(42.3e-6, prediction.tail(), 0.5e-6);
        assertEquals(790e-6, prediction.tensor(), 1e-6);
        assertEquals(838.6e-6, prediction.seconds(), 2e-6);
        assertEquals("DRAM", new Planner(PlannerTest.H200, SQUARE, DENSE).plan(1).prediction().bound());
    }

    /** 70 columns of 100 weights, padded to 104; 512 rows of 72 sums behind the next 256 bytes. */
    @Test
    void theWorkspaceHoldsTheDenseWeightsAndSomeSums() {
        WeightShape weights = new WeightShape(100, 70, 64, DataType.FP16, false);
        DensePlan plan = (DensePlan) new Planner(PlannerTest.A100, weights, DENSE).plan(2000);
        assertEquals(new WorkspaceSize(14592 + 512 * 72 * 4, 0, 4 << 20), plan.workspace());
        assertEquals(new WorkspaceSize(14592 + 8 * 72 * 4, 0, 4 << 20),
                new Planner(PlannerTest.A100, weights, DENSE).plan(3).workspace());
        assertFalse(new WorkspaceSize(1 << 20, 1 << 20).covers(plan.workspace()));
        assertTrue(plan.workspace().max(new WorkspaceSize(1 << 20, 4)).covers(plan.workspace()));
        assertThrows(IllegalArgumentException.class, () -> new WorkspaceSize(0, 0, -1));
    }

    @Test
    void unmeasuredItIsNeverChosenAndOnlyMentionedWhereItMayPay() {
        for (DeviceFacts device : List.of(PlannerTest.H200, PlannerTest.A100)) {
            Planner planner = new Planner(device, SQUARE, PlanOptions.DEFAULT);
            String large = assertInstanceOf(StripedPlan.class, planner.plan(4096)).reason();
            assertTrue(large.contains("dense weights and cuBLAS, predicted at ") && large.contains("not chosen before a measurement"), large);
            assertFalse(planner.plan(16).reason().contains("cuBLAS"), planner.plan(16).reason());
        }
        for (PlanOptions asked : List.of(STRIPED, PlanOptions.DEFAULT.withFamily(KernelFamily.STRIPED))) {
            assertFalse(new Planner(PlannerTest.H200, SQUARE, asked).plan(4096).reason().contains("cuBLAS"));
        }
    }

    @Test
    void refusesWithTheValues() {
        refused("batchInvariant", DENSE::withBatchInvariance);
        refused("tile 8x64", () -> DENSE.withTile(new TileShape(8, 64)));
        refused("grid 3", () -> DENSE.withGrid(3));
        refused("stages 2", () -> DENSE.withStages(2));
        refused("cut EVEN", () -> DENSE.withCut(Stripes.Cut.EVEN));
        refused("family DENSE on A100: no cuBLAS: because",
                () -> new Planner(PlannerTest.A100, SQUARE, DENSE, Tuning.NONE, family -> Optional.of("no cuBLAS: because")));
        refused("0 bytes for cuBLAS", () -> new DensePlan("k", 8, SQUARE, 1, 0, new Prediction(0, 0, 0, 0, 0, 0, 0), ""));
    }

    private static void refused(String value, Runnable call) {
        String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
        assertTrue(message.contains(value), message);
    }

    // ---- measured ----

    /** Striped at 16 and 256 rows, dense at 64 and 512, written and read again. */
    private Tuning crossovers() throws IOException {
        Tuning tuning = Tuning.NONE;
        for (int rows : new int[] {512, 16, 256, 64}) {
            tuning = tuning.with(Tuning.Product.of(SQUARE, rows), new Tuning.Winner(rows == 64 || rows == 512 ? DENSE : STRIPED, rows * 1e-6));
        }
        Path file = folder.resolve("crossovers.json");
        TuningFile.write(file, PlannerTest.H200, tuning);
        assertEquals(tuning.winners(), TuningFile.read(file, PlannerTest.H200).winners());
        return TuningFile.read(file, PlannerTest.H200);
    }

    @Test
    void aDenseWinnerServesUpToTheNextMeasuredRowsAndAStripedOneItsOwn() throws IOException {
        Planner planner = new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT, crossovers());
        Planner unmeasured = new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT);
        for (int rows = 8; rows <= Planner.MOST_ROWS; rows += 8) {
            GemmPlan plan = planner.plan(rows);
            boolean dense = rows >= 64 && rows < 256 || rows >= 512;
            assertEquals(dense, plan instanceof DensePlan, plan.toString());
            if (rows == 16 || rows == 256) {
                assertTrue(plan.reason().startsWith("measured at " + rows + ".00 us on this device, by tuning file"), plan.reason());
            } else if (dense) {
                int measured = rows < 256 ? 64 : 512;
                assertTrue(plan.reason().startsWith("measured at " + measured + ".00 us on this device"
                        + (rows == measured ? ", by" : " for " + measured + " rows, a crossover that serves more, by")), plan.reason());
                assertEquals(rows, plan.rows());
            } else {
                assertEquals(unmeasured.plan(rows), plan);
            }
        }
        assertInstanceOf(DensePlan.class, planner.plan(57));
        assertInstanceOf(StripedPlan.class, planner.plan(56));
        WeightShape other = new WeightShape(8192, 8192, 128, DataType.FP16, true);
        assertInstanceOf(StripedPlan.class, new Planner(PlannerTest.H200, other, PlanOptions.DEFAULT, crossovers()).plan(1024));
        assertInstanceOf(StripedPlan.class,
                new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT.withBatchInvariance(), crossovers()).plan(32));
    }

    @Test
    void withoutCublasTheOthersRunAndThePlanSaysWhy() throws IOException {
        AtomicInteger asked = new AtomicInteger();
        Function<KernelFamily, Optional<String>> missing = family -> {
            if (family != KernelFamily.DENSE) {
                return Optional.empty();
            }
            asked.incrementAndGet();
            return Optional.of("no cuBLAS: libcublas.so.13: no such file");
        };
        Planner planner = new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT, crossovers(), missing);
        assertInstanceOf(StripedPlan.class, planner.plan(16));
        assertInstanceOf(StripedPlan.class, planner.plan(40));
        assertEquals(0, asked.get(), "cuBLAS is not looked for where nobody wants it");
        StripedPlan plan = assertInstanceOf(StripedPlan.class, planner.plan(128));
        StripedPlan predicted = (StripedPlan) new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT).plan(128);
        assertEquals(predicted.withReason(plan.reason()), plan);
        assertTrue(plan.reason().startsWith(predicted.reason() + "; ignored what was measured at 64.00 us on this device for 64 rows"),
                plan.reason());
        assertTrue(plan.reason().endsWith("no cuBLAS: libcublas.so.13: no such file"), plan.reason());
    }

    @Test
    void aStoredDenseWinnerHasNoTile() throws IOException {
        crossovers();
        Path file = folder.resolve("crossovers.json");
        String good = Files.readString(file);
        for (String[] bad : new String[][] {{"\"DENSE\"", "\"DENSE\",\"batchTile\":8", "batchTile"},
            {"\"DENSE\"", "\"STRIPED\"", "batchTile"}, {"\"DENSE\"", "\"DENSE\",\"cut\":\"EVEN\"", "cut"}}) {
            assertTrue(good.contains(bad[0]), good);
            Files.writeString(file, good.replace(bad[0], bad[1]));
            String message = assertThrows(TuningFileException.class, () -> TuningFile.read(file, PlannerTest.H200)).getMessage();
            assertTrue(message.contains(bad[2]), message);
        }
    }
}
