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
 * In halves two warps share a block, each 32 of its columns, and a stage is half as deep: for devices whose shared memory holds no more
 * than two whole stages.
 *
 * @param batchTile rows, a multiple of 8 in 8..64, in halves of 16
 * @param nTile columns: 64, 128 or 256
 * @param halves warps that share a block: 1 or 2
 */
public record TileShape(int batchTile, int nTile, int halves) {

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
    /** Those in halves: the two of which 99 KB hold two whole stages. */
    public static final List<TileShape> IN_HALVES = List.of(new TileShape(32, 128, 2), new TileShape(64, 256, 2));

    /** Shared memory of a thread block up to which tiles in halves are worth while: of 8.6, 8.9 and 12.0. */
    private static final int MOST_SHARED_BYTES_FOR_HALVES = 99 * 1024;
    /** What a warp hands over of one batch tile and sub-block. */
    private static final int WARP_SUMS_BYTES = 32 * 4 * Float.BYTES;

    /** A tile whose warps have whole blocks. */
    public TileShape(int batchTile, int nTile) {
        this(batchTile, nTile, 1);
    }

    public TileShape {
        if (batchTile < 8 || batchTile > 64 || batchTile % 8 != 0) {
            throw new IllegalArgumentException("batch tile " + batchTile + ": must be a multiple of 8 in 8..64");
        }
        if (nTile != 64 && nTile != 128 && nTile != 256) {
            throw new IllegalArgumentException("n tile " + nTile + ": must be 64, 128 or 256");
        }
        if (halves != 1 && (halves != 2 || batchTile % 16 != 0)) {
            throw new IllegalArgumentException(halves + " warps to a block with a batch tile of " + batchTile
                    + ": must be 1, or 2 with a multiple of 16");
        }
    }

    /** Warps side by side along n: one for each strip of the tile. */
    public int warpsN() {
        return nTile / STRIP;
    }

    /** Warps that split a strip's k. */
    public int warpsK() {
        return WARPS / warpsN() / halves;
    }

    /** Warps that hand over a part of a tile, each with a counter of its own. */
    public int parts() {
        return warpsN() * halves;
    }

    /** Whether plans for a device may choose it. */
    public boolean isFor(DeviceFacts device) {
        int capability = device.computeCapability();
        boolean compiledFor = capability == 86 || capability == 89 || capability >= 120;
        return halves == 1 || compiledFor && device.sharedMemoryPerBlockOptin() <= MOST_SHARED_BYTES_FOR_HALVES;
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
        return warpsN() * warpsK() * (weights.form().blockBytes() + rowsOfParameters * SCALE_ROW_BYTES) + activations;
    }

    /**
     * Bytes through which the warps of a strip add up their shares of k: every warp but the first of each strip hands over
     * 16 floats per lane at a time. In halves each of a strip's two leaders is handed 8 by every other warp, and has room for 16. Apart from
     * the stages, so that the pipeline keeps running.
     */
    public int reductionBytes() {
        return halves == 1 ? (WARPS - warpsN()) * 4 * WARP_SUMS_BYTES
                : parts() * Math.max(4, 2 * (WARPS / warpsN() - 1)) * WARP_SUMS_BYTES;
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
        return "striped_" + instance + "_m" + batchTile + "_n" + nTile + (halves == 1 ? "" : "_h" + halves);
    }

    @Override
    public String toString() {
        return batchTile + "x" + nTile + (halves == 1 ? "" : " in halves");
    }
}
