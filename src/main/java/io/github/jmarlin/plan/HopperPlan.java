package io.github.jmarlin.plan;

import java.util.Objects;

/**
 * A launch of the Hopper kernel: every cluster of blocks takes whole tiles, and needs no workspace.
 *
 * @param kernel entry point in the kernel image
 * @param rows the rows the plan was made for: it serves every m in {@code (rows - 8, rows]}
 * @param weights shape and form of the weights
 * @param tile what a cluster computes at a time
 * @param clusters of the launch
 * @param stages slots of the ring
 * @param sharedBytes dynamic shared memory of a thread block
 * @param prediction where the time is expected to go
 * @param reason why this plan, in words
 */
public record HopperPlan(String kernel, int rows, WeightShape weights, HopperTile tile, int clusters, int stages, int sharedBytes,
                         Prediction prediction, String reason) implements GemmPlan {

    public HopperPlan {
        Objects.requireNonNull(kernel, "kernel");
        Objects.requireNonNull(reason, "reason");
        if (rows < 1 || clusters < 1 || stages < HopperTile.MIN_STAGES || stages > HopperTile.MAX_STAGES) {
            throw new IllegalArgumentException("plan for " + rows + " rows with " + clusters + " clusters and " + stages + " stages: rows"
                    + " and clusters must be positive, stages in " + HopperTile.MIN_STAGES + ".." + HopperTile.MAX_STAGES);
        }
    }

    @Override
    public int grid() {
        return clusters * tile.cluster();
    }

    @Override
    public int threads() {
        return HopperTile.THREADS;
    }

    @Override
    public int nTiles() {
        return (weights.n() + tile.nTile() - 1) / tile.nTile();
    }

    @Override
    public int mTiles() {
        return (rows + tile.batchTile() - 1) / tile.batchTile();
    }

    @Override
    public int unitsPerBlock() {
        return 0;
    }

    @Override
    public int stripsPerTile() {
        return tile.strips();
    }

    @Override
    public int unitsPerStart() {
        return (weights.kBlocks() + tile.cluster() - 1) / tile.cluster();
    }

    @Override
    public WorkspaceSize workspace() {
        return WorkspaceSize.NONE;
    }

    HopperPlan withReason(String words) {
        return new HopperPlan(kernel, rows, weights, tile, clusters, stages, sharedBytes, prediction, words);
    }

    @Override
    public String toString() {
        return String.format("%s for %s, m <= %d%n"
                        + "  %d tiles of %s, %d blocks x %d threads, %d stages, %d bytes of shared memory%n"
                        + "  %s%n  %s",
                kernel, weights, rows, nTiles() * mTiles(), tile, grid(), threads(), stages, sharedBytes, prediction, reason);
    }
}
