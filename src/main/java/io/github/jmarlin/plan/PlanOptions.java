package io.github.jmarlin.plan;

import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * What a caller may ask of the planner.
 *
 * @param batchInvariant a row of the result has the same bits whatever m is and whatever the other rows hold (on one kind of
 *     device): rows go in chunks of at most {@value Planner#BATCH_INVARIANT_ROWS} through kernels that differ in their batch tile
 *     only, over stripes that do not depend on m. Costs speed from m of about 64 up
 * @param tile the tile of the striped kernel to use instead of the planner's choice, for tests and tuning
 * @param grid the number of thread blocks to cut the work for; 0 leaves it to the planner
 * @param stages the pipeline depth; 0 leaves it to the planner. To ask for one of another family, ask for the family first
 * @param family which kernel multiplies; empty leaves it to the planner. A tile asks for the family that knows it
 * @param hopperTile the tile of the Hopper kernel to use instead of the planner's choice, for tests and tuning
 * @param cut where stripes may end; empty leaves it to the planner
 * @param multiprocessors most SMs that a launch keeps busy, for kernels beside it (communication); 0 for all
 */
public record PlanOptions(boolean batchInvariant, Optional<TileShape> tile, int grid, int stages, Optional<KernelFamily> family,
                          Optional<HopperTile> hopperTile, Optional<Stripes.Cut> cut, int multiprocessors) {

    /** Everything is left to the planner, and to what was measured. */
    public static final PlanOptions DEFAULT =
            new PlanOptions(false, Optional.empty(), 0, 0, Optional.empty(), Optional.empty(), Optional.empty(), 0);

    public PlanOptions {
        Objects.requireNonNull(tile, "tile");
        if (grid < 0) {
            throw new IllegalArgumentException("grid " + grid + ": must be positive, or 0 for the planner's choice");
        }
        Objects.requireNonNull(family, "family");
        Objects.requireNonNull(hopperTile, "hopperTile");
        Objects.requireNonNull(cut, "cut");
        if (family.isEmpty() && tile.isPresent()) {
            family = Optional.of(KernelFamily.STRIPED);
        }
        if (family.isEmpty() && hopperTile.isPresent()) {
            family = Optional.of(KernelFamily.HOPPER);
        }
        if (multiprocessors < 0) {
            throw new IllegalArgumentException("multiprocessors " + multiprocessors + ": must be positive, or 0 for all");
        }
        if (multiprocessors > 0 && grid > 0) {
            throw new IllegalArgumentException("multiprocessors " + multiprocessors + " with grid " + grid + ": one of them decides");
        }
        boolean hopper = family.equals(Optional.of(KernelFamily.HOPPER));
        int least = hopper ? HopperTile.MIN_STAGES : TileShape.MIN_STAGES;
        int most = hopper ? HopperTile.MAX_STAGES : TileShape.MAX_STAGES;
        if (stages != 0 && (stages < least || stages > most)) {
            throw new IllegalArgumentException("stages " + stages + ": must be in " + least + ".." + most
                    + ", or 0 for the planner's choice");
        }
        if (hopper && (batchInvariant || tile.isPresent())) {
            throw new IllegalArgumentException("the Hopper kernel with "
                    + (batchInvariant ? "batchInvariant" : "tile " + tile.get()) + ": only the striped kernel knows that");
        }
        if (family.equals(Optional.of(KernelFamily.DENSE))
                && (batchInvariant || tile.isPresent() || grid != 0 || stages != 0 || cut.isPresent() || multiprocessors != 0)) {
            String asked = batchInvariant ? "batchInvariant" : tile.map(t -> "tile " + t)
                    .orElse("grid " + grid + ", stages " + stages + (multiprocessors == 0 ? "" : ", multiprocessors " + multiprocessors)
                            + cut.map(c -> ", cut " + c).orElse(""));
            throw new IllegalArgumentException("dense weights and cuBLAS with " + asked + ": only this library's kernels know that");
        }
        if (!hopper && hopperTile.isPresent()) {
            throw new IllegalArgumentException("tile " + hopperTile.get() + ": only the Hopper kernel knows that");
        }
        if (batchInvariant && (tile.isPresent() || cut.isPresent())) {
            throw new IllegalArgumentException((tile.isPresent() ? "tile " + tile.get() : "cut " + cut.get())
                    + " with batchInvariant: batch invariance fixes the tile shape and the cut");
        }
        if (cut.isPresent() && hopperTile.isPresent() && !hopperTile.get().striped()) {
            throw new IllegalArgumentException("cut " + cut.get() + " with tile " + hopperTile.get() + ": it is not striped");
        }
    }

    public PlanOptions withBatchInvariance() {
        return new PlanOptions(true, tile, grid, stages, family, hopperTile, cut, multiprocessors);
    }

    /** The striped kernel with this tile. */
    public PlanOptions withTile(TileShape shape) {
        return new PlanOptions(batchInvariant, Optional.of(shape), grid, stages, family, hopperTile, cut, multiprocessors);
    }

    public PlanOptions withGrid(int blocks) {
        return new PlanOptions(batchInvariant, tile, blocks, stages, family, hopperTile, cut, multiprocessors);
    }

    public PlanOptions withStages(int depth) {
        return new PlanOptions(batchInvariant, tile, grid, depth, family, hopperTile, cut, multiprocessors);
    }

    /** This kernel, with a tile of the planner's choice. */
    public PlanOptions withFamily(KernelFamily kernels) {
        return new PlanOptions(batchInvariant, tile, grid, stages, Optional.of(kernels), Optional.empty(), cut, multiprocessors);
    }

    /** The Hopper kernel with this tile. */
    public PlanOptions withHopperTile(HopperTile shape) {
        return new PlanOptions(batchInvariant, tile, grid, stages, Optional.of(KernelFamily.HOPPER), Optional.of(shape), cut,
                multiprocessors);
    }

    public PlanOptions withCut(Stripes.Cut stripes) {
        return new PlanOptions(batchInvariant, tile, grid, stages, family, hopperTile, Optional.of(stripes), multiprocessors);
    }

    /** At most so many SMs, those that are left stay free for other kernels. */
    public PlanOptions withMultiprocessors(int most) {
        return new PlanOptions(batchInvariant, tile, grid, stages, family, hopperTile, cut, most);
    }

    /** Whether nothing is asked but how many SMs there are. */
    boolean leavesTheKernel() {
        return withMultiprocessors(0).equals(DEFAULT);
    }

    /** The part of a device that may be used. */
    DeviceFacts within(DeviceFacts device) {
        if (multiprocessors > device.multiprocessors()) {
            throw new IllegalArgumentException("multiprocessors " + multiprocessors + ": " + device.name() + " has "
                    + device.multiprocessors());
        }
        return multiprocessors == 0 ? device : device.withMultiprocessors(multiprocessors);
    }

    /** Whether this kernel was asked for. */
    public boolean asks(KernelFamily kernels) {
        return family.equals(Optional.of(kernels));
    }

    /** The cuts that are worth a prediction. */
    List<Stripes.Cut> cuts() {
        if (cut.isPresent()) {
            return List.of(cut.get());
        }
        if (batchInvariant) {
            // A row's bits depend on where the stripes are cut, so the prediction for m must not decide.
            return List.of(Stripes.Cut.WHOLE_STAGES);
        }
        return grid > 0 ? List.of(Stripes.Cut.EVEN) : List.of(Stripes.Cut.WHOLE_STAGES, Stripes.Cut.EVEN);
    }
}
