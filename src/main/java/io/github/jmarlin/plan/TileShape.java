package io.github.jmarlin.plan;

import java.util.List;

/**
 * What one thread block computes at a time: {@code batchTile} rows of the activations times {@code nTile} columns of the weights.
 * Every launch question that follows from the shape (threads, warps, shared bytes) is answered here, and only here.
 *
 * <pre>
 * A block has 8 warps; a warp owns one strip of 64 columns. First the strips of the tile are dealt out, then k:
 *   nTile  64: 1 warp along n x 8 along k, a stage is 8 blocks of k deep
 *   nTile 128: 2 warps along n x 4 along k, a stage is 4 blocks of k deep
 *   nTile 256: 4 warps along n x 2 along k, a stage is 2 blocks of k deep
 * so that every stage holds 8 blocks of 64 x 64 codes, one for each warp.
 * </pre>
 *
 * @param batchTile rows, a multiple of 8 in 8..64
 * @param nTile columns: 64, 128 or 256
 */
public record TileShape(int batchTile, int nTile) {

    /** Warps of a thread block. */
    public static final int WARPS = 8;
    /** Threads of a thread block. */
    public static final int THREADS = 32 * WARPS;
    /** Columns of a strip and k-rows of a block of codes. */
    public static final int STRIP = 64;
    /** Bytes of one row of 64 scales (or zero points) of 16 bits. */
    public static final int SCALE_ROW_BYTES = 2 * STRIP;
    /** Pipeline depth the kernels accept. */
    public static final int MIN_STAGES = 2;
    /** Pipeline depth the kernels accept. */
    public static final int MAX_STAGES = 8;

    /** The shapes that exist as compiled kernels for 4-bit integers; {@link KernelSet#tiles} has those for others. */
    public static final List<TileShape> INSTANCES = List.of(
            new TileShape(8, 64), new TileShape(8, 128), new TileShape(16, 128), new TileShape(16, 256),
            new TileShape(32, 128), new TileShape(32, 256), new TileShape(48, 256), new TileShape(64, 256));

    public TileShape {
        if (batchTile < 8 || batchTile > 64 || batchTile % 8 != 0) {
            throw new IllegalArgumentException("batch tile " + batchTile + ": must be a multiple of 8 in 8..64");
        }
        if (nTile != 64 && nTile != 128 && nTile != 256) {
            throw new IllegalArgumentException("n tile " + nTile + ": must be 64, 128 or 256");
        }
    }

    /** Warps side by side along n: one for each strip of the tile. */
    public int warpsN() {
        return nTile / STRIP;
    }

    /** Warps that share a strip and split its k. */
    public int warpsK() {
        return WARPS / warpsN();
    }

    /** Depth of a pipeline stage in blocks. */
    public int kBlocksPerStage() {
        return warpsK();
    }

    /** Floats of one partial tile in the workspace. */
    public int slotFloats() {
        return batchTile * nTile;
    }

    /** Bytes of a pipeline stage: codes, scales, zero points, activations. */
    public int stageBytes(WeightShape weights) {
        int rowsOfParameters = weights.scaleRowsPerBlock() * weights.form().parameterWords();
        int activations = kBlocksPerStage() * batchTile * weights.blockRows() * 2;
        return WARPS * (weights.form().blockBytes() + rowsOfParameters * SCALE_ROW_BYTES) + activations;
    }

    /**
     * Bytes through which the warps of a strip add up their shares of k: every warp but the first of each strip hands over
     * 16 floats per lane at a time. Apart from the stages, so that the pipeline keeps running.
     */
    public int reductionBytes() {
        return (WARPS - warpsN()) * 32 * 16 * Float.BYTES;
    }

    /** Dynamic shared memory of a block, bytes. */
    public int sharedBytes(WeightShape weights, int stages) {
        return stages * stageBytes(weights) + reductionBytes();
    }

    /** The most stages (at most 8) that fit into {@code sharedLimit} bytes; below 2 the shape cannot run there. */
    public int stagesFitting(WeightShape weights, int sharedLimit) {
        return Math.min(MAX_STAGES, Math.max(0, sharedLimit - reductionBytes()) / stageBytes(weights));
    }

    /** Entry point of the kernel of this shape for the given weights, as exported by the kernel image. */
    public String kernelName(WeightShape weights) {
        return kernelName(weights.instance());
    }

    /** The same by what kernels have in their names before the tile, as in {@link KernelSet#instances}. */
    public String kernelName(String instance) {
        return "striped_" + instance + "_m" + batchTile + "_n" + nTile;
    }

    @Override
    public String toString() {
        return batchTile + "x" + nTile;
    }
}
