package io.github.jmarlin.plan;

import java.util.List;

/**
 * What a cluster of thread blocks of the Hopper kernel computes at a time, {@code batchTile} rows of the activations times {@code nTile}
 * columns of the weights, and how many blocks share that along k. The same arithmetic as in {@code hopper/shape.cuh}; a test holds the
 * two against each other.
 *
 * @param batchTile rows: 8, 16, 32, 64 or 128
 * @param nTile columns: 128 or 256
 * @param cluster thread blocks: 1, 2 or 4
 */
public record HopperTile(int batchTile, int nTile, int cluster) {

    /** Threads of a block: two warpgroups that multiply, one that copies. */
    public static final int THREADS = 384;
    /** Fewer slots in the ring than this, and producer and consumers wait for each other. */
    public static final int MIN_STAGES = 5;
    /** Slots that there are barriers for. */
    public static final int MAX_STAGES = 12;

    private static final int HEADER_BYTES = 1024 + 256;
    private static final int SLOT_ALIGNMENT = 1024;

    /** The shapes that exist as compiled kernels. */
    public static final List<HopperTile> INSTANCES = List.of(
            new HopperTile(8, 128, 1), new HopperTile(8, 128, 2), new HopperTile(8, 128, 4),
            new HopperTile(16, 128, 4), new HopperTile(16, 256, 1), new HopperTile(16, 256, 2), new HopperTile(16, 256, 4),
            new HopperTile(32, 128, 4), new HopperTile(32, 256, 2), new HopperTile(32, 256, 4),
            new HopperTile(64, 128, 4), new HopperTile(64, 256, 2), new HopperTile(64, 256, 4),
            new HopperTile(128, 128, 4), new HopperTile(128, 256, 1), new HopperTile(128, 256, 2), new HopperTile(128, 256, 4));

    public HopperTile {
        if (batchTile < 8 || batchTile > 128 || Integer.bitCount(batchTile) != 1) {
            throw new IllegalArgumentException("batch tile " + batchTile + ": must be 8, 16, 32, 64 or 128");
        }
        if (nTile != 128 && nTile != 256) {
            throw new IllegalArgumentException("n tile " + nTile + ": must be 128 or 256");
        }
        if (cluster != 1 && cluster != 2 && cluster != 4) {
            throw new IllegalArgumentException("cluster of " + cluster + ": must be 1, 2 or 4 blocks");
        }
    }

    /** Strips of 64 columns. */
    public int strips() {
        return nTile / TileShape.STRIP;
    }

    /** Depth of a pipeline stage in blocks of 64 k. */
    public int kBlocksPerStage() {
        return (batchTile <= 32 ? 512 : 256) / nTile;
    }

    /** Bytes of a slot of the ring: activations, codes, scales, zero points. */
    public int slotBytes(WeightShape weights) {
        int parameterRows = kBlocksPerStage() * (weights.isGroupOf32() ? 2 : 1) * (weights.zeroPoints() ? 2 : 1);
        int activations = kBlocksPerStage() * batchTile * TileShape.STRIP * 2;
        int used = activations + strips() * (kBlocksPerStage() * TileShape.BLOCK_BYTES + parameterRows * TileShape.SCALE_ROW_BYTES);
        return (used + SLOT_ALIGNMENT - 1) / SLOT_ALIGNMENT * SLOT_ALIGNMENT;
    }

    /** Dynamic shared memory of a block, bytes: the ring, over which the finished tile lies in fp32. */
    public int sharedBytes(WeightShape weights, int stages) {
        int finished = batchTile * (nTile + 4) * Float.BYTES;
        return HEADER_BYTES + Math.max(stages * slotBytes(weights), finished);
    }

    /** The most stages (at most 12) that fit into {@code sharedLimit} bytes; below 5 the shape cannot run there. */
    public int stagesFitting(WeightShape weights, int sharedLimit) {
        return Math.min(MAX_STAGES, Math.max(0, sharedLimit - HEADER_BYTES) / slotBytes(weights));
    }

    /** Entry point of the kernel of this shape for the given weights, as exported by the kernel image. */
    public String kernelName(WeightShape weights) {
        return "hopper_" + weights.typeTag() + (weights.zeroPoints() ? "_zp" : "_sym") + (weights.isGroupOf32() ? "_g32" : "_g64")
                + "_m" + batchTile + "_n" + nTile + "_s" + cluster;
    }

    @Override
    public String toString() {
        return batchTile + "x" + nTile + " in clusters of " + cluster;
    }
}
