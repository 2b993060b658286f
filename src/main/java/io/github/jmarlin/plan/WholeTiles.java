package io.github.jmarlin.plan;

/**
 * Every cluster takes whole tiles, from its own number on in steps of {@code grid}, and its blocks share a tile's k in
 * {@code split} equal parts:
 *
 * <pre>
 *            k ------------------------------>
 *   tile 0  | part 0  | part 1  | part 2  | part 3  |   cluster 0
 *   tile 1  | part 0  | part 1  | part 2  | part 3  |   cluster 1
 * </pre>
 *
 * @param mTiles tiles along the rows of the activations
 * @param nTiles tiles along n
 * @param kBlocks blocks of 64 k
 * @param split parts of k
 * @param grid clusters of the launch
 */
public record WholeTiles(int mTiles, int nTiles, int kBlocks, int split, int grid) implements Schedule {

    public WholeTiles {
        if (mTiles < 1 || nTiles < 1 || kBlocks < 1 || split < 1 || grid < 1 || grid > (long) mTiles * nTiles
                || (long) mTiles * nTiles > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("schedule of " + mTiles + " x " + nTiles + " whole tiles, " + kBlocks + " blocks of k in "
                    + split + " parts, " + grid + " clusters: all must be positive, clusters at most as many as tiles");
        }
    }

    @Override
    public int unitsPerBlock() {
        return 0;
    }

    @Override
    public int unitsPerStart() {
        return (kBlocks + split - 1) / split;
    }
}
