package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.plan.DeviceFacts;
import io.github.jmarlin.plan.GemmPlan;
import io.github.jmarlin.plan.HopperTile;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.Planner;
import io.github.jmarlin.plan.Stripes;
import io.github.jmarlin.plan.TileShape;
import io.github.jmarlin.plan.Tuning;
import io.github.jmarlin.plan.WeightShape;
import java.util.List;
import org.junit.jupiter.api.Test;

/** How much is fetched ahead, and from where. What the kernels make of it: {@code src/test/cuda/suites/prefetch.cpp}. */
class PrefetchTest {
    private static final long MIB = 1 << 20;
    private static final DeviceFacts H200 = device("H200", 9, 132, 50 * MIB);
    private static final DeviceFacts A100 = device("A100", 8, 108, 40 * MIB);
    private static final DeviceFacts SMALL = device("small", 8, 72, 6 * MIB);
    private static final long CODES = 0x10000;

    private static DeviceFacts device(String name, int major, int multiprocessors, long l2Bytes) {
        return new DeviceFacts(name, major, 0, multiprocessors, major == 9 ? 232448 : 101376, l2Bytes, 1L << 36, 1_700_000,
                2_000_000_000_000L);
    }

    private static WeightShape weights(int k, int n) {
        return new WeightShape(k, n, 128, DataType.FP16, false);
    }

    private static GemmPlan plan(DeviceFacts device, WeightShape weights, PlanOptions options, int m) {
        return new Planner(device, weights, options, Tuning.NONE).plan(m);
    }

    /** 32 tiles of 64 k-blocks on 128 blocks: 16 units each, of which two strips of 24 k-blocks would fit 96 KB. */
    @Test
    void stripesByHand() {
        GemmPlan plan = plan(A100, weights(4096, 4096), PlanOptions.DEFAULT.withTile(new TileShape(8, 128)).withGrid(128), 1);
        assertEquals(new Prefetch(CODES, 64, 64, 2, 1, 16, 128, 16, 2048), Prefetch.of(CODES, plan, A100.l2Bytes()));
        // A quarter of 2.5 MiB, for 128 starts of two strips of 2048 bytes: one k-block each.
        assertEquals(1, Prefetch.of(CODES, plan, 5 * MIB / 2).units());
    }

    /** Four blocks share the 224 k-blocks of a tile of 256 columns: they start 56 apart, and 96 KB are 12 k-blocks of four strips. */
    @Test
    void clustersByHand() {
        GemmPlan plan = plan(H200, weights(14336, 4096), PlanOptions.DEFAULT.withHopperTile(new HopperTile(16, 256, 1, 4)), 16);
        assertEquals(new Prefetch(CODES, 224, 64, 4, 1, 56, 64, 12, 2048), Prefetch.of(CODES, plan, H200.l2Bytes()));
    }

    /** Pairs of blocks walk 8 tiles of 8 strips side by side: 512 units, for 66 pairs 8 each, so 64 starting places. */
    @Test
    void pairsByHand() {
        GemmPlan plan = plan(H200, weights(4096, 4096), PlanOptions.DEFAULT.withHopperTile(new HopperTile(64, 256, 2, 1))
                .withCut(Stripes.Cut.EVEN), 64);
        assertEquals(128, plan.grid());
        assertEquals(new Prefetch(CODES, 64, 64, 8, 1, 8, 64, 8, 2048), Prefetch.of(CODES, plan, H200.l2Bytes()));
    }

    /**
     * 31 clusters of two pairs that split k begin with 31 of 112 tiles, in 62 places of 32 k-blocks: the 96 KB of all 124 blocks are
     * 24 k-blocks of four strips for each. The other tiles' turn comes when those are done.
     */
    @Test
    void onlyWhatIsReadFirstIsFetched() {
        GemmPlan plan = plan(H200, weights(4096, 28672), PlanOptions.DEFAULT.withHopperTile(new HopperTile(16, 128, 2, 2)), 16);
        assertEquals(124, plan.grid());
        assertEquals(new Prefetch(CODES, 64, 448, 4, 1, 32, 62, 24, 2048), Prefetch.of(CODES, plan, H200.l2Bytes()));
    }

    @Test
    void neverMoreThanItsShares() {
        for (DeviceFacts device : List.of(H200, A100, SMALL)) {
            for (WeightShape weights : List.of(weights(4096, 4096), weights(14336, 4096), weights(4096, 28672), weights(64, 64),
                    weights(100, 1000), weights(29568, 8192))) {
                for (int m : new int[] {1, 16, 33, 130, 4096}) {
                    for (PlanOptions options : device == H200 ? List.of(PlanOptions.DEFAULT,
                            PlanOptions.DEFAULT.withFamily(KernelFamily.HOPPER)) : List.of(PlanOptions.DEFAULT)) {
                        check(plan(device, weights, options, m), device);
                    }
                }
            }
        }
    }

    private static void check(GemmPlan plan, DeviceFacts device) {
        Prefetch prefetch = Prefetch.of(CODES, plan, device.l2Bytes());
        String what = prefetch + " for " + plan;
        assertEquals(plan.nTiles(), (prefetch.strips() + prefetch.stripsPerTile() - 1) / prefetch.stripsPerTile(), what);
        long units = (long) plan.nTiles() * plan.mTiles() * prefetch.kBlocks();
        assertTrue(prefetch.starts() >= 1 && prefetch.starts() <= plan.grid(), what);
        assertTrue((prefetch.starts() - 1L) * prefetch.unitsPerStart() < units, what);
        assertTrue(prefetch.units() >= 1 && prefetch.units() <= prefetch.unitsPerStart(), what);
        long bytes = (long) prefetch.blockBytes() * prefetch.starts() * prefetch.stripsPerTile() * prefetch.units();
        assertTrue(bytes <= device.l2Bytes() / 4 && bytes <= 98304L * plan.grid(), what);
    }

    @Test
    void aCacheOfUnknownSizeIsLeftAlone() {
        GemmPlan plan = plan(A100, weights(4096, 4096), PlanOptions.DEFAULT, 1);
        assertSame(Prefetch.NONE, Prefetch.of(CODES, plan, 0));
    }
}
