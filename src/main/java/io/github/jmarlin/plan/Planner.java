package io.github.jmarlin.plan;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Chooses kernel, tile, stripes and pipeline depth for given weights on a given device. Immutable and thread-safe; planning the
 * same thing twice gives the same plan.
 */
public final class Planner {

    /** Rows of one launch in batch-invariant mode. */
    public static final int BATCH_INVARIANT_ROWS = 32;
    /** Most rows of one launch otherwise; far more than it takes to be bound by the tensor cores. */
    public static final int MOST_ROWS = 8192;

    private final DeviceFacts device;
    private final WeightShape weights;
    private final PlanOptions options;
    private final Tuning tuning;
    private final String ratesNote;
    private final String ignoredNote;
    private final Rates rates;
    private final CostModel model;
    private final HopperPlanner hopper;
    private final DensePlanner dense;
    private final Function<KernelFamily, Optional<String>> missing;
    private final KernelChecks checks;
    private final int rowsPerLaunch;

    /** As {@link #Planner(DeviceFacts, WeightShape, PlanOptions, Tuning)}, with nothing measured. */
    public Planner(DeviceFacts device, WeightShape weights, PlanOptions options) {
        this(device, weights, options, Tuning.NONE);
    }

    /** As the next, where every family's kernels and cuBLAS are at hand. */
    public Planner(DeviceFacts device, WeightShape weights, PlanOptions options, Tuning tuning) {
        this(device, weights, options, tuning, family -> Optional.empty());
    }

    /** As the next, where no family was checked. */
    public Planner(DeviceFacts device, WeightShape weights, PlanOptions options, Tuning tuning,
                   Function<KernelFamily, Optional<String>> missing) {
        this(device, weights, options, tuning, missing, KernelChecks.NONE);
    }

    /**
     * @param tuning what was measured on this device; decides where the options leave everything to the planner
     * @param missing why nothing can run through a family's kernels, or empty; asked when the options or a winner want that family
     * @param checks which families gave the right answers on this machine; asked where the options leave the family to the planner
     * @throws IllegalArgumentException if the options ask for something that does not exist or does not fit on the device
     */
    public Planner(DeviceFacts all, WeightShape weights, PlanOptions options, Tuning tuning,
                   Function<KernelFamily, Optional<String>> missing, KernelChecks checks) {
        device = options.within(all);
        this.weights = weights;
        this.options = options;
        this.tuning = options.equals(PlanOptions.DEFAULT) ? tuning : Tuning.NONE;
        ratesNote = tuning.rates().isEmpty() ? "" : "predicted with " + tuning.rates() + " as measured";
        ignoredNote = tuning.note().isEmpty() ? "" : "ignored " + tuning.note();
        rates = new Rates(device, tuning.rates());
        model = new CostModel(device, weights, rates);
        if (!device.isSupported()) {
            throw new IllegalArgumentException("device " + device + ": the kernels need compute capability "
                    + DeviceFacts.OLDEST_MAJOR + ".0 or newer");
        }
        hopper = HopperPlanner.runsOn(device) ? new HopperPlanner(device, weights, options, rates) : null;
        dense = new DensePlanner(device, weights, rates);
        this.missing = missing;
        this.checks = checks;
        options.tile().ifPresent(this::checkOverride);
        options.hopperTile().ifPresent(this::checkExists);
        if (options.asks(KernelFamily.HOPPER) && hopper == null) {
            throw new IllegalArgumentException("device " + device + ": the Hopper kernel needs compute capability 9.0");
        }
        options.family().filter(family -> !kernels(family).exist()
                || family == KernelFamily.HOPPER && weights.hopperTiles().isEmpty()).ifPresent(family -> {
            throw new IllegalArgumentException("family " + family + " for " + weights + ": there are no such kernels");
        });
        options.family().flatMap(missing).ifPresent(why -> {
            throw new IllegalArgumentException("family " + options.family().get() + " on " + device.name() + ": " + why);
        });
        rowsPerLaunch = options.batchInvariant() ? BATCH_INVARIANT_ROWS : rowsWithinIntRange();
    }

    /** Most rows of one launch: a multiple of 8. A larger m goes in several launches. */
    public int rowsPerLaunch() {
        return rowsPerLaunch;
    }

    /**
     * The plan for {@code m} rows. It is the same for every m with the same {@code ceil(m / 8)}.
     *
     * @throws IllegalArgumentException if m is not in 1..rowsPerLaunch
     */
    public GemmPlan plan(int m) {
        if (m < 1 || m > rowsPerLaunch) {
            throw new IllegalArgumentException("m " + m + ": one launch takes 1.." + rowsPerLaunch + " rows");
        }
        int rows = (m + 7) / 8 * 8;
        return tuning.winner(weights, rows).map(served -> measured(rows, served)).orElseGet(() -> withNote(predicted(rows), ignoredNote));
    }

