package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.WeightForm;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TileShapeTest {

    private static final WeightShape GROUPS_OF_128 = new WeightShape(4096, 14336, 128, DataType.FP16, false);

    @Test
    void everyStageHoldsOneBlockOfCodesPerWarp() {
        for (TileShape tile : TileShape.INSTANCES) {
            assertEquals(TileShape.WARPS, tile.warpsN() * tile.warpsK(), tile.toString());
            assertEquals(TileShape.WARPS, tile.kBlocksPerStage() * tile.nTile() / TileShape.STRIP, tile.toString());
        }
    }

    @Test
    void stageBytesByHand() {
        // 8 x 2048 codes + 8 x 128 scales + 4 blocks of k x 16 rows x 128 bytes
        assertEquals(16384 + 1024 + 8192, new TileShape(16, 128).stageBytes(GROUPS_OF_128));
        // zero points as many as scales
        assertEquals(16384 + 2048 + 8192, new TileShape(16, 128)
                .stageBytes(new WeightShape(4096, 4096, 64, DataType.BF16, true)));
        // groups of 32: two rows per block
        assertEquals(16384 + 4096 + 8192, new TileShape(16, 128)
                .stageBytes(new WeightShape(4096, 4096, 32, DataType.FP16, true)));
        // a column of at most 32 is one group, whatever was asked
        assertEquals(16384 + 1024 + 8192, new TileShape(16, 128).stageBytes(new WeightShape(32, 4096, 32, DataType.FP16, false)));
    }

    /** Beside the codes of eight warps: sparse weights meet twice the activations, 8-bit codes are twice as long. */
    @Test
    void stageBytesOfOtherFormsByHand() {
        WeightForm sparse = WeightForm.int4(64, false).withSparsity(WeightForm.Sparsity.TWO_OF_FOUR);
        assertEquals(8 * (3072 + 2 * 128) + 4 * 16 * 256, new TileShape(16, 128).stageBytes(new WeightShape(4096, 64, DataType.FP16, sparse)));
        WeightForm i8 = WeightForm.of(WeightForm.Code.INT8, WeightForm.Offset.MIDDLE, 16);
        assertEquals(8 * (4096 + 4 * 128) + 2 * 32 * 128, new TileShape(32, 256).stageBytes(new WeightShape(4096, 64, DataType.FP16, i8)));
        WeightForm floatZero = WeightForm.of(WeightForm.Code.INT4, WeightForm.Offset.FLOAT_ZERO, 32);
        assertEquals(8 * (2048 + 4 * 128) + 8 * 8 * 128, new TileShape(8, 64).stageBytes(new WeightShape(4096, 64, DataType.BF16, floatZero)));
    }

    /** Every set of kernels plans for every card, any number of rows, with tiles and names of its own; batch-invariant too. */
    @ParameterizedTest
    @EnumSource
    void everySetOfKernelsIsPlanned(KernelSet set) {
        for (WeightForm form : WeightShapeTest.forms().filter(form -> KernelSet.of(form) == set).toList()) {
            WeightShape weights = new WeightShape(4096, 4096, DataType.FP16, form);
            for (DeviceFacts device : List.of(PlannerTest.A100, PlannerTest.A10, PlannerTest.H200)) {
                TreeSet<Integer> columns = new TreeSet<>();
                for (int m : new int[] {1, 16, 32, 64, 300}) {
                    StripedPlan plan = (StripedPlan) new Planner(device, weights, PlanOptions.DEFAULT).plan(m);
                    assertTrue(set.allTiles().contains(plan.tile()) && plan.tile().isFor(device), plan.toString());
                    assertTrue(plan.kernel().startsWith("striped_f16_" + form.tag() + "_g") && plan.stages() >= 2, plan.toString());
                    assertTrue(plan.sharedBytes() <= device.sharedMemoryPerBlockOptin(), plan.toString());
                    if (m <= Planner.BATCH_INVARIANT_ROWS) {
                        columns.add(((StripedPlan) new Planner(device, weights, PlanOptions.DEFAULT.withBatchInvariance()).plan(m)).tile().nTile());
                    }
                }
                assertEquals(1, columns.size(), "batch-invariant tiles have one width");
            }
            for (HopperTile tile : weights.hopperTiles()) {
                HopperPlan plan = (HopperPlan) new Planner(PlannerTest.H200, weights, PlanOptions.DEFAULT.withHopperTile(tile)).plan(16);
                assertTrue(plan.kernel().startsWith("hopper_f16_" + form.tag() + "_g"), plan.toString());
            }
        }
    }

    @Test
    void sharedBytesByHand() {
        // 3 stages and 4 of 8 warps handing over 2 KB each would be nTile 256; nTile 64 has 7 of 8
        assertEquals(3 * (16384 + 1024 + 8 * 8 * 128) + 7 * 2048, new TileShape(8, 64).sharedBytes(GROUPS_OF_128, 3));
        assertEquals(3 * (16384 + 1024 + 2 * 64 * 128) + 4 * 2048, new TileShape(64, 256).sharedBytes(GROUPS_OF_128, 3));
    }

    /** Half as many blocks a stage; eight or four leaders, handed 1 KB by each other warp of their strip, 2 KB at least. */
    @Test
    void halvesByHand() {
        assertEquals(5 * (4 * 2048 + 4 * 128 + 64 * 128) + 8 * 2048, new TileShape(64, 256, 2).sharedBytes(GROUPS_OF_128, 5));
        assertEquals(5 * (4 * 2048 + 4 * 128 + 2 * 32 * 128) + 4 * 3 * 1024, new TileShape(32, 128, 2).sharedBytes(GROUPS_OF_128, 5));
        for (TileShape tile : TileShape.IN_HALVES) {
            TileShape whole = new TileShape(tile.batchTile(), tile.nTile());
            assertEquals(2, whole.stagesFitting(GROUPS_OF_128, 99 * 1024), "why there is one in halves");
            assertEquals(5, tile.stagesFitting(GROUPS_OF_128, 99 * 1024));
            assertEquals(4, tile.stagesFitting(new WeightShape(4096, 4096, 32, DataType.FP16, true), 99 * 1024));
            assertEquals(2 * tile.kBlocksPerStage(), whole.kBlocksPerStage());
            assertEquals(2 * tile.warpsN(), tile.parts());
            assertTrue(tile.isFor(PlannerTest.A10) && whole.isFor(PlannerTest.A10) && whole.isFor(PlannerTest.A100));
            assertFalse(tile.isFor(PlannerTest.A100) || tile.isFor(PlannerTest.H200));
        }
        assertEquals("striped_f16_sym_g64_m64_n256_h2", new TileShape(64, 256, 2).kernelName(GROUPS_OF_128));
    }

    @Test
    void stagesFittingIsTheLargestThatFits() {
        for (TileShape tile : TileShape.INSTANCES) {
            for (int limit = 0; limit <= 240_000; limit += 1000) {
                int stages = tile.stagesFitting(GROUPS_OF_128, limit);
                assertTrue(stages == 0 || tile.sharedBytes(GROUPS_OF_128, stages) <= limit, tile + " in " + limit);
                assertTrue(stages == TileShape.MAX_STAGES || tile.sharedBytes(GROUPS_OF_128, stages + 1) > limit, tile + " in "
                        + limit);
            }
        }
    }

    @Test
    void kernelNamesFollowTheImage() {
        assertEquals("striped_f16_sym_g64_m8_n64", new TileShape(8, 64).kernelName(GROUPS_OF_128));
        assertEquals("striped_bf16_zp_g32_m64_n256",
                new TileShape(64, 256).kernelName(new WeightShape(4096, 4096, 32, DataType.BF16, true)));
        assertEquals("striped_f16_sym_g64_m8_n128", new TileShape(8, 128)
                .kernelName(new WeightShape(4096, 64, -1, DataType.FP16, false)));
    }

    @Test
    void refusesShapesThatCannotBe() {
        for (int[] bad : new int[][] {{8, 64, 2}, {24, 128, 2}, {16, 128, 0}, {16, 128, 3}, {64, 256, 4}}) {
            IllegalArgumentException refusal = assertThrows(IllegalArgumentException.class, () -> new TileShape(bad[0], bad[1], bad[2]));
            assertTrue(refusal.getMessage().contains(bad[2] + " warps to a block with a batch tile of " + bad[0]), refusal.getMessage());
        }
        for (int[] bad : new int[][] {{0, 64}, {7, 64}, {72, 64}, {12, 128}, {-8, 64}, {8, 32}, {8, 0}, {8, 192}, {8, 512}}) {
            IllegalArgumentException refusal = assertThrows(IllegalArgumentException.class, () -> new TileShape(bad[0], bad[1]));
            assertTrue(refusal.getMessage().contains("tile " + bad[0]) || refusal.getMessage().contains("tile " + bad[1]),
                    refusal.getMessage());
        }
    }
}
