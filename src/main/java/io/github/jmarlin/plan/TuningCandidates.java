package io.github.jmarlin.plan;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The ways to run a product that are worth measuring. */
public final class TuningCandidates {
    private TuningCandidates() {
    }

    /**
     * For {@code m} rows on this device: every tile that fits, of every family that runs there. The striped kernel's with work
     * cut as the planner would and evenly over all SMs, in rings of all stages that fit and of half as many. No two give the same
     * launch; the first is the one that the planner chooses without a measurement.
     */
    public static List<PlanOptions> of(DeviceFacts device, WeightShape weights, int m) {
        TileShape predicted = ((StripedPlan) new Planner(device, weights, PlanOptions.DEFAULT).plan(m)).tile();
        Stream<PlanOptions> striped = TileShape.INSTANCES.stream()
                .sorted(Comparator.comparing(tile -> !tile.equals(predicted)))
                .map(PlanOptions.DEFAULT::withTile)
                .flatMap(options -> variants(device, weights, options));
        Stream<PlanOptions> hopper = HopperPlanner.runsOn(device)
                ? HopperTile.INSTANCES.stream().map(PlanOptions.DEFAULT::withHopperTile) : Stream.empty();
        Map<GemmPlan, PlanOptions> different = new LinkedHashMap<>();
        Stream.concat(striped, hopper).forEach(options -> {
            try {
                different.putIfAbsent(launch(new Planner(device, weights, options).plan(m)), options);
            } catch (IllegalArgumentException e) {
                // NOTES: the planner refuses what does not fit this device, and that is no candidate.
            }
        });
        return List.copyOf(different.values());
    }

    private static Stream<PlanOptions> variants(DeviceFacts device, WeightShape weights, PlanOptions tile) {
        int half = tile.tile().get().stagesFitting(weights, device.sharedMemoryPerBlockOptin()) / 2;
        Stream<PlanOptions> grids = Stream.of(tile, tile.withGrid(device.multiprocessors()));
        return half < TileShape.MIN_STAGES ? grids : grids.flatMap(options -> Stream.of(options, options.withStages(half)));
    }

    /** The plan without its words. */
    private static GemmPlan launch(GemmPlan plan) {
        return plan instanceof HopperPlan hopper ? hopper.withReason("") : ((StripedPlan) plan).withReason("");
    }
}
