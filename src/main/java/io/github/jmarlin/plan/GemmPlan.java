package io.github.jmarlin.plan;

/**
 * How one launch runs: everything the launch needs and why it was chosen. Immutable; printed by {@code toString()}.
 */
public sealed interface GemmPlan permits StripedPlan, HopperPlan, DensePlan {

    /** Entry point in the image of the kernel's family, which is the name's first word. */
    String kernel();

    /** The rows the plan was made for: it serves every m in {@code (rows - 8, rows]}. */
    int rows();

    /** Shape and form of the weights. */
    WeightShape weights();

    /** Thread blocks of the launch. */
    int grid();

    /** Threads of a thread block. */
    int threads();

    /** Pipeline depth; 0 where there is no pipeline. */
    int stages();

    /** Dynamic shared memory of a thread block, bytes. */
    int sharedBytes();

    /** Tiles side by side along n; 0 where cuBLAS cuts the work. */
    int nTiles();

    /** Tiles below one another along m; 0 where cuBLAS cuts the work. */
    int mTiles();

    /** Slices of 64 k that a thread block, or a cluster of them, works off; 0 where those take whole tiles. */
    int unitsPerBlock();

    /** Strips of 64 columns that are read side by side from one starting place: all those of a tile; 0 where cuBLAS multiplies. */
    int stripsPerTile();

    /**
     * Blocks of 64 k from one starting place to the next, all tiles laid end to end along k: where the thread blocks begin to read
     * their weights. A hint for the kernel before, exact for stripes and for a k that the blocks of a cluster share evenly; 0 where
     * cuBLAS multiplies.
     */
    int unitsPerStart();

    /** Places from which the thread blocks start to read: neighbours share one. 0 where cuBLAS multiplies. */
    int starts();

    /** Device memory the launch needs besides its operands. */
    WorkspaceSize workspace();

    /** Where the time is expected to go. */
    Prediction prediction();

    /** Why this plan, in words. */
    String reason();

    /** The same launch, for another reason. */
    GemmPlan withReason(String words);
}
