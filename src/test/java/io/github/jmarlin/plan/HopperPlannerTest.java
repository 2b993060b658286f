package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
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
            check(plan, m);
            assertTrue(plan.toString().contains(plan.kernel()) && plan.reason().contains("never measured"), plan.toString());
        }
    }

    /** Every instance, at every size that the device can count, whether it would be chosen or not. */
    @ParameterizedTest
    @MethodSource("io.github.jmarlin.plan.PlannerTest#shapes")
    void everyInstanceFitsTheDevice(WeightShape weights) {
        for (HopperTile tile : HopperTile.INSTANCES) {
            for (Stripes.Cut cut : tile.striped() ? Stripes.Cut.values() : new Stripes.Cut[] {null}) {
                PlanOptions options = PlanOptions.DEFAULT.withHopperTile(tile);
                for (int m : new int[] {1, 9, 64, 200, 8192}) {
                    check((HopperPlan) new Planner(PlannerTest.H200, weights, cut == null ? options : options.withCut(cut)).plan(m), m);
                }
            }
        }
    }

    private static void check(HopperPlan plan, int m) {
        String what = m + " rows: " + plan;
        HopperTile tile = plan.tile();
        assertTrue(plan.sharedBytes() <= PlannerTest.H200.sharedMemoryPerBlockOptin(), what);
        assertTrue(plan.grid() <= PlannerTest.H200.multiprocessors() && plan.grid() == plan.clusters() * tile.cluster(), what);
        assertTrue((long) plan.mTiles() * tile.batchTile() >= m && (plan.mTiles() - 1L) * tile.batchTile() < m, what);
        assertTrue((long) plan.nTiles() * tile.clusterColumns() >= plan.weights().n()
                && (plan.nTiles() - 1L) * tile.clusterColumns() < plan.weights().n(), what);
        assertEquals(tile.neighbours() * tile.nTile() / 64, plan.stripsPerTile(), what);
        assertTrue(plan.prediction().seconds() > 0 && plan.prediction().seconds() < 1, what);
        if (plan.schedule() instanceof Stripes stripes) {
            assertEquals(stripes.unitsPerBlock(), plan.unitsPerBlock(), what);
            assertEquals(stripes.unitsPerBlock(), plan.unitsPerStart(), what);
            assertTrue((long) plan.unitsPerBlock() * plan.clusters() >= stripes.totalUnits(), what);
            int last = tile.neighbours() - 1;
            for (int t = 0; t < Math.min(stripes.tiles(), 500); t++) {
                if (stripes.arrivals(t) > 1) {
                    long slot = (long) stripes.slot(stripes.lastBlock(t), t) * tile.neighbours() + last;
                    assertTrue((slot + 1) * tile.batchTile() * tile.nTile() * 4 <= plan.workspace().scratchBytes(), what);
                }
            }
            assertEquals(4L * stripes.tiles() * tile.neighbours(), plan.workspace().counterBytes(), what);
        } else {
            assertEquals(0, plan.unitsPerBlock(), what);
            assertEquals((plan.weights().kBlocks() + tile.split() - 1) / tile.split(), plan.unitsPerStart(), what);
            assertEquals(WorkspaceSize.NONE, plan.workspace(), what);
            assertTrue(plan.clusters() <= plan.nTiles() * plan.mTiles(), what);
        }
    }

    /** Grids, units and workspace of 40 rows with 1024 x 1280, by hand: 16 blocks of k, 20 strips. */
    @Test
    void schedulesByHand() {
        WeightShape weights = new WeightShape(1024, 1280, 128, DataType.FP16, false);
        // 2 clusters, 1 x 3 tiles of 512 columns, 48 units: 24 each, tile 1 is shared. Partial tiles: 2 slots x 4 blocks x 64 KB.
        assertPlan(weights, new HopperTile(64, 256, 2, 1), 5, 4, 3, 1, 24, new WorkspaceSize(2 * 4 * 64 * 256 * 4, 3 * 2 * 4));
        // 3 clusters: a tile each, nothing is shared.
        assertPlan(weights, new HopperTile(64, 256, 2, 1), 6, 6, 3, 1, 16, new WorkspaceSize(0, 3 * 2 * 4));
        // 5 x 5 tiles of 8 x 256 as asked for 7 blocks: 400 units, 58 each.
        assertPlan(weights, new HopperTile(16, 256, 1, 1), 7, 7, 5, 3, 35, new WorkspaceSize(2 * 7 * 16 * 256 * 4, 15 * 4));
        // Whole tiles: 5 x 1 of 256 columns in pairs of 128, k in halves; 2 clusters of 4 fit into 9 blocks.
        assertPlan(weights, new HopperTile(64, 128, 2, 2), 9, 8, 5, 1, 0, WorkspaceSize.NONE);
        // No more clusters than tiles.
        assertPlan(weights, new HopperTile(64, 256, 1, 4), 100, 20, 5, 1, 0, WorkspaceSize.NONE);
    }

    private static void assertPlan(WeightShape weights, HopperTile tile, int blocks, int grid, int nTiles, int mTiles, int units,
            WorkspaceSize workspace) {
        HopperPlan plan = (HopperPlan) new Planner(PlannerTest.H200, weights, PlanOptions.DEFAULT.withHopperTile(tile).withGrid(blocks))
                .plan(40);
        assertEquals(List.of(grid, nTiles, mTiles, units), List.of(plan.grid(), plan.nTiles(), plan.mTiles(), plan.unitsPerBlock()),
                plan.toString());
        assertEquals(workspace, plan.workspace(), plan.toString());
    }

    /** A stage of 8 x 128 is four blocks of k: cut evenly 8192 x 8192 is 62.06 units a block, in whole stages 64. */
    @Test
    void cutsAreEvenOrOfWholeStages() {
        PlanOptions tile = PlanOptions.DEFAULT.withHopperTile(new HopperTile(8, 128, 1, 1));
        assertEquals(63, new Planner(PlannerTest.H200, SQUARE, tile.withCut(Stripes.Cut.EVEN)).plan(8).unitsPerBlock());
        GemmPlan whole = new Planner(PlannerTest.H200, SQUARE, tile.withCut(Stripes.Cut.WHOLE_STAGES)).plan(8);
        assertEquals(List.of(64, 128), List.of(whole.unitsPerBlock(), whole.grid()));
    }

    /** 128 x 8192 is fastest with k split, which knows no cut. */
    @Test
    void whoAsksForACutGetsStripes() {
        WeightShape weights = new WeightShape(8192, 128, 128, DataType.FP16, false);
        for (int m : new int[] {1, 16, 64, 300}) {
            for (Stripes.Cut cut : Stripes.Cut.values()) {
                HopperPlan plan = (HopperPlan) new Planner(PlannerTest.H200, weights, HOPPER.withCut(cut)).plan(m);
                assertTrue(plan.tile().striped(), plan.toString());
            }
        }
    }

    /** 2^26 blocks of 64 x 64 codes: so many rows to a launch that tiles of 8, two strips wide, can be counted. */
    @Test
    void hugeWeightsGoInSmallerLaunches() {
        WeightShape huge = new WeightShape(1 << 22, 1 << 16, -1, DataType.FP16, false);
        for (HopperTile tile : HopperTile.INSTANCES) {
            Planner planner = new Planner(PlannerTest.H200, huge, PlanOptions.DEFAULT.withHopperTile(tile));
            assertEquals(tile, ((HopperPlan) planner.plan(planner.rowsPerLaunch())).tile());
        }
    }

    /** n = k = 8192: what bounds it, and that nearly all SMs have work. */
    @Test
    void smallBatchesAreBoundByDramAndLargeOnesByArithmetic() {
        Planner planner = new Planner(PlannerTest.H200, SQUARE, HOPPER);
        for (int m : new int[] {1, 16}) {
            assertEquals("DRAM", planner.plan(m).prediction().bound(), planner.plan(m).toString());
            assertTrue(planner.plan(m).grid() >= 128, planner.plan(m).toString());
        }
        for (int m : new int[] {256, 4096}) {
            assertEquals("arithmetic", planner.plan(m).prediction().bound(), planner.plan(m).toString());
        }
        HopperTile large = ((HopperPlan) planner.plan(4096)).tile();
        assertTrue(large.batchTile() == 128 && large.nTile() == 256 && large.striped(), planner.plan(4096).toString());
    }

    /** 112 tiles of 256 columns fill 112 of 132 SMs as whole tiles; stripes at least 128. */
    @Test
    void stripesWinWhereWholeTilesFillBadly() {
        WeightShape up = new WeightShape(4096, 28672, 128, DataType.FP16, false);
        HopperPlan plan = (HopperPlan) new Planner(PlannerTest.H200, up, HOPPER).plan(16);
        assertTrue(plan.tile().striped() && plan.grid() >= 128, plan.toString());
    }

    /** Half the activations from L2, the other half from the neighbour. */
    @Test
    void pairsHalveTheActivationsFromL2() {
        Prediction alone = new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT.withHopperTile(new HopperTile(128, 256, 1, 1)))
                .plan(4096).prediction();
        Prediction pair = new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT.withHopperTile(new HopperTile(128, 256, 2, 1)))
                .plan(4096).prediction();
        // Per block of k: 4 strips of 2048 + 64 bytes and 16384 of activations against 8192.
        assertEquals((4 * 2112 + 8192.0) / (4 * 2112 + 16384), pair.l2() / alone.l2(), 0.02);
        // A slow network between SMs takes over.
        Prediction slow = new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT.withHopperTile(new HopperTile(128, 256, 2, 1)),
                Tuning.NONE.with("CLUSTER_BYTES_PER_CLOCK", 1)).plan(4096).prediction();
        assertEquals(993 * 8192.0 / 1.98e9, slow.l2(), 1e-9);
    }

    /**
     * 132 SMs are at least 8 GPCs of up to 18, which hold four clusters of four each: 31 are assumed, and 66 of two. Measured numbers are
     * obeyed up to those that 132 SMs could hold if they were not in GPCs.
     */
    @Test
    void asManyClustersAsRunAtOnce() {
        HopperTile fours = new HopperTile(64, 256, 1, 4);
        WeightShape wide = new WeightShape(4096, 28672, 128, DataType.FP16, false);
        for (int measured : new int[] {0, 30, 32, 33}) {
            Tuning tuning = measured == 0 ? Tuning.NONE : Tuning.NONE.with("CLUSTERS_OF_4", measured);
            HopperPlan plan = (HopperPlan) new Planner(PlannerTest.H200, wide, PlanOptions.DEFAULT.withHopperTile(fours), tuning).plan(64);
            assertEquals(measured == 0 ? 31 : measured, plan.clusters(), plan.toString());
        }
        assertEquals(132, new Planner(PlannerTest.H200, wide, PlanOptions.DEFAULT.withHopperTile(new HopperTile(64, 256, 2, 1)))
                .plan(64).grid());
        // By hand: 114 SMs are 7 GPCs, 78 are 5, 16 are 1, and fewer than 8 still hold one cluster.
        for (int[] each : new int[][] {{132, 31}, {114, 27}, {78, 18}, {16, 3}, {7, 1}, {4, 1}}) {
            assertEquals(each[1], Rate.CLUSTERS_OF_4.assumed(hopper("some", each[0])), each[0] + " SMs");
            assertEquals(each[0] / 2, Rate.CLUSTERS_OF_2.assumed(hopper("some", each[0])), each[0] + " SMs");
        }
    }

    private static DeviceFacts hopper(String name, int multiprocessors) {
        return new DeviceFacts(name, 9, 0, multiprocessors, 232448, 50L << 20, 80L << 30, 1_755_000, 3_350_000_000_000L);
    }

    /**
     * Whoever asks for what: an H100 (SXM 132 SMs, PCIe 114) or H200 gets no more clusters of four than its GPCs hold, 4 of 18 SMs each,
     * and no more pairs than it has TPCs.
     */
    @ParameterizedTest
    @MethodSource("io.github.jmarlin.plan.PlannerTest#shapes")
    void noPlanLaunchesMoreClustersThanFit(WeightShape weights) {
        Map<DeviceFacts, Integer> foursThatFit =
                Map.of(PlannerTest.H200, 31, hopper("H100", 132), 31, hopper("H100 PCIe", 114), 27);
        foursThatFit.forEach((device, fours) -> {
            Stream<PlanOptions> families = Stream.of(PlanOptions.DEFAULT, HOPPER);
            Stream<PlanOptions> tiles = HopperTile.INSTANCES.stream().map(PlanOptions.DEFAULT::withHopperTile);
            Stream.concat(families, tiles).map(options -> new Planner(device, weights, options)).forEach(planner -> {
                for (int m : new int[] {1, 16, 17, 32, 48, 64, 128, 200, 1024, 8192}) {
                    if (m <= planner.rowsPerLaunch() && planner.plan(m) instanceof HopperPlan plan) {
                        int most = List.of(device.multiprocessors(), device.multiprocessors() / 2, fours).get(plan.tile().cluster() / 2);
                        assertTrue(plan.clusters() <= most, device.name() + " holds " + most + " clusters: " + plan);
                    }
                }
            });
        });
    }

    @Test
    void measuredRatesReplaceTheAssumedOnes() {
        PlanOptions small = PlanOptions.DEFAULT.withHopperTile(new HopperTile(8, 128, 1, 2));
        Prediction assumed = new Planner(PlannerTest.H200, SQUARE, small).plan(1).prediction();
        // Four products of 50 clocks at 83 % take longer than what was replayed; a measured figure of the kernel goes before both.
        GemmPlan plan = new Planner(PlannerTest.H200, SQUARE, small, Tuning.NONE.with("LEAST_WGMMA_CLOCKS", 50)).plan(1);
        assertTrue(plan.reason().endsWith("; predicted with {LEAST_WGMMA_CLOCKS=50.0} as measured"), plan.reason());
        assertEquals(4 * 50 / 0.83, clocksPerBlock(plan), 1e-9);
        GemmPlan kernel = new Planner(PlannerTest.H200, SQUARE, small,
                Tuning.NONE.with("LEAST_WGMMA_CLOCKS", 50).with("hopper_sym_g64_m8_n128_p1_s2", 131)).plan(1);
        assertEquals(131, clocksPerBlock(kernel), 1e-9);
        assertTrue(kernel.reason().contains("131 clocks a block of 64 x 64 codes, as measured"), kernel.reason());
        Prediction halfRate = new Planner(PlannerTest.H200, SQUARE, small, Tuning.NONE.with("DRAM_EFFICIENCY", 0.44)).plan(1).prediction();
        assertEquals(2 * assumed.dram(), halfRate.dram(), 1e-12);
        for (Rate rate : Rate.values()) {
            assertTrue(rate.assumed(PlannerTest.H200) > 0 && rate.assumed(PlannerTest.UNTOLD) > 0, rate.toString());
            refused("rate " + rate + " of -1.0: must be a positive", () -> Tuning.NONE.with(rate.name(), -1));
            refused("rate " + rate + " of NaN", () -> Tuning.NONE.with(rate.name(), Double.NaN));
        }
        refused("rate OVERLAP_LOSS of 1.5: must be a positive share of at most 1", () -> Tuning.NONE.with("OVERLAP_LOSS", 1.5));
        refused("CLUSTERS_OF_4 of 32.5: must be a positive whole number", () -> Tuning.NONE.with("CLUSTERS_OF_4", 32.5));
        refused("rate hopper_sym_g64_m8_n64_p1_s2: must be one of [CLOCK_HZ, ", () -> Tuning.NONE.with("hopper_sym_g64_m8_n64_p1_s2", 1));
        refused("clocks of striped_zp_g32_m8_n64 of 0.0", () -> Tuning.NONE.with("striped_zp_g32_m8_n64", 0));
    }

    /** 64 of 128 k-blocks in 16 stages of four, two strips, at the driver's clock; the last stage is in the tail. */
    private static double clocksPerBlock(GemmPlan plan) {
        return plan.prediction().arithmetic() * 1.98e9 / (15 * 4 * 2);
    }

    // ---- what a check of this machine changes ----

    private static KernelChecks checks(KernelFamily family, KernelChecks.Outcome outcome, String words) {
        return KernelChecks.NONE.with(family, new KernelChecks.Result(outcome, words));
    }

    private static GemmPlan automatic(DeviceFacts device, int m, KernelChecks checks, KernelFamily... missing) {
        return new Planner(device, SQUARE, PlanOptions.DEFAULT, Tuning.NONE,
                family -> List.of(missing).contains(family) ? Optional.of("not at hand") : Optional.empty(), checks).plan(m);
    }

    @Test
    void theStripedKernelIsChosenUntilTheOtherHasPassed() {
        for (KernelChecks checks : List.of(KernelChecks.NONE, checks(KernelFamily.STRIPED, KernelChecks.Outcome.PASSED, "64 instances"),
                checks(KernelFamily.HOPPER, KernelChecks.Outcome.UNCHECKED, "time was up after 3 of 192"))) {
            GemmPlan plan = automatic(PlannerTest.H200, 64, checks);
            assertTrue(plan instanceof StripedPlan && plan.reason().contains("is not chosen before it has passed this machine's check,"
                    + " jmarlin check or CudaDevice.check"), plan.toString());
        }
        String other = "what FILE says was found with another driver (12080, now 13000)";
        String reason = automatic(PlannerTest.H200, 64, KernelChecks.ignored(other)).reason();
        assertTrue(reason.contains("CudaDevice.check; " + other), reason);
        assertFalse(automatic(PlannerTest.A100, 64, KernelChecks.NONE).reason().contains("Hopper"));
    }

    @Test
    void whereItPassedTheFasterPredictionIsChosen() {
        KernelChecks passed = checks(KernelFamily.HOPPER, KernelChecks.Outcome.PASSED, "192 instances");
        int chosen = 0;
        for (int m : new int[] {1, 8, 16, 32, 64, 128, 256, 4096}) {
            GemmPlan plan = automatic(PlannerTest.H200, m, passed);
            double striped = new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT).plan(m).prediction().seconds();
            double hopper = new Planner(PlannerTest.H200, SQUARE, HOPPER).plan(m).prediction().seconds();
            assertEquals(hopper < striped, plan instanceof HopperPlan, plan.toString());
            assertEquals(Math.min(hopper, striped), plan.prediction().seconds(), plan.toString());
            assertTrue(plan.reason().contains("passed this machine's check"), plan.reason());
            chosen += plan instanceof HopperPlan ? 1 : 0;
        }
        assertTrue(chosen >= 3 && automatic(PlannerTest.H200, 64, passed) instanceof HopperPlan, chosen + " of 8");
        // Not where it cannot run, nor where something else was asked for.
        assertInstanceOf(StripedPlan.class, automatic(PlannerTest.H200, 64, passed, KernelFamily.HOPPER));
        assertInstanceOf(StripedPlan.class, automatic(PlannerTest.A100, 64, passed));
        for (PlanOptions options : List.of(PlanOptions.DEFAULT.withBatchInvariance(), PlanOptions.DEFAULT.withGrid(40),
                PlanOptions.DEFAULT.withFamily(KernelFamily.STRIPED))) {
            assertInstanceOf(StripedPlan.class, new Planner(PlannerTest.H200, SQUARE, options, Tuning.NONE, family -> Optional.empty(),
                    passed).plan(options.batchInvariant() ? 32 : 64));
        }
    }

    @Test
    void whatFailedIsNeverChosen() {
        String words = "hopper_f16_sym_g64_m8_n128_p1_s1 for 5 rows: row 3, column 77 is 1.0 instead of 2.0";
        KernelChecks hopperFailed = checks(KernelFamily.HOPPER, KernelChecks.Outcome.FAILED, words);
        GemmPlan plan = automatic(PlannerTest.H200, 64, hopperFailed);
        assertTrue(plan instanceof StripedPlan && plan.reason().contains("failed this machine's check and is not chosen: " + words),
                plan.toString());
        Tuning winner = Tuning.NONE.with(Tuning.Product.of(SQUARE, 64),
                new Tuning.Winner(PlanOptions.DEFAULT.withHopperTile(new HopperTile(64, 256, 1, 2)), 1e-6));
        plan = new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT, winner, family -> Optional.empty(), hopperFailed).plan(64);
        assertTrue(plan instanceof StripedPlan && plan.reason().contains("ignored what was measured at 1.00 us")
                && plan.reason().contains(words), plan.toString());
        // The other way round: what passed, else dense weights, else nothing.
        KernelChecks stripedFailed = checks(KernelFamily.STRIPED, KernelChecks.Outcome.FAILED, "an illegal address");
        plan = automatic(PlannerTest.H200, 1, stripedFailed.with(KernelFamily.HOPPER,
                new KernelChecks.Result(KernelChecks.Outcome.PASSED, "192 instances")));
        assertTrue(plan instanceof HopperPlan, plan.toString());
        assertTrue(plan.reason().contains("the striped kernel failed this machine's check (an illegal address)"), plan.reason());
        assertInstanceOf(DensePlan.class, automatic(PlannerTest.A100, 1, stripedFailed));
        refused("the striped kernel failed this machine's check (an illegal address), and no other can be chosen",
                () -> automatic(PlannerTest.A100, 1, stripedFailed, KernelFamily.DENSE));
        refused("no other can be chosen", () -> new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT.withBatchInvariance(),
                Tuning.NONE, family -> Optional.empty(), stripedFailed).plan(1));
    }

    @Test
    void overridesAreObeyed() {
        for (HopperTile tile : HopperTile.INSTANCES) {
            HopperPlan plan = (HopperPlan) new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT.withHopperTile(tile).withGrid(8)
                    .withStages(HopperTile.MIN_STAGES)).plan(20);
            assertEquals(tile, plan.tile());
            assertEquals(8, plan.grid(), plan.toString());
            assertTrue(plan.stages() == HopperTile.MIN_STAGES && plan.reason().contains("as asked"), plan.toString());
        }
    }

    @Test
    void refusesWithTheValues() {
        refused("needs compute capability 9.0", () -> new Planner(PlannerTest.A100, SQUARE, HOPPER));
        refused("32x256 in pairs, striped", () -> new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT.withHopperTile(
                new HopperTile(32, 256, 2, 1))));
        refused("batchInvariant", () -> HOPPER.withBatchInvariance());
        refused("8x64", () -> HOPPER.withTile(new TileShape(8, 64)));
        refused("stages 4", () -> HOPPER.withStages(4));
        refused("stages 13", () -> HOPPER.withStages(13));
        for (int[] bad : new int[][] {{24, 128, 1, 1}, {4, 128, 1, 1}, {8, 64, 1, 1}, {8, 128, 3, 1}, {8, 128, 0, 1}, {8, 128, 1, 3},
                {8, 128, 1, 0}, {256, 128, 1, 1}}) {
            refused("must be", () -> new HopperTile(bad[0], bad[1], bad[2], bad[3]));
        }
        HopperTile split = new HopperTile(64, 256, 1, 4);
        refused("cut EVEN with tile 64x256 k split in 4: it is not striped", () -> PlanOptions.DEFAULT.withHopperTile(split)
                .withCut(Stripes.Cut.EVEN));
        HopperPlan plan = (HopperPlan) new Planner(PlannerTest.H200, SQUARE, PlanOptions.DEFAULT.withHopperTile(split)).plan(8);
        refused("stripes are for tiles that do not split k", () -> new HopperPlan(plan.kernel(), 8, SQUARE, split,
                new Stripes(1, 32, 128, 31), 5, plan.sharedBytes(), plan.prediction(), ""));
    }

    @Test
    void namesAndBytes() {
        WeightShape groups32 = new WeightShape(4096, 4096, 32, DataType.BF16, true);
        assertEquals("hopper_bf16_zp_g32_m16_n256_p1_s2", new HopperTile(16, 256, 1, 2).kernelName(groups32));
        assertEquals("hopper_f16_sym_g64_m128_n256_p2_s1", new HopperTile(128, 256, 2, 1).kernelName(SQUARE));
        // By hand: two k-blocks of 16 x 128 bytes, eight blocks of codes, 4 strips x 4 rows of scales and as many zero codes.
        assertEquals((2 * 2048 + 8 * 2048 + 2 * 16 * 128 + 1023) / 1024 * 1024, new HopperTile(16, 256, 1, 2).slotBytes(groups32));
        assertEquals(List.of(10, 5), List.of(new HopperTile(8, 128, 1, 2).stagesFitting(SQUARE, 232448),
                new HopperTile(128, 128, 1, 4).stagesFitting(SQUARE, 232448)));
    }

    /** Header 1280, then for stripes a staging buffer in whole KB, then the ring; k split: the finished tile lies over the ring. */
    @Test
    void sharedBytesByHand() {
        // 8 rows of 132 floats are 4224 bytes, 5 KB; a slot is 4 x 8 x 128 + 8 x 2048 + 8 x 128 = 21504, 21 KB.
        assertEquals(1280 + 5120 + 6 * 21504, new HopperTile(8, 128, 1, 1).sharedBytes(SQUARE, 6));
        // 32 rows of 260 floats: 33280 bytes, 33 KB; slot 2 x 32 x 128 + 8 x 2048 + 8 x 128 = 25 KB.
        assertEquals(1280 + 33 * 1024 + 5 * 25600, new HopperTile(32, 256, 1, 1).sharedBytes(SQUARE, 5));
        // Above 32 rows 16 at a time: 16 x 260 floats, 17 KB; slot 64 x 128 + 4 x 2048 + 4 x 128 = 16.5, so 17 KB.
        assertEquals(1280 + 17 * 1024 + 12 * 17408, new HopperTile(64, 256, 2, 1).sharedBytes(SQUARE, 12));
        assertEquals(12, new HopperTile(64, 256, 2, 1).stagesFitting(SQUARE, 232448));
        // 128 x 256: slot 128 x 128 + 4 x 2048 + 4 x 128 = 24.5, so 25 KB: 227 - 1.25 - 17 KB hold 8 of them, without staging 9.
        assertEquals(List.of(8, 9), List.of(new HopperTile(128, 256, 2, 1).stagesFitting(SQUARE, 232448),
                new HopperTile(128, 256, 2, 2).stagesFitting(SQUARE, 232448)));
        // The finished tile of 128 x 260 floats is larger than five slots.
        assertEquals(1280 + 128 * 260 * 4, new HopperTile(128, 256, 2, 2).sharedBytes(SQUARE, 5));
        assertEquals(1280 + 9 * 25600, new HopperTile(128, 256, 2, 2).sharedBytes(SQUARE, 9));
    }

    @Test
    void tilesReadWell() {
        assertEquals(List.of("8x128 striped", "16x256 k split in 4", "16x128 in pairs, k split in 2", "64x256 in pairs, striped"),
                List.of(new HopperTile(8, 128, 1, 1).toString(), new HopperTile(16, 256, 1, 4).toString(),
                        new HopperTile(16, 128, 2, 2).toString(), new HopperTile(64, 256, 2, 1).toString()));
        assertEquals(List.of(24, 24L), List.of(HopperTile.INSTANCES.size(), HopperTile.INSTANCES.stream().distinct().count()));
    }

    private static void refused(String value, Runnable call) {
        String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
        assertTrue(message.contains(value), message);
    }
}
