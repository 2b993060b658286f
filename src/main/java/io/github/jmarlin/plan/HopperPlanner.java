package io.github.jmarlin.plan;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/** Plans launches of the Hopper kernel: the tile, schedule and ring that {@link HopperModel} predicts to be fastest. */
final class HopperPlanner {

    /** The one compute capability that sm_90a machine code runs on. */
    static final int COMPUTE_CAPABILITY = 90;

    private final DeviceFacts device;
    /** One for each multiprocessor that the options allow; 0 for all. */
    private final int mostBlocks;
    private final WeightShape weights;
    private final Rates rates;
    private final HopperModel model;
    private final Optional<HopperTile> tile;
    private final List<HopperTile> tiles;
    private final List<Stripes.Cut> cuts;
    private final int grid;
    private final int stages;

    /** @param options what they ask of another family does not count here */
    HopperPlanner(DeviceFacts device, WeightShape weights, PlanOptions options, Rates rates) {
        this.device = device;
        mostBlocks = options.multiprocessors();
        this.weights = weights;
        this.rates = rates;
        model = new HopperModel(device, weights, rates);
        PlanOptions own = options.asks(KernelFamily.HOPPER) ? options : PlanOptions.DEFAULT;
        tile = own.hopperTile();
        tiles = tile.map(List::of).orElse(weights.hopperTiles().stream().filter(each -> each.striped() || own.cut().isEmpty()).toList());
        cuts = own.cuts();
        grid = own.grid();
        stages = own.stages();
    }

    static boolean runsOn(DeviceFacts device) {
        return device.computeCapability() == COMPUTE_CAPABILITY;
    }

    /** The fastest prediction for {@code rows} rows; empty if no tile fits. */
    Optional<HopperPlan> plan(int rows) {
        List<HopperPlan> plans = tiles.stream()
                .flatMap(each -> schedules(rows, each).flatMap(schedule -> planWith(rows, each, schedule).stream()))
                .filter(plan -> mostBlocks == 0 || plan.grid() <= mostBlocks)       // a cluster may be more than there may be
                .sorted(Comparator.comparingDouble(plan -> plan.prediction().seconds())).toList();
        return plans.stream().findFirst().map(best -> best.withReason("Hopper kernel, never measured; " + reason(plans)
                + "; " + rates.loopClocks().words(weights, best.tile())));
    }

    private String reason(List<HopperPlan> plans) {
        if (tile.isPresent()) {
            return "tile as asked";
        }
        return "fastest prediction of " + plans.size() + plans.stream().filter(plan -> !plan.tile().equals(plans.get(0).tile())).findFirst()
                .map(next -> String.format(Locale.ROOT,
                        "; next tile %s at %.2f us, bound by %s", next.tile(), 1e6 * next.prediction().seconds(),
                        next.prediction().bound()))
                .orElse("");
    }

    /** How the clusters may share the work; nothing if the device cannot count it. */
    private Stream<Schedule> schedules(int rows, HopperTile tile) {
        int mTiles = Ceil.div(rows, tile.batchTile());
        int nTiles = Ceil.div(weights.n(), tile.clusterColumns());
        int clusters = grid > 0 ? Math.max(1, grid / tile.cluster()) : model.clustersAtOnce(tile);
        if (tile.striped()) {
            return cuts.stream().flatMap(cut -> Stripes.cut(cut, mTiles, nTiles, weights.kBlocks(), clusters, tile.kBlocksPerStage(weights))
                    .stream()).distinct().map(stripes -> stripes);
        }
        long tiles = (long) mTiles * nTiles;
        return tiles > Integer.MAX_VALUE / 4 ? Stream.empty()
                : Stream.of(new WholeTiles(mTiles, nTiles, weights.kBlocks(), tile.split(), (int) Math.min(tiles, clusters)));
    }

    private Optional<HopperPlan> planWith(int rows, HopperTile tile, Schedule schedule) {
        int fitting = tile.stagesFitting(weights, device.sharedMemoryPerBlockOptin());
        int ring = stages > 0 ? stages : fitting;
        if (fitting < HopperTile.MIN_STAGES || ring > fitting
                || tile.sharedBytes(weights, ring) > device.sharedMemoryPerBlockOptin()) {
            return Optional.empty();
        }
        return Optional.of(new HopperPlan(tile.kernelName(weights), rows, weights, tile, schedule, ring, tile.sharedBytes(weights, ring),
                model.predict(rows, tile, schedule, ring), ""));
    }
}
