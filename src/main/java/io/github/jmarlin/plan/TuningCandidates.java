package io.github.jmarlin.plan;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The ways to run a product that are worth measuring. */
public final class TuningCandidates {
    /** How far the number of clusters of four is varied. */
    private static final int CLUSTERS_FEWER = 1;
    private static final int CLUSTERS_MORE = 2;

    private TuningCandidates() {
    }

    /**
     * For {@code m} rows on this device: every tile that fits, of every family that runs there; stripes cut evenly over all SMs and
     * in whole stages; the striped kernel's in rings of all stages that fit and of half as many; clusters of four also in numbers near
     * the one that the planner counts with. No two give the same launch, and none leaves to a prediction what was measured; the first
     * is the one that the planner chooses without a winner.
     *
     * @param tuning its rates count, its winners do not
     */
    public static List<PlanOptions> of(DeviceFacts device, WeightShape weights, int m, Tuning tuning) {
        Tuning rates = tuning.withoutWinners();
        Map<GemmPlan, PlanOptions> different = new LinkedHashMap<>();
        families(device).stream().flatMap(family -> ofFamily(family, device, weights)).forEach(options ->
                launch(device, weights, options, rates, m).ifPresent(plan -> {
                    different.putIfAbsent(plan, options);
                    otherGrids(device, options, plan, rates).forEach(other ->
                            launch(device, weights, other, rates, m).ifPresent(with -> different.putIfAbsent(with, other)));
                }));
        List<PlanOptions> candidates = new ArrayList<>(different.values());
        launch(device, weights, PlanOptions.DEFAULT, rates, m).map(different::get).ifPresent(chosen -> {
            candidates.remove(chosen);
            candidates.add(0, chosen);
        });
        return List.copyOf(candidates);
    }

    /** The families made for such a device; whether their kernels are at hand is another question. */
    public static List<KernelFamily> families(DeviceFacts device) {
        return Stream.of(KernelFamily.values()).filter(family -> family != KernelFamily.HOPPER || HopperPlanner.runsOn(device)).toList();
    }

    private static Stream<PlanOptions> ofFamily(KernelFamily family, DeviceFacts device, WeightShape weights) {
        return switch (family) {
            case STRIPED -> weights.kernels().allTiles().stream().filter(tile -> tile.isFor(device)).map(PlanOptions.DEFAULT::withTile)
                    .flatMap(options -> halfTheStages(device, weights, options)).flatMap(TuningCandidates::cuts);
            case HOPPER -> weights.hopperTiles().stream().map(PlanOptions.DEFAULT::withHopperTile)
                    .flatMap(options -> options.hopperTile().get().striped() ? cuts(options) : Stream.of(options));
            case DENSE -> Stream.of(PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE));
        };
    }

    /**
     * How many clusters of four fit on a chip is assumed if the probe did not measure it. One more than fit takes twice the time, and so
     * does one too few where they would have had a tile each. So one fewer, and more where they have fewer tiles to do.
     */
    private static Stream<PlanOptions> otherGrids(DeviceFacts device, PlanOptions options, GemmPlan plan, Tuning rates) {
        if (!(plan instanceof HopperPlan hopper && hopper.tile().cluster() == 4 && hopper.schedule() instanceof WholeTiles whole)) {
            return Stream.empty();
        }
        int counted = (int) new Rates(device, rates.rates()).of(Rate.CLUSTERS_OF_4);
        int most = Math.min(counted + CLUSTERS_MORE, Rate.mostClusters(device, 4));
        int least = Math.max(1, counted - CLUSTERS_FEWER);
        return IntStream.rangeClosed(least, most).filter(clusters -> clusters != whole.grid())
                .filter(clusters -> clusters == least || tilesEach(whole, clusters) < tilesEach(whole, clusters - 1))
                .mapToObj(clusters -> options.withGrid(4 * clusters));
    }

    private static int tilesEach(WholeTiles schedule, int clusters) {
        return Ceil.div(schedule.tiles(), clusters);
    }

    private static Stream<PlanOptions> halfTheStages(DeviceFacts device, WeightShape weights, PlanOptions tile) {
        int half = tile.tile().get().stagesFitting(weights, device.sharedMemoryPerBlockOptin()) / 2;
        return half < TileShape.MIN_STAGES ? Stream.of(tile) : Stream.of(tile, tile.withStages(half));
    }

    private static Stream<PlanOptions> cuts(PlanOptions options) {
        return Stream.of(Stripes.Cut.values()).map(options::withCut);
    }

    /** The plan without its words; empty if the planner refuses, as it does what does not fit the device. */
    private static Optional<GemmPlan> launch(DeviceFacts device, WeightShape weights, PlanOptions options, Tuning rates, int m) {
        try {
            return Optional.of(new Planner(device, weights, options, rates).plan(m).withReason(""));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }
}
