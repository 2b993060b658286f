package io.github.jmarlin.cuda;

import io.github.jmarlin.plan.GemmPlan;
import io.github.jmarlin.plan.WeightShape;

/**
 * What the kernel before a product fetches into the L2 cache for it: the first codes that each of its thread blocks reads. The
 * Java half of {@code prefetch.cuh}, where it is drawn.
 *
 * @param codes device address of the product's codes; 0 for nothing
 * @param kBlocks blocks of a strip
 * @param strips strips of 64 columns
 * @param stripsPerTile strips read side by side
 * @param mTiles tiles that share their weights
 * @param unitsPerStart k-blocks from one starting place to the next
 * @param starts starting places; 0 for nothing
 * @param units k-blocks fetched for each
 * @param blockBytes bytes of a block of codes
 */
record Prefetch(long codes, int kBlocks, int strips, int stripsPerTile, int mTiles, int unitsPerStart, int starts, int units,
                int blockBytes) {
    static final Prefetch NONE = new Prefetch(0, 1, 0, 1, 1, 1, 0, 0, 0);

    /** Share of the L2 cache that the codes may take: what runs before has its own data there. */
    private static final int SHARE_OF_L2 = 4;
    /** What a thread block reads before its first multiplications have made room: a full ring of stages. */
    private static final int BYTES_PER_BLOCK = 96 << 10;

    /** For a product that runs as planned. */
    static Prefetch of(long codes, GemmPlan plan, long l2Bytes) {
        WeightShape weights = plan.weights();
        int blockBytes = weights.form().blockBytes();
        long units = (long) plan.nTiles() * plan.mTiles() * weights.kBlocks();
        long starts = Math.min(plan.starts(), (units + plan.unitsPerStart() - 1) / plan.unitsPerStart());
        long budget = Math.min(l2Bytes / SHARE_OF_L2, (long) BYTES_PER_BLOCK * plan.grid());
        long each = Math.min(plan.unitsPerStart(), budget / (starts * plan.stripsPerTile() * blockBytes));
        return each == 0 ? NONE : new Prefetch(codes, weights.kBlocks(), weights.strips(), plan.stripsPerTile(), plan.mTiles(),
                plan.unitsPerStart(), (int) starts, (int) each, blockBytes);
    }
}
