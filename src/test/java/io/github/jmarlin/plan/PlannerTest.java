package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class PlannerTest {

    static final DeviceFacts H200 = new DeviceFacts("H200", 9, 0, 132, 232448, 50L << 20, 141L << 30, 1_980_000,
            4_917_000_000_000L);
    static final DeviceFacts A100 = new DeviceFacts("A100", 8, 0, 108, 166912, 40L << 20, 80L << 30, 1_410_000,
            2_039_000_000_000L);
    static final DeviceFacts A10 = new DeviceFacts("A10", 8, 6, 72, 101376, 6L << 20, 24L << 30, 1_695_000, 600_000_000_000L);
    static final DeviceFacts UNTOLD = new DeviceFacts("newer", 12, 0, 170, 101376, 0, 0, 0, 0);

    private static final WeightShape LLAMA_UP = new WeightShape(4096, 14336, 128, DataType.FP16, false);

    static Stream<WeightShape> shapes() {
        List<WeightShape> shapes = new ArrayList<>();
        for (int[] kn : new int[][] {{4096, 4096}, {4096, 14336}, {14336, 4096}, {28672, 8192}, {64, 64}, {100, 1}, {1, 100},
                {224, 320}}) {
            for (int group : new int[] {-1, 32, 64, 128, 256}) {
                shapes.add(new WeightShape(kn[0], kn[1], group, DataType.FP16, group == 32));
            }
        }
        return shapes.stream();
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void everyPlanFitsItsDevice(WeightShape weights) {
        for (DeviceFacts device : List.of(H200, A100, A10, UNTOLD)) {
            for (PlanOptions options : List.of(PlanOptions.DEFAULT, PlanOptions.DEFAULT.withBatchInvariance(),
                    PlanOptions.DEFAULT.withGrid(3))) {
                Planner planner = new Planner(device, weights, options);
                for (int m : new int[] {1, 8, 9, 16, 17, 32, 33, 64, 65, 130, 1024, 8192}) {
                    if (m <= planner.rowsPerLaunch()) {
                        check(striped(planner, m), device, m);
                    }
                }
            }
        }
    }

    private static void check(StripedPlan plan, DeviceFacts device, int m) {
        String what = m + " rows on " + device + ": " + plan;
        Stripes stripes = plan.stripes();
        assertTrue(KernelSet.INT4.allTiles().contains(plan.tile()) && plan.tile().isFor(device), what);
        assertTrue(plan.sharedBytes() <= device.sharedMemoryPerBlockOptin(), what);
        assertEquals(plan.tile().sharedBytes(plan.weights(), plan.stages()), plan.sharedBytes(), what);
        assertTrue(plan.grid() <= device.multiprocessors(), what);
        assertTrue((long) stripes.mTiles() * plan.tile().batchTile() >= m, what);
        assertTrue((long) (stripes.mTiles() - 1) * plan.tile().batchTile() < m, what);
        assertTrue((long) stripes.nTiles() * plan.tile().nTile() >= plan.weights().n(), what);
        assertEquals(plan.weights().kBlocks(), stripes.kBlocks(), what);
        for (int tile = 0; tile < Math.min(stripes.tiles(), 500); tile++) {
            if (stripes.arrivals(tile) > 1) {
                long end = (stripes.slot(stripes.lastBlock(tile), tile) + 1L) * plan.tile().slotFloats() * 4;
                assertTrue(end <= plan.workspace().scratchBytes(), what);
            }
        }
        assertTrue(plan.prediction().seconds() > 0 && plan.prediction().seconds() < 2, what);
        assertTrue(what.contains(plan.kernel()) && what.contains("bound by") && !plan.reason().isEmpty(), what);
    }

    @Test
    void onePlanServesEightRows() {
        Planner planner = new Planner(H200, LLAMA_UP, PlanOptions.DEFAULT);
        for (int m = 1; m <= 200; m++) {
            assertEquals(planner.plan((m + 7) / 8 * 8), planner.plan(m), "m " + m);
        }
    }

    @Test
    void smallBatchesAreBoundByDramAndLargeOnesByArithmetic() {
        Planner planner = new Planner(H200, new WeightShape(8192, 28672, 128, DataType.FP16, false), PlanOptions.DEFAULT);
        Planner slowerMemory = new Planner(A100, planner.plan(1).weights(), PlanOptions.DEFAULT);
        assertEquals("DRAM", slowerMemory.plan(1).prediction().bound());
        assertEquals("DRAM", slowerMemory.plan(16).prediction().bound());
        assertEquals("arithmetic", planner.plan(4096).prediction().bound());
        // Two streams of weights a block rather than four.
        assertEquals(new TileShape(16, 128), striped(planner, 16).tile());
        assertEquals(new TileShape(64, 256), striped(planner, 4096).tile());
        // 130 rows are three tiles of 48 or of 64: the smaller do less.
        assertEquals(new TileShape(48, 256), striped(planner, 130).tile());
    }

    @Test
    void narrowLayersAvoidTheLongTailOfWideTiles() {
        Planner planner = new Planner(H200, new WeightShape(4096, 1024, 128, DataType.FP16, false), PlanOptions.DEFAULT);
        assertTrue(striped(planner, 16).tile().nTile() < 256, planner.plan(16).toString());
    }

    @Test
    void smallSharedMemoryMeansFewerStages() {
        assertTrue(new Planner(A10, LLAMA_UP, PlanOptions.DEFAULT).plan(16).stages()
                < new Planner(H200, LLAMA_UP, PlanOptions.DEFAULT).plan(16).stages());
    }

    @Test
    void batchInvariantPlansDifferInTheBatchTileOnly() {
        for (DeviceFacts device : List.of(H200, A100, A10)) {
            // For the added one, predictions for 8 and for 32 rows would cut the stripes differently.
            WeightShape torn = new WeightShape(448, 3200, 128, DataType.FP16, false);
            for (WeightShape weights : Stream.concat(shapes(), Stream.of(torn)).toList()) {
                Planner planner = new Planner(device, weights, PlanOptions.DEFAULT.withBatchInvariance());
                assertEquals(Planner.BATCH_INVARIANT_ROWS, planner.rowsPerLaunch());
                StripedPlan first = striped(planner, 1);
                assertEquals(8, first.tile().batchTile());
                for (int m = 1; m <= planner.rowsPerLaunch(); m++) {
                    StripedPlan plan = striped(planner, m);
                    assertEquals(first.stripes(), plan.stripes(), plan.toString());
                    assertEquals(first.tile().nTile(), plan.tile().nTile(), plan.toString());
                    assertTrue(plan.tile().batchTile() >= m, plan.toString());
                }
            }
        }
    }

    @Test
    void overridesAreObeyed() {
        for (TileShape tile : TileShape.INSTANCES) {
            for (int grid : new int[] {1, 2, 3, 8, 1000}) {
                StripedPlan plan = striped(new Planner(H200, LLAMA_UP, PlanOptions.DEFAULT.withTile(tile).withGrid(grid)
                        .withStages(3)), 20);
                assertEquals(tile, plan.tile());
                assertEquals(3, plan.stages());
                assertTrue(plan.grid() <= grid, plan.toString());
                assertEquals((plan.stripes().totalUnits() + grid - 1) / grid, plan.stripes().unitsPerBlock(), plan.toString());
                assertTrue(plan.reason().contains("as asked"), plan.reason());
            }
        }
    }

    @Test
    void hugeWeightsGoInSmallerLaunches() {
        WeightShape huge = new WeightShape(1 << 22, 1 << 19, -1, DataType.FP16, false);
        Planner planner = new Planner(H200, huge, PlanOptions.DEFAULT);
        assertTrue(planner.rowsPerLaunch() < 64 * 2 && planner.rowsPerLaunch() % 8 == 0, "rows " + planner.rowsPerLaunch());
        assertTrue(striped(planner, planner.rowsPerLaunch()).stripes().totalUnits() > 0);
        refused("units of 64 k", () -> new Planner(H200, new WeightShape(1 << 24, 1 << 20, -1, DataType.FP16, false),
                PlanOptions.DEFAULT));
    }

    @Test
    void refusesWithTheValues() {
        refused("compute capability 7.5", () -> new Planner(new DeviceFacts("T4", 7, 5, 40, 65536, 0, 0, 0, 0), LLAMA_UP,
                PlanOptions.DEFAULT));
        Planner planner = new Planner(H200, LLAMA_UP, PlanOptions.DEFAULT);
        refused("m 0", () -> planner.plan(0));
        refused("m -3", () -> planner.plan(-3));
        refused("m 8193", () -> planner.plan(8193));
        refused("tile 56x256", () -> new Planner(H200, LLAMA_UP, PlanOptions.DEFAULT.withTile(new TileShape(56, 256))));
        refused("101376", () -> new Planner(A10, LLAMA_UP, PlanOptions.DEFAULT.withTile(new TileShape(64, 256)).withStages(8)));
        refused("grid -1", () -> PlanOptions.DEFAULT.withGrid(-1));
        refused("stages 1", () -> PlanOptions.DEFAULT.withStages(1));
        refused("stages 9", () -> PlanOptions.DEFAULT.withStages(9));
        refused("batchInvariant", () -> PlanOptions.DEFAULT.withBatchInvariance().withTile(new TileShape(8, 128)));
        refused("no kernel for", () -> new Planner(new DeviceFacts("small", 8, 6, 8, 20000, 0, 0, 0, 0), LLAMA_UP,
                PlanOptions.DEFAULT).plan(1));
    }

    private static StripedPlan striped(Planner planner, int m) {
        return (StripedPlan) planner.plan(m);
    }

    private static void refused(String value, Runnable call) {
        String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
        assertTrue(message.contains(value), message);
    }

    /** Communication kernels beside it keep the SMs that a plan is not given. */
    @Test
    void plansStayWithinTheirMultiprocessors() {
        for (int most : new int[] {1, 3, 17, 100, 132}) {
            for (PlanOptions options : List.of(PlanOptions.DEFAULT, PlanOptions.DEFAULT.withBatchInvariance(),
                    PlanOptions.DEFAULT.withFamily(KernelFamily.HOPPER))) {
                PlanOptions limited = options.withMultiprocessors(most);
                Planner planner = new Planner(H200, LLAMA_UP, limited);
                for (int m : new int[] {1, 16, 64, 120}) {
                    GemmPlan plan = planner.plan(Math.min(m, planner.rowsPerLaunch()));
                    assertTrue(plan.grid() <= most, () -> plan.toString());
                    if (plan instanceof StripedPlan) {
                        assertTrue(plan.reason().contains("on " + most + " multiprocessors at most"), plan.reason());
                    }
                }
            }
        }
        String message = assertThrows(IllegalArgumentException.class,
                () -> new Planner(H200, LLAMA_UP, PlanOptions.DEFAULT.withMultiprocessors(133))).getMessage();
        assertTrue(message.contains("multiprocessors 133") && message.contains("132"), message);
        assertThrows(IllegalArgumentException.class, () -> PlanOptions.DEFAULT.withMultiprocessors(-1));
        assertThrows(IllegalArgumentException.class, () -> PlanOptions.DEFAULT.withMultiprocessors(8).withGrid(8));
        assertThrows(IllegalArgumentException.class, () -> PlanOptions.DEFAULT.withMultiprocessors(8).withFamily(KernelFamily.DENSE));
    }
}
