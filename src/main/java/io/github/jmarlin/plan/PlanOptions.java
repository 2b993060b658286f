package io.github.jmarlin.plan;

import java.util.Objects;
import java.util.Optional;

/**
 * What a caller may ask of the planner.
 *
 * @param batchInvariant a row of the result has the same bits whatever m is and whatever the other rows hold (on one kind of
 *     device): rows go in chunks of at most {@value Planner#BATCH_INVARIANT_ROWS} through kernels that differ in their batch tile
 *     only, over stripes that do not depend on m. Costs speed from m of about 64 up
 * @param tile the tile shape to use instead of the planner's choice, for tests and tuning
 * @param grid the number of thread blocks to cut the work for; 0 leaves it to the planner
 * @param stages the pipeline depth; 0 leaves it to the planner. To ask for one of another family, ask for the family first
 * @param family which kernel multiplies
 * @param hopperTile the tile of the Hopper kernel to use instead of the planner's choice, for tests and tuning
 */
public record PlanOptions(boolean batchInvariant, Optional<TileShape> tile, int grid, int stages, KernelFamily family,
                          Optional<HopperTile> hopperTile) {

    public static final PlanOptions DEFAULT =
            new PlanOptions(false, Optional.empty(), 0, 0, KernelFamily.STRIPED, Optional.empty());

    public PlanOptions {
        Objects.requireNonNull(tile, "tile");
        if (grid < 0) {
            throw new IllegalArgumentException("grid " + grid + ": must be positive, or 0 for the planner's choice");
        }
        Objects.requireNonNull(family, "family");
        Objects.requireNonNull(hopperTile, "hopperTile");
        boolean hopper = family == KernelFamily.HOPPER;
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
        if (family == KernelFamily.DENSE && (batchInvariant || tile.isPresent() || grid != 0 || stages != 0)) {
            throw new IllegalArgumentException("dense weights and cuBLAS with " + (batchInvariant ? "batchInvariant"
                    : tile.map(t -> "tile " + t).orElse("grid " + grid + ", stages " + stages)) + ": only this library's kernels know that");
        }
        if (!hopper && hopperTile.isPresent()) {
            throw new IllegalArgumentException("tile " + hopperTile.get() + ": only the Hopper kernel knows that");
        }
        if (batchInvariant && tile.isPresent()) {
            throw new IllegalArgumentException("tile " + tile.get()
                    + " with batchInvariant: batch invariance fixes the tile shape");
        }
    }

    public PlanOptions withBatchInvariance() {
        return new PlanOptions(true, tile, grid, stages, family, hopperTile);
    }

    public PlanOptions withTile(TileShape shape) {
        return new PlanOptions(batchInvariant, Optional.of(shape), grid, stages, family, hopperTile);
    }

    public PlanOptions withGrid(int blocks) {
        return new PlanOptions(batchInvariant, tile, blocks, stages, family, hopperTile);
    }

    public PlanOptions withStages(int depth) {
        return new PlanOptions(batchInvariant, tile, grid, depth, family, hopperTile);
    }

    /** Another kernel, with a tile of the planner's choice. */
    public PlanOptions withFamily(KernelFamily kernels) {
        return new PlanOptions(batchInvariant, tile, grid, stages, kernels, Optional.empty());
    }

    /** The Hopper kernel with this tile. */
    public PlanOptions withHopperTile(HopperTile shape) {
        return new PlanOptions(batchInvariant, tile, grid, stages, KernelFamily.HOPPER, Optional.of(shape));
    }
}
