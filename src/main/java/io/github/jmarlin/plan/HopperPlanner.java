package io.github.jmarlin.plan;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Plans and predicts launches of the Hopper kernel: the slowest of DRAM, L2, tensor cores, issue and latency, plus adding up
 * the cluster's partial tiles.
 *
 * <p>The rates are leads to choose among tiles with; none was measured with this library. docs/hopper.md says which measurement replaces
 * which.
 */
final class HopperPlanner {

    /** The one compute capability that sm_90a machine code runs on. */
    static final int COMPUTE_CAPABILITY = 90;

    /** What a copy kernel reaches of the peak memory rate: 4.3 of 4.9 TB/s on an H200. */
    private static final double DRAM_EFFICIENCY = 0.88;
    /** Loaded memory latency: 0.7 to 1.0 us at full rate on an H200. */
    private static final double LOADED_LATENCY_SECONDS = 0.8e-6;
    /** L2 to one SM when all SMs draw: 5.5 TB/s over 132 SMs at 1.75 GHz, assumed. */
    private static final double L2_BYTES_PER_CLOCK = 24;
    /** Shared memory of one SM to another's, per SM and clock: 3.3 TB/s in all, as published. */
    private static final double CLUSTER_BYTES_PER_CLOCK = 14;
    /** Two barriers of a cluster and the latency of a remote read, assumed. */
    private static final double CLUSTER_SYNC_SECONDS = 0.5e-6;
    /** Writing the finished tile to shared memory and reading it back. */
    private static final double STAGING_BYTES_PER_CLOCK = 64;
    /** A wgmma of 64 x N x 16 takes N / 2 clocks at 4096 FLOP per clock and SM... */
    private static final double CLOCKS_PER_WGMMA_COLUMN = 0.5;
    /** ...but no less than this with A from registers: assumed, the largest unknown of the model. */
    private static final double LEAST_WGMMA_CLOCKS = 16;
    /** Sustained share of the tensor rate: 790 of 946 TFLOP/s. */
    private static final double TENSOR_EFFICIENCY = 0.83;
    /** Clocks in which an SM issues what a block of 64 x 64 codes takes, counted in machine code: 70 a warp, 4 warps on 4 schedulers. */
    private static final double ISSUE_CLOCKS_PER_BLOCK = 75;
    /** Used if the driver does not tell. */
    private static final double ASSUMED_CLOCK_HZ = 1.75e9;
    private static final double ASSUMED_DRAM_PEAK = 4.9e12;

    private final DeviceFacts device;
    private final WeightShape weights;
    private final PlanOptions options;
    private final double clock;
    private final double dramRate;

    HopperPlanner(DeviceFacts device, WeightShape weights, PlanOptions options) {
        this.device = device;
        this.weights = weights;
        this.options = options;
        clock = device.clockKhz() > 0 ? 1e3 * device.clockKhz() : ASSUMED_CLOCK_HZ;
        dramRate = DRAM_EFFICIENCY * (device.memoryBytesPerSecond() > 0 ? device.memoryBytesPerSecond() : ASSUMED_DRAM_PEAK);
    }

    static boolean runsOn(DeviceFacts device) {
        return device.computeCapability() == COMPUTE_CAPABILITY;
    }

    /** The fastest prediction for {@code rows} rows; empty if no tile fits. */
    Optional<HopperPlan> plan(int rows) {
        List<HopperTile> tiles = options.hopperTile().map(List::of).orElse(HopperTile.INSTANCES);
        List<HopperPlan> plans = tiles.stream().map(tile -> planWith(rows, tile)).flatMap(Optional::stream)
                .sorted(Comparator.comparingDouble(plan -> plan.prediction().seconds())).toList();
        return plans.stream().findFirst().map(best -> best.withReason("Hopper kernel as asked, never measured; " + reason(plans)));
    }

    private String reason(List<HopperPlan> plans) {
        if (options.hopperTile().isPresent()) {
            return "tile as asked";
        }
        return "fastest prediction of " + plans.size() + (plans.size() == 1 ? "" : String.format("; next tile %s at %.2f us, bound by %s",
                plans.get(1).tile(), 1e6 * plans.get(1).prediction().seconds(), plans.get(1).prediction().bound()));
    }

    private Optional<HopperPlan> planWith(int rows, HopperTile tile) {
        int fitting = tile.stagesFitting(weights, device.sharedMemoryPerBlockOptin());
        int stages = options.family() == KernelFamily.HOPPER && options.stages() > 0 ? options.stages() : fitting;
        long tiles = (long) ceilDiv(weights.n(), tile.nTile()) * ceilDiv(rows, tile.batchTile());
        if (fitting < HopperTile.MIN_STAGES || stages > fitting || tiles > Integer.MAX_VALUE / 4
                || tile.sharedBytes(weights, stages) > device.sharedMemoryPerBlockOptin()) {
            return Optional.empty();
        }
        int blocks = options.family() == KernelFamily.HOPPER && options.grid() > 0 ? options.grid() : device.multiprocessors();
        int clusters = (int) Math.min(tiles, Math.max(1, blocks / tile.cluster()));
        return Optional.of(new HopperPlan(tile.kernelName(weights), rows, weights, tile, clusters, stages,
                tile.sharedBytes(weights, stages), predict(rows, tile, (int) tiles, clusters, stages), ""));
    }

    private Prediction predict(int m, HopperTile tile, int tiles, int clusters, int stages) {
        int rounds = ceilDiv(tiles, clusters);
        int stagesOfBlock = ceilDiv(ceilDiv(weights.kBlocks(), tile.kBlocksPerStage()), tile.cluster());
        double blocksOfK = (double) rounds * Math.min(weights.kBlocks(), stagesOfBlock * tile.kBlocksPerStage());   // of the busiest SM
        double rowsOfTile = Math.min(m, tile.batchTile());

        double weightsOfUnit = (double) weights.packedBytes() / ((double) weights.strips() * weights.kBlocks()) * tile.strips();
        double bytesOfUnit = weightsOfUnit + rowsOfTile * TileShape.STRIP * 2;
        double dram = (weights.packedBytes() + 2.0 * m * (weights.k() + weights.n())) / dramRate;
        double l2 = blocksOfK * bytesOfUnit / (clock * L2_BYTES_PER_CLOCK);
        double wgmmaClocks = Math.max(LEAST_WGMMA_CLOCKS, CLOCKS_PER_WGMMA_COLUMN * tile.batchTile());
        double tensor = blocksOfK * tile.strips() * 4 * wgmmaClocks / (clock * TENSOR_EFFICIENCY);
        double issue = blocksOfK * tile.strips() * ISSUE_CLOCKS_PER_BLOCK / clock;
        double inFlight = (stages - 1.0) * tile.slotBytes(weights);
        double latency = LOADED_LATENCY_SECONDS * (rounds + blocksOfK * bytesOfUnit / inFlight);

        double tileBytes = rowsOfTile * tile.nTile() * Float.BYTES;
        double tail = 2 * tileBytes / (clock * STAGING_BYTES_PER_CLOCK);
        if (tile.cluster() > 1) {
            tail += CLUSTER_SYNC_SECONDS + tileBytes * (tile.cluster() - 1) / tile.cluster() / (clock * CLUSTER_BYTES_PER_CLOCK);
        }
        return new Prediction(dram, l2, tensor, issue, latency, rounds * tail);
    }

    private static int ceilDiv(int a, int b) {
        return (int) (((long) a + b - 1) / b);
    }
}
