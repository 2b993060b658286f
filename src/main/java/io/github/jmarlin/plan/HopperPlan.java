package io.github.jmarlin.plan;

import java.util.Locale;
import java.util.Objects;

/**
 * A launch of the Hopper kernel.
 *
 * @param kernel entry point in the kernel image
 * @param rows the rows the plan was made for: it serves every m in {@code (rows - 8, rows]}
 * @param weights shape and form of the weights
 * @param tile what a cluster computes at a time
 * @param schedule which cluster computes what: {@link Stripes} for a striped tile, {@link WholeTiles} for one that splits k
 * @param stages slots of the ring
 * @param sharedBytes dynamic shared memory of a thread block
 * @param prediction where the time is expected to go
 * @param reason why this plan, in words
 */
public record HopperPlan(String kernel, int rows, WeightShape weights, HopperTile tile, Schedule schedule, int stages,
                         int sharedBytes, Prediction prediction, String reason) implements GemmPlan {

    public HopperPlan {
        Objects.requireNonNull(kernel, "kernel");
        Objects.requireNonNull(reason, "reason");
        if (rows < 1 || stages < HopperTile.MIN_STAGES || stages > HopperTile.MAX_STAGES) {
            throw new IllegalArgumentException("plan for " + rows + " rows with " + stages + " stages: rows must be positive, stages in "
                    + HopperTile.MIN_STAGES + ".." + HopperTile.MAX_STAGES);
        }
        if (tile.striped() != schedule instanceof Stripes) {
            throw new IllegalArgumentException("tile " + tile + " with schedule " + schedule
                    + ": stripes are for tiles that do not split k, whole tiles for those that do");
        }
    }

    /** Clusters of the launch. */
    public int clusters() {
        return schedule.grid();
    }

    @Override
    public int grid() {
        return clusters() * tile.cluster();
    }

    @Override
    public int threads() {
        return HopperTile.THREADS;
    }

    /** Tiles side by side along n, each of all columns of a cluster. */
    @Override
    public int nTiles() {
        return schedule.nTiles();
    }

    @Override
    public int mTiles() {
        return schedule.mTiles();
    }

    @Override
    public int unitsPerBlock() {
        return schedule.unitsPerBlock();
    }

    @Override
    public int stripsPerTile() {
        return tile.neighbours() * tile.strips();
    }

    @Override
    public int unitsPerStart() {
        return schedule.unitsPerStart();
    }

    @Override
    public int starts() {
        return clusters() * tile.split();
    }

    /** Stripes: two slots for each thread block, a counter for each tile and neighbour. Clusters that split k need none. */
    @Override
    public WorkspaceSize workspace() {
        return schedule instanceof Stripes stripes
                ? stripes.workspace((long) tile.neighbours() * tile.slotFloats(), tile.neighbours()) : WorkspaceSize.NONE;
    }

    @Override
    public HopperPlan withReason(String words) {
        return new HopperPlan(kernel, rows, weights, tile, schedule, stages, sharedBytes, prediction, words);
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s for %s, m <= %d%n"
                        + "  %d tiles of %dx%d, %d clusters of %d blocks x %d threads, %s, %d stages, %d bytes of shared memory%n"
                        + "  workspace %s%n  %s%n  %s",
                kernel, weights, rows, schedule.tiles(), tile.batchTile(), tile.clusterColumns(), clusters(), tile.cluster(), threads(),
                tile.striped() ? unitsPerBlock() + " units of " + weights.form().blockRows() + " k per cluster"
                        : "k of a tile split in " + tile.split(), stages, sharedBytes, workspace(), prediction, reason);
    }
}
