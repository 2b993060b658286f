package io.github.jmarlin.plan;

import java.util.Objects;

/**
 * How one launch runs: everything the launch needs and why it was chosen. Immutable; printed by {@link #toString()}.
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
public record GemmPlan(String kernel, int rows, WeightShape weights, TileShape tile, Stripes stripes, int stages, int sharedBytes,
                       Prediction prediction, String reason) {

    public GemmPlan {
        Objects.requireNonNull(kernel, "kernel");
        Objects.requireNonNull(reason, "reason");
        if (rows < 1 || stages < TileShape.MIN_STAGES || stages > TileShape.MAX_STAGES) {
            throw new IllegalArgumentException("plan for " + rows + " rows with " + stages + " stages: rows must be positive, stages in "
                    + TileShape.MIN_STAGES + ".." + TileShape.MAX_STAGES);
        }
    }

    /** Thread blocks of the launch. */
    public int grid() {
        return stripes.grid();
    }

    /** Device memory the launch needs besides its operands. */
    public WorkspaceSize workspace() {
        long partials = stripes.mostArrivals() == 1 ? 0 : 2L * grid() * tile.slotFloats() * Float.BYTES;
        long counters = (long) stripes.tiles() * tile.warpsN() * Integer.BYTES;
        return new WorkspaceSize(partials, counters);
    }

    @Override
    public String toString() {
        return String.format("%s for %s, m <= %d%n"
                        + "  %d tiles of %s, %d blocks x %d threads, %d units of 64 k per block, %d stages, %d bytes of shared memory%n"
                        + "  workspace %s%n  %s%n  %s",
                kernel, weights, rows, stripes.tiles(), tile, grid(), TileShape.THREADS, stripes.unitsPerBlock(), stages, sharedBytes,
                workspace(), prediction, reason);
    }
}
