package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class HopperPlannerTest {
    private static final PlanOptions HOPPER = PlanOptions.DEFAULT.withFamily(KernelFamily.HOPPER);
    private static final WeightShape SQUARE = new WeightShape(8192, 8192, 128, DataType.FP16, false);

    @ParameterizedTest
    @MethodSource("io.github.jmarlin.plan.PlannerTest#shapes")
    void everyPlanFitsTheDevice(WeightShape weights) {
        Planner planner = new Planner(PlannerTest.H200, weights, HOPPER);
        for (int m : new int[] {1, 8, 9, 16, 17, 32, 33, 64, 65, 130, 1024, 8192}) {
            HopperPlan plan = (HopperPlan) planner.plan(m);
            assertTrue(HopperTile.INSTANCES.contains(plan.tile()), plan.toString());
            assertEquals(plan.tile().sharedBytes(weights, plan.stages()), plan.sharedBytes());
            assertTrue(plan.sharedBytes() <= PlannerTest.H200.sharedMemoryPerBlockOptin(), plan.toString());
            assertTrue(plan.grid() <= PlannerTest.H200.multiprocessors() && plan.grid() % plan.tile().cluster() == 0, plan.toString());
            assertTrue(plan.clusters() <= plan.nTiles() * plan.mTiles(), plan.toString());
            assertTrue((long) plan.mTiles() * plan.tile().batchTile() >= m && (long) plan.nTiles() * plan.tile().nTile() >= weights.n());
            assertTrue(plan.toString().contains(plan.kernel()) && plan.reason().contains("never measured"), plan.toString());
        }
    }

    /** n = k = 8192 of docs/hopper.md: what bounds it, and that all SMs but four have work. */
    @Test
    void smallBatchesAreBoundByDramAndLargeOnesByTensorCores() {
        Planner planner = new Planner(PlannerTest.H200, SQUARE, HOPPER);
        for (int m : new int[] {1, 16}) {
            assertEquals("DRAM", planner.plan(m).prediction().bound(), planner.plan(m).toString());
            assertEquals(128, planner.plan(m).grid(), planner.plan(m).toString());
        }
        assertEquals("tensor cores", planner.plan(4096).prediction().bound());
        assertEquals(new HopperTile(128, 256, 1), ((HopperPlan) planner.plan(4096)).tile());
    }

    @Test
    void theStripedKernelIsChosenUntilThereIsAMeasurement() {
        GemmPlan plan = new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT).plan(64);
        assertTrue(plan instanceof StripedPlan && plan.reason().contains("not chosen before a measurement"), plan.toString());
        assertFalse(new Planner(PlannerTest.A100, SQUARE, PlanOptions.DEFAULT).plan(64).reason().contains("Hopper"));
    }

    @Test
    void overridesAreObeyed() {
        for (HopperTile tile : HopperTile.INSTANCES) {
            HopperPlan plan = (HopperPlan) new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT.withHopperTile(tile).withGrid(8)
                    .withStages(HopperTile.MIN_STAGES)).plan(20);
            assertEquals(tile, plan.tile());
            assertEquals(8, plan.grid());
            assertTrue(plan.stages() == HopperTile.MIN_STAGES && plan.reason().contains("as asked"), plan.toString());
        }
    }

    @Test
    void refusesWithTheValues() {
        refused("needs compute capability 9.0", () -> new Planner(PlannerTest.A100, SQUARE, HOPPER));
        refused("32x256 in clusters of 1", () -> new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT.withHopperTile(
                new HopperTile(32, 256, 1))));
        refused("batchInvariant", () -> HOPPER.withBatchInvariance());
        refused("8x64", () -> HOPPER.withTile(new TileShape(8, 64)));
        refused("stages 4", () -> HOPPER.withStages(4));
        refused("stages 13", () -> HOPPER.withStages(13));
        for (int[] bad : new int[][] {{24, 128, 1}, {4, 128, 1}, {8, 64, 1}, {8, 128, 3}, {256, 128, 1}}) {
            refused("must be", () -> new HopperTile(bad[0], bad[1], bad[2]));
        }
    }

    @Test
    void namesAndBytes() {
        WeightShape groups32 = new WeightShape(4096, 4096, 32, DataType.BF16, true);
        assertEquals("hopper_bf16_zp_g32_m16_n256_s2", new HopperTile(16, 256, 2).kernelName(groups32));
        // By hand: two k-blocks of 16 x 128 bytes, eight blocks of codes, 4 strips x 4 rows of scales and as many zero codes.
        assertEquals((2 * 2048 + 8 * 2048 + 2 * 16 * 128 + 1023) / 1024 * 1024, new HopperTile(16, 256, 2).slotBytes(groups32));
        assertEquals(List.of(10, 5), List.of(new HopperTile(8, 128, 1).stagesFitting(SQUARE, 232448),
                new HopperTile(128, 128, 4).stagesFitting(SQUARE, 232448)));
    }

    private static void refused(String value, Runnable call) {
        String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
        assertTrue(message.contains(value), message);
    }
}
