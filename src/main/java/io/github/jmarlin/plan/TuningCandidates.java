package io.github.jmarlin.plan;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** The ways to run a product that are worth measuring. */
public final class TuningCandidates {
    private TuningCandidates() {
    }

    /**
     * For {@code m} rows on this device: every tile that fits, of every family that runs there; stripes cut evenly over all SMs and
     * in whole stages; the striped kernel's in rings of all stages that fit and of half as many. No two give the same launch, and
     * none leaves to a prediction what was measured; the first is the one that the planner chooses without a winner.
     *
     * @param tuning its rates count, its winners do not
     */
    public static List<PlanOptions> of(DeviceFacts device, WeightShape weights, int m, Tuning tuning) {
        Tuning rates = tuning.withoutWinners();
        Map<GemmPlan, PlanOptions> different = new LinkedHashMap<>();
        families(device).stream().flatMap(family -> ofFamily(family, device, weights)).forEach(options ->
                launch(device, weights, options, rates, m).ifPresent(plan -> different.putIfAbsent(plan, options)));
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
            case STRIPED -> TileShape.INSTANCES.stream().map(PlanOptions.DEFAULT::withTile)
                    .flatMap(options -> halfTheStages(device, weights, options)).flatMap(TuningCandidates::cuts);
            case HOPPER -> HopperTile.INSTANCES.stream().map(PlanOptions.DEFAULT::withHopperTile)
                    .flatMap(options -> options.hopperTile().get().striped() ? cuts(options) : Stream.of(options));
            case DENSE -> Stream.of(PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE));
        };
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
