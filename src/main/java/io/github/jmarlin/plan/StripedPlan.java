package io.github.jmarlin.plan;

import java.util.Locale;
import java.util.Objects;

/**
 * A launch of the striped kernel, the one for every architecture.
 *
 * @param kernel entry point in the kernel image
 * @param rows the rows the plan was made for: it serves every m in {@code (rows - 8, rows]}
 * @param weights shape and form of the weights
 * @param tile what a thread block computes at a time
 * @param stripes which thread block computes what
 * @param stages pipeline depth
 * @param sharedBytes dynamic shared memory of a thread block
 * @param prediction where the time is expected to go
 * @param reason why this plan, in words
 */
public record StripedPlan(String kernel, int rows, WeightShape weights, TileShape tile, Stripes stripes, int stages,
                          int sharedBytes, Prediction prediction, String reason) implements GemmPlan {

    public StripedPlan {
        Objects.requireNonNull(kernel, "kernel");
        Objects.requireNonNull(reason, "reason");
        if (rows < 1 || stages < TileShape.MIN_STAGES || stages > TileShape.MAX_STAGES) {
            throw new IllegalArgumentException("plan for " + rows + " rows with " + stages
                    + " stages: rows must be positive, stages in " + TileShape.MIN_STAGES + ".." + TileShape.MAX_STAGES);
        }
    }

    @Override
    public int grid() {
        return stripes.grid();
    }

    @Override
    public int threads() {
        return TileShape.THREADS;
    }

    @Override
    public int nTiles() {
        return stripes.nTiles();
    }

    @Override
    public int mTiles() {
        return stripes.mTiles();
    }

    @Override
    public int unitsPerBlock() {
        return stripes.unitsPerBlock();
    }

    @Override
    public int stripsPerTile() {
        return tile.warpsN();
    }

    @Override
    public int unitsPerStart() {
        return stripes.unitsPerStart();
    }

    @Override
    public int starts() {
        return grid();
    }

    @Override
    public StripedPlan withReason(String words) {
        return new StripedPlan(kernel, rows, weights, tile, stripes, stages, sharedBytes, prediction, words);
    }

    @Override
    public WorkspaceSize workspace() {
        return stripes.workspace(tile.slotFloats(), tile.parts());
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s for %s, m <= %d%n"
                        + "  %d tiles of %s, %d blocks x %d threads, %d units of %d k per block, %d stages,"
                        + " %d bytes of shared memory%n  workspace %s%n  %s%n  %s",
                kernel, weights, rows, stripes.tiles(), tile, grid(), TileShape.THREADS, stripes.unitsPerBlock(),
                weights.form().blockRows(), stages, sharedBytes, workspace(), prediction, reason);
    }
}