    /** The fastest prediction of the family asked for; of those that may be chosen if none is. */
    private GemmPlan predicted(int rows) {
        return withNote(options.family().isEmpty() ? automatic(rows) : switch (options.family().get()) {
            case STRIPED -> striped(rows);
            case HOPPER -> hopper.plan(rows).orElseThrow(this::noKernelFits);
            case DENSE -> dense.plan(rows);
        }, ratesNote);
    }

    /**
     * The striped kernel; the Hopper kernel where it passed this machine's check and is predicted to be faster, or the other failed; dense
     * weights where both did.
     */
    private GemmPlan automatic(int rows) {
        Optional<String> stripedFailed = checks.failure(kernels(KernelFamily.STRIPED));
        Optional<HopperPlan> checked = checks.passed(kernels(KernelFamily.HOPPER)) && mayChoose(KernelFamily.HOPPER)
                ? hopper.plan(rows) : Optional.empty();
        if (stripedFailed.isEmpty()) {
            StripedPlan striped = striped(rows);
            double seconds = striped.prediction().seconds();
            return checked.filter(plan -> plan.prediction().seconds() < seconds).<GemmPlan>map(plan -> plan.withReason(String.format(
                    "it passed this machine's check and is predicted to be faster than the striped kernel (%.2f us); %s", 1e6 * seconds,
                    plan.reason()))).orElse(striped);
        }
        String why = "the striped kernel failed this machine's check (" + stripedFailed.get() + ")";
        if (checked.isPresent()) {
            return withNote(checked.get(), why);
        }
        if (!mayChoose(KernelFamily.DENSE) || checks.failure(kernels(KernelFamily.DENSE)).isPresent()) {
            throw new IllegalArgumentException("no kernel for " + weights + " on " + device.name() + " with " + options + ": " + why
                    + ", and no other can be chosen; jmarlin check --force asks again");
        }
        return withNote(dense.plan(rows), why);
    }

    /** Whether a family that is not the striped one can do what the options ask for, which only know that one's tiles, and runs here. */
    private boolean mayChoose(KernelFamily family) {
        boolean limited = options.multiprocessors() != 0 && family == KernelFamily.DENSE;      // cuBLAS takes all
        return options.leavesTheKernel() && kernels(family).exist() && !limited && (family != KernelFamily.HOPPER || hopper != null)
                && missing.apply(family).isEmpty();
    }

    /** As the tuning file says; as predicted if that is not possible. */
    private GemmPlan measured(int rows, Tuning.Served served) {
        Tuning.Winner winner = served.winner();
        String measured = String.format(Locale.ROOT, "measured at %.2f us on this device%s, by tuning file %s", 1e6 * winner.seconds(),
                served.rows() == rows ? "" : " for " + served.rows() + " rows, a crossover that serves more", tuning.origin());
        Optional<String> failed = checks.failure(kernels(winner.family()));
        if (failed.isPresent()) {
            return withNote(predicted(rows), "ignored what was " + measured + ": that kernel failed this machine's check, " + failed.get());
        }
        try {
            return new Planner(device, weights, winner.options(), tuning.withoutWinners(), missing, checks).plan(rows).withReason(measured);
        } catch (IllegalArgumentException e) {
            return withNote(predicted(rows), "ignored what was " + measured + ": " + e.getMessage());
        }
    }

    private Kernels kernels(KernelFamily family) {
        return new Kernels(family, weights.kernels());
    }

    private static GemmPlan withNote(GemmPlan plan, String note) {
        return note.isEmpty() ? plan : plan.withReason(plan.reason() + "; " + note);
    }

    /** The fastest prediction among the striped kernels. */
    private StripedPlan striped(int rows) {
        List<StripedPlan> plans = tiles(rows).stream()
                .flatMap(tile -> stripes(rows, tile).flatMap(stripes -> planWith(rows, tile, stripes).stream()))
                .sorted(Comparator.comparingDouble(plan -> plan.prediction().seconds()))
                .toList();
        if (plans.isEmpty()) {
            throw noKernelFits();
        }
        return withReason(plans);
    }

    private IllegalArgumentException noKernelFits() {
        return new IllegalArgumentException("no kernel for " + weights + " fits " + device + " with " + options);
    }

    /** The tile shapes to choose from. */
    private List<TileShape> tiles(int rows) {
        if (options.batchInvariant()) {
            int nTile = weights.kernels().batchInvariantColumns();
            return weights.kernels().tiles().stream().filter(tile -> tile.nTile() == nTile && tile.batchTile() >= rows)
                    .min(Comparator.comparingInt(TileShape::batchTile)).stream().toList();
        }
        return options.tile().map(List::of).orElseGet(this::tilesHere);
    }

    private List<TileShape> tilesHere() {
        return weights.kernels().allTiles().stream().filter(tile -> tile.isFor(device)).toList();
    }

