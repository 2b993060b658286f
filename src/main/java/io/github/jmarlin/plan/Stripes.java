package io.github.jmarlin.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Which thread block computes what: all output tiles laid end to end along k and cut into equal stripes, one per block.
 * The same arithmetic as {@code stripe.cuh} on the device; a test compares the two.
 *
 * <p>The unit of work is 64 k of one tile. Unit {@code tile * kBlocks + kBlock}, tile {@code nTile * mTiles + mTile}, so the row
 * tiles that read the same weights run side by side. Block {@code b} owns units {@code [b * unitsPerBlock, (b + 1) *
 * unitsPerBlock)}.
 *
 * <pre>
 * Three tiles of 4 blocks of k, 5 units per block:
 *
 *   tile           0          1          2
 *   k block     0 1 2 3    0 1 2 3    0 1 2 3
 *   thread bl.  0 0 0 0    0 1 1 1    1 1 2 2
 *                          :          :
 *                          slot 1 of 0, slot 0 of 1    slot 1 of 1, slot 0 of 2
 * </pre>
 *
 * <p>A block that computes a whole tile writes it out. Otherwise it leaves a partial tile in one of its two workspace slots: slot
 * {@code 2b} for the portion that begins inside a tile (only its first one can), {@code 2b + 1} for the portion that begins a
 * tile and does not finish it (only its last one can). Whoever arrives last at a tile adds the slots in block order.
 *
 * @param mTiles tiles along the rows of the activations
 * @param nTiles tiles along n
 * @param kBlocks blocks of 64 k
 * @param unitsPerBlock units of one thread block; the last one may have fewer
 */
public record Stripes(int mTiles, int nTiles, int kBlocks, int unitsPerBlock) implements Schedule {

    /** {@link Portion#slot()} of a whole tile: it needs none. */
    public static final int NO_SLOT = -1;

    /** Where stripes may end. */
    public enum Cut {
        /** All stripes equally long, wherever that is. */
        EVEN,
        /** The same rounded up to whole pipeline stages: some workers get less, but no stage is half empty. */
        WHOLE_STAGES
    }

    /**
     * What a block does in one tile: blocks {@code [firstKBlock, endKBlock)} of its k.
     *
     * @param tile the tile
     * @param firstKBlock first block of 64 k
     * @param endKBlock one past the last block of 64 k
     * @param slot workspace slot of the partial tile, or {@link #NO_SLOT}
     */
    public record Portion(int tile, int firstKBlock, int endKBlock, int slot) {}

    public Stripes {
        if (mTiles < 1 || nTiles < 1 || kBlocks < 1 || unitsPerBlock < 1) {
            throw new IllegalArgumentException("stripes of " + mTiles + " x " + nTiles + " tiles, " + kBlocks + " blocks of k, "
                    + unitsPerBlock + " units per block: all must be positive");
        }
        // The device counts in 32 bits, up to the end of the last block's range.
        if (unitsOf(mTiles, nTiles, kBlocks) + unitsPerBlock > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("stripes of " + mTiles + " x " + nTiles + " tiles, " + kBlocks
                    + " blocks of k and " + unitsPerBlock + " units per block: total units plus one block must stay below 2^31");
        }
    }

    /** Units of a product; saturates instead of overflowing. */
    static long unitsOf(long mTiles, long nTiles, long kBlocks) {
        long tiles = mTiles * nTiles;
        return tiles > Long.MAX_VALUE / 2 / kBlocks ? Long.MAX_VALUE / 2 : tiles * kBlocks;
    }

    /**
     * The work cut for {@code workers}; empty if the device cannot count its units.
     *
     * @param stageDepth blocks of 64 k of a pipeline stage
     */
    static Optional<Stripes> cut(Cut cut, int mTiles, int nTiles, int kBlocks, int workers, int stageDepth) {
        long units = unitsOf(mTiles, nTiles, kBlocks);
        if (units > Integer.MAX_VALUE / 2) {
            return Optional.empty();
        }
        int even = Ceil.div((int) units, workers);
        return Optional.of(new Stripes(mTiles, nTiles, kBlocks, switch (cut) {
            case EVEN -> even;
            case WHOLE_STAGES -> Ceil.div(even, stageDepth) * stageDepth;
        }));
    }

    @Override
    public int unitsPerStart() {
        return unitsPerBlock;
    }

