package io.github.jmarlin.plan;

import java.util.Objects;
import java.util.Optional;

/**
 * What a caller may ask of the planner.
 *
 * @param batchInvariant a row of the result has the same bits whatever m is and whatever the other rows hold (on one kind of device):
 *     rows go in chunks of at most {@value Planner#BATCH_INVARIANT_ROWS} through kernels that differ in their batch tile only, over
 *     stripes that do not depend on m. Costs speed from m of about 64 up
 * @param tile the tile shape to use instead of the planner's choice, for tests and tuning
 * @param grid the number of thread blocks to cut the work for; 0 leaves it to the planner
 * @param stages the pipeline depth; 0 leaves it to the planner
 */
public record PlanOptions(boolean batchInvariant, Optional<TileShape> tile, int grid, int stages) {

    public static final PlanOptions DEFAULT = new PlanOptions(false, Optional.empty(), 0, 0);

    public PlanOptions {
        Objects.requireNonNull(tile, "tile");
        if (grid < 0) {
            throw new IllegalArgumentException("grid " + grid + ": must be positive, or 0 for the planner's choice");
        }
        if (stages != 0 && (stages < TileShape.MIN_STAGES || stages > TileShape.MAX_STAGES)) {
            throw new IllegalArgumentException("stages " + stages + ": must be in " + TileShape.MIN_STAGES + ".." + TileShape.MAX_STAGES
                    + ", or 0 for the planner's choice");
        }
        if (batchInvariant && tile.isPresent()) {
            throw new IllegalArgumentException("tile " + tile.get() + " with batchInvariant: batch invariance fixes the tile shape");
        }
    }

    public PlanOptions withBatchInvariance() {
        return new PlanOptions(true, tile, grid, stages);
    }

    public PlanOptions withTile(TileShape shape) {
        return new PlanOptions(batchInvariant, Optional.of(shape), grid, stages);
    }

    public PlanOptions withGrid(int blocks) {
        return new PlanOptions(batchInvariant, tile, blocks, stages);
    }

    public PlanOptions withStages(int depth) {
        return new PlanOptions(batchInvariant, tile, grid, depth);
    }
}
