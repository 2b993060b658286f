package io.github.jmarlin.plan;

import java.util.List;

/**
 * What a cluster of thread blocks of the Hopper kernel computes at a time: {@code batchTile} rows of the activations times
 * {@code neighbours * nTile} columns of the weights. The same arithmetic as in {@code hopper/shape.cuh}; a test holds the two
 * against each other.
 *
 * <pre>
 *              columns 0 .. nTile   nTile .. 2 nTile
 *   k, part 0   |   rank 0     |     rank 1     |       neighbours 2, split 2: rank = part of k * neighbours + place along n
 *   k, part 1   |   rank 2     |     rank 3     |
 * </pre>
 *
 * Neighbours along n multiply the same activations: each reads half of them from L2 and hands them to the other. Blocks that split k
 * add up through each other's shared memory; without a split the work of all clusters is cut into {@link Stripes}, a cluster to a
 * stripe, and shared tiles are added up through device memory.
 *
 * @param batchTile rows: 8, 16, 32, 64 or 128
 * @param nTile columns of a thread block: 128 or 256
 * @param neighbours thread blocks side by side along n: 1 or 2
 * @param split thread blocks that share k: 1, 2 or 4
 */
public record HopperTile(int batchTile, int nTile, int neighbours, int split) {

    /** Threads of a block: two warpgroups that multiply, one that copies. */
    public static final int THREADS = 384;
    /** Fewer slots in the ring than this, and producer and consumers wait for each other. */
    public static final int MIN_STAGES = 5;
    /** Slots that there are barriers for. */
    public static final int MAX_STAGES = 12;

    private static final int HEADER_BYTES = 1024 + 256;
    private static final int ALIGNMENT = 1024;
    /** Of 64 x 64 codes of 4 bits; 8-bit and sparse ones have more. */
    private static final int SHORT_BLOCK_BYTES = 2048;
    /** Rows of a batch tile above 32 that a striped block stages at a time. */
    private static final int STAGED_ROWS = 16;
    /** Floats of padding after a staged row. */
    private static final int STAGING_PADDING = 4;

    /** The shapes that exist as compiled kernels for 4-bit integers; {@link KernelSet#hopperTiles} has those for others. */
    public static final List<HopperTile> INSTANCES = List.of(
            new HopperTile(8, 128, 1, 1), new HopperTile(8, 128, 1, 2), new HopperTile(8, 128, 1, 4),
            new HopperTile(16, 128, 1, 4), new HopperTile(16, 256, 1, 1), new HopperTile(16, 256, 1, 2), new HopperTile(16, 256, 1, 4),
            new HopperTile(16, 128, 2, 2),
            new HopperTile(32, 128, 1, 4), new HopperTile(32, 256, 1, 1), new HopperTile(32, 256, 1, 4), new HopperTile(32, 128, 2, 2),
            new HopperTile(64, 128, 1, 4), new HopperTile(64, 256, 1, 1), new HopperTile(64, 256, 1, 2), new HopperTile(64, 256, 1, 4),
            new HopperTile(64, 128, 2, 2), new HopperTile(64, 256, 2, 1),
            new HopperTile(128, 128, 1, 4), new HopperTile(128, 128, 2, 2), new HopperTile(128, 256, 1, 1),
            new HopperTile(128, 256, 2, 1), new HopperTile(128, 256, 1, 2), new HopperTile(128, 256, 2, 2));

    public HopperTile {
        if (batchTile < 8 || batchTile > 128 || Integer.bitCount(batchTile) != 1) {
            throw new IllegalArgumentException("batch tile " + batchTile + ": must be 8, 16, 32, 64 or 128");
        }
        if (nTile != 128 && nTile != 256) {
            throw new IllegalArgumentException("n tile " + nTile + ": must be 128 or 256");
        }
        if (neighbours != 1 && neighbours != 2) {
            throw new IllegalArgumentException(neighbours + " neighbours: must be 1 or 2 blocks side by side");
        }
        if (split != 1 && split != 2 && split != 4) {
            throw new IllegalArgumentException("split of k over " + split + ": must be 1, 2 or 4 blocks");
        }
    }

    /** Thread blocks of a cluster. */
    public int cluster() {
        return neighbours * split;
    }

    /** Whether the work is cut into stripes; otherwise clusters take whole tiles. */
    public boolean striped() {
        return split == 1;
    }

    /** Strips of 64 columns of one thread block. */
    public int strips() {
        return nTile / TileShape.STRIP;
    }

    /** Columns of a cluster. */
    public int clusterColumns() {
        return neighbours * nTile;
    }

    /** Floats of one thread block's partial tile in the workspace. */
    public int slotFloats() {
        return batchTile * nTile;
    }

    /**
     * Depth of a pipeline stage in blocks: with the columns of a tile so many that the stage has 512 or, of many rows, 256; of longer blocks
     * half as many.
     */
    public int kBlocksPerStage(WeightShape weights) {
        boolean longBlocks = weights.form().blockBytes() > SHORT_BLOCK_BYTES;
        int columns = longBlocks ? batchTile <= 64 ? 256 : 128 : batchTile <= 32 ? 512 : 256;
        return Math.max(1, columns / nTile);
    }

    /** Bytes of a slot of the ring: activations, codes, scales, zero points. */
    public int slotBytes(WeightShape weights) {
        int depth = kBlocksPerStage(weights);
        int parameterRows = weights.scaleRowsPerBlock() * weights.form().parameterWords();
        int activations = batchTile * weights.blockRows() * 2;
        return aligned(depth * (activations + strips() * (weights.form().blockBytes() + parameterRows * TileShape.SCALE_ROW_BYTES)));
    }

    /** Bytes of the staging buffer in fp32 beside the ring: in stripes the ring is filled on while a tile is finished. */
    private int stagingBytes() {
        return striped() ? aligned(stagedBytes(batchTile <= 32 ? batchTile : STAGED_ROWS)) : 0;
    }

    private int stagedBytes(int rows) {
        return rows * (nTile + STAGING_PADDING) * Float.BYTES;
    }

    private static int aligned(int bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** Dynamic shared memory of a block, bytes. Without stripes the finished tile lies over the ring. */
    public int sharedBytes(WeightShape weights, int stages) {
        int ring = stages * slotBytes(weights);
        return HEADER_BYTES + (striped() ? stagingBytes() + ring : Math.max(ring, stagedBytes(batchTile)));
    }

    /** The most stages (at most 12) that fit into {@code sharedLimit} bytes; below 5 the shape cannot run there. */
    public int stagesFitting(WeightShape weights, int sharedLimit) {
        return Math.min(MAX_STAGES, Math.max(0, sharedLimit - HEADER_BYTES - stagingBytes()) / slotBytes(weights));
    }

    /** Entry point of the kernel of this shape for the given weights, as exported by the kernel image. */
    public String kernelName(WeightShape weights) {
        return kernelName(weights.instance());
    }

    /** The same by what kernels have in their names before the tile, as in {@link KernelSet#instances}. */
    public String kernelName(String instance) {
        return "hopper_" + instance + "_m" + batchTile + "_n" + nTile + "_p" + neighbours + "_s" + split;
    }

    /** As in "64x256 in pairs, striped" and "16x128 in pairs, k split in 2". */
    @Override
    public String toString() {
        return batchTile + "x" + nTile + (neighbours == 2 ? " in pairs," : "") + (striped() ? " striped" : " k split in " + split);
    }
}