    public int totalUnits() {
        return tiles() * kBlocks;
    }

    @Override
    public int grid() {
        return (totalUnits() + unitsPerBlock - 1) / unitsPerBlock;
    }

    /** First block that works on a tile. */
    public int firstBlock(int tile) {
        return tile * kBlocks / unitsPerBlock;
    }

    /** Last block that works on a tile. */
    public int lastBlock(int tile) {
        return ((tile + 1) * kBlocks - 1) / unitsPerBlock;
    }

    /** Blocks that work on a tile: what its counter reaches. */
    public int arrivals(int tile) {
        return lastBlock(tile) - firstBlock(tile) + 1;
    }

    /** Workspace slot in which {@code block} leaves its part of a tile that several blocks share. */
    public int slot(int block, int tile) {
        return 2 * block + (block == firstBlock(tile) ? 1 : 0);
    }

    /** What one block does, in order. */
    public List<Portion> portions(int block) {
        int unit = block * unitsPerBlock;
        int end = Math.min(unit + unitsPerBlock, totalUnits());
        List<Portion> portions = new ArrayList<>();
        while (unit < end) {
            int tile = unit / kBlocks;
            int first = unit - tile * kBlocks;
            int stop = Math.min(kBlocks, first + end - unit);
            boolean whole = first == 0 && stop == kBlocks;
            portions.add(new Portion(tile, first, stop, whole ? NO_SLOT : 2 * block + (first == 0 ? 1 : 0)));
            unit += stop - first;
        }
        return portions;
    }

    /**
     * The most blocks that can share one tile: 1 if no tile is shared. Tiles begin at multiples of {@code gcd(kBlocks,
     * unitsPerBlock)} inside a stripe, and the one that begins last in its stripe meets the most blocks; exact if there are tiles
     * enough to meet it.
     */
    public int mostArrivals() {
        int latestBegin = unitsPerBlock - gcd(kBlocks, unitsPerBlock);
        return Math.min(grid(), (int) (((long) latestBegin + kBlocks - 1) / unitsPerBlock) + 1);
    }

    /** The most partial tiles that one block leaves behind: 0, 1 or 2. */
    public int mostPartialTiles() {
        if (mostArrivals() == 1) {
            return 0;
        }
        return kBlocks % unitsPerBlock == 0 ? 1 : 2;
    }

    /**
     * How many units a block works off, on average, between the readings of the same weights for two row tiles below one another. They lie
     * {@code kBlocks} units apart, so {@code kBlocks % unitsPerBlock} apart in the blocks' stripes, one way round or the other.
     */
    double unitsBetweenReadings() {
        double apart = kBlocks % unitsPerBlock;
        return 2 * apart * (unitsPerBlock - apart) / unitsPerBlock;
    }

    /** The most pipeline stages that a block walks through: a stripe that does not begin and end on whole stages takes one more. */
    int mostStages(int stageDepth) {
        boolean wholeStages = unitsPerBlock % stageDepth == 0 && kBlocks % stageDepth == 0;
        return Ceil.div(unitsPerBlock, stageDepth) + (wholeStages ? 0 : 1);
    }

    /**
     * Device memory for the partial tiles and their counters.
     *
     * @param tileFloats of a partial tile
     * @param tileCounters that count its arrivals
     */
    WorkspaceSize workspace(long tileFloats, int tileCounters) {
        long partials = mostArrivals() == 1 ? 0 : 2L * grid() * tileFloats * Float.BYTES;
        return new WorkspaceSize(partials, (long) tiles() * tileCounters * Integer.BYTES);
    }

    private static int gcd(int a, int b) {
        return b == 0 ? a : gcd(b, a % b);
    }

    /** One line per tile: which block computes which blocks of its k. For small partitions. */
    public String drawing() {
        StringBuilder text = new StringBuilder();
        for (int tile = 0; tile < tiles(); tile++) {
            text.append(String.format(Locale.ROOT, "tile %3d (n %d, m %d):", tile, tile / mTiles, tile % mTiles));
            for (int kBlock = 0; kBlock < kBlocks; kBlock++) {
                text.append(String.format(Locale.ROOT, " %3d", (tile * kBlocks + kBlock) / unitsPerBlock));
            }
            text.append('\n');
        }
        return text.toString();
    }
}
