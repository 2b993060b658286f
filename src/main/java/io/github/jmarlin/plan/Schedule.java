package io.github.jmarlin.plan;

/**
 * Which worker computes what, where a worker is a thread block of the striped kernel or a cluster of the Hopper kernel's. Tile
 * {@code nTile * mTiles + mTile}: the row tiles that read the same weights follow one another.
 */
public sealed interface Schedule permits Stripes, WholeTiles {

    /** Tiles along the rows of the activations. */
    int mTiles();

    /** Tiles along n. */
    int nTiles();

    /** Blocks of 64 k of a tile. */
    int kBlocks();

    /** Workers of the launch: each has something to do. */
    int grid();

    /** Slices of 64 k of one worker; 0 where workers take whole tiles. */
    int unitsPerBlock();

    /** Blocks of 64 k from one place where thread blocks start to the next, all tiles laid end to end along k. */
    int unitsPerStart();

    default int tiles() {
        return mTiles() * nTiles();
    }
}