    private Stream<Stripes> stripes(int rows, TileShape tile) {
        int mTiles = Ceil.div(rows, tile.batchTile());
        int nTiles = Ceil.div(weights.strips(), tile.warpsN());
        int grid = options.grid() > 0 ? options.grid() : device.multiprocessors();
        return options.cuts().stream().flatMap(cut -> Stripes.cut(cut, mTiles, nTiles, weights.kBlocks(), grid, tile.kBlocksPerStage())
                .stream()).distinct();
    }

    private Optional<StripedPlan> planWith(int rows, TileShape tile, Stripes stripes) {
        int fitting = tile.stagesFitting(weights, device.sharedMemoryPerBlockOptin());
        int stages = options.stages() > 0 ? options.stages() : fitting;
        if (stages > fitting || stages < TileShape.MIN_STAGES) {
            return Optional.empty();
        }
        return Optional.of(new StripedPlan(tile.kernelName(weights), rows, weights, tile, stripes, stages,
                tile.sharedBytes(weights, stages), model.predict(rows, tile, stripes, stages), ""));
    }

    /** The first plan, with what spoke for it. */
    private StripedPlan withReason(List<StripedPlan> plans) {
        StripedPlan best = plans.get(0);
        String reason;
        if (options.batchInvariant()) {
            reason = "batch-invariant: n tile and stripes do not depend on m";
        } else if (options.tile().isPresent()) {
            reason = "tile " + best.tile() + " as asked";
        } else {
            reason = "fastest prediction of " + plans.size() + plans.stream()
                    .filter(plan -> !plan.tile().equals(best.tile())).findFirst()
                    .map(next -> String.format(Locale.ROOT, "; next tile %s at %.2f us, bound by %s", next.tile(),
                            1e6 * next.prediction().seconds(), next.prediction().bound()))
                    .orElse("");
        }
        reason += "; " + rates.loopClocks().words(weights, best.tile());
        if (options.grid() > 0) {
            reason += "; work cut for " + options.grid() + " blocks as asked";
        }
        if (options.multiprocessors() > 0) {
            reason += "; on " + options.multiprocessors() + " multiprocessors at most, as asked";
        }
        if (hopper != null && !options.batchInvariant() && options.family().isEmpty()) {
            reason += hopper.plan(best.rows()).map(plan -> String.format(Locale.ROOT, "; the Hopper kernel, predicted at %.2f us with tile %s, %s",
                    1e6 * plan.prediction().seconds(), plan.tile(), whyNotHopper())).orElse("");
        }
        if (!options.batchInvariant() && options.family().isEmpty()) {
            reason += dense.hint(best.rows(), best.prediction().seconds());
        }
        return best.withReason(reason);
    }

    private String whyNotHopper() {
        return checks.failure(kernels(KernelFamily.HOPPER)).map(why -> "failed this machine's check and is not chosen: " + why)
                .orElse(checks.passed(kernels(KernelFamily.HOPPER)) ? "passed this machine's check" : "is not chosen before it has passed this"
                        + " machine's check, jmarlin check or CudaDevice.check" + (checks.note().isEmpty() ? "" : "; " + checks.note()));
    }

    private void checkExists(HopperTile tile) {
        List<HopperTile> instances = weights.hopperTiles();
        if (!instances.contains(tile)) {
            throw new IllegalArgumentException("tile " + tile + ": there are kernels for " + instances);
        }
    }

    private void checkOverride(TileShape tile) {
        List<TileShape> instances = tilesHere();
        if (!instances.contains(tile)) {
            throw new IllegalArgumentException("tile " + tile + ": there are kernels for " + instances);
        }
        int fitting = tile.stagesFitting(weights, device.sharedMemoryPerBlockOptin());
        int asked = Math.max(options.stages(), TileShape.MIN_STAGES);
        if (fitting < asked) {
            throw new IllegalArgumentException("tile " + tile + " with " + asked + " stages needs "
                    + tile.sharedBytes(weights, asked) + " bytes of shared memory: " + device.name() + " has "
                    + device.sharedMemoryPerBlockOptin());
        }
    }

    /** The most rows, in whole tiles as asked or of 64, whose units the device can count; at most {@link #MOST_ROWS}. */
    private int rowsWithinIntRange() {
        int batchTile = options.tile().map(TileShape::batchTile).or(() -> options.hopperTile().map(HopperTile::batchTile)).orElse(64);
        long unitsOfRowTile = Stripes.unitsOf(1, weights.strips(), weights.kBlocks());
        long rowTiles = Math.min(MOST_ROWS / batchTile, Integer.MAX_VALUE / 2 / unitsOfRowTile);
        if (rowTiles < 1) {
            throw new IllegalArgumentException("weights " + weights + ": " + unitsOfRowTile
                    + " units of " + weights.blockRows() + " k; one row of tiles may have at most " + Integer.MAX_VALUE / 2);
        }
        return (int) rowTiles * batchTile;
    }
}
