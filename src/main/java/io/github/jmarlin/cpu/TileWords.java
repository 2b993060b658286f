package io.github.jmarlin.cpu;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.StripedLayout;
import java.nio.IntBuffer;

/**
 * The words of a tile of weights, 8 strips wide, transposed block by block: a packed sub-block holds words {@code [r][t][j]}, a row
 * here all words of one (j, t), hence of the same four rows of weights, for one pair of columns after the other.
 */
final class TileWords {
    /** Strips side by side in a tile. */
    static final int STRIPS = 8;
    /** Pairs of columns of a strip. */
    static final int STRIP_PAIRS = StripedLayout.BLOCK / 2;
    /** Pairs of columns of a tile: the length of every inner loop. */
    static final int PAIRS = STRIPS * STRIP_PAIRS;
    /** Rows of words of a block, one for each (j, t). */
    static final int WORD_ROWS = 16;

    private static final int BLOCK_WORDS = StripedLayout.BLOCK_BYTES / Integer.BYTES;
    private static final int SUB_BLOCK_WORDS = StripedLayout.PIECE_BYTES / Integer.BYTES;
    private static final int LANE_WORDS = StripedLayout.LANE_BYTES / Integer.BYTES;

    private final IntBuffer[] strips;
    private final int[] packed = new int[BLOCK_WORDS];
    private final int[][] rows = new int[WORD_ROWS][PAIRS];

    TileWords(PackedWeights weights, int tile) {
        StripedLayout layout = weights.layout();
        strips = new IntBuffer[Math.min(STRIPS, layout.strips() - tile * STRIPS)];
        for (int i = 0; i < strips.length; i++) {
            long offset = layout.blockOffset(tile * STRIPS + i, 0);
            strips[i] = weights.codes().slice(offset, (int) layout.stripCodeBytes()).asIntBuffer();
        }
    }

    /** Reads one block of every strip. */
    void read(int block) {
        for (int strip = 0; strip < strips.length; strip++) {
            strips[strip].get(block * BLOCK_WORDS, packed);
            transpose(packed, rows, strip * STRIP_PAIRS);
        }
    }

    private static void transpose(int[] packed, int[][] rows, int firstPair) {
        for (int t = 0; t < 4; t++) {
            int[] j0 = rows[t];
            int[] j1 = rows[4 + t];
            int[] j2 = rows[8 + t];
            int[] j3 = rows[12 + t];
            for (int s = 0; s < 4; s++) {
                int from = s * SUB_BLOCK_WORDS + t * LANE_WORDS;
                int pair = firstPair + s;
                for (int r = 0; r < 8; r++) {
                    j0[pair] = packed[from];
                    j1[pair] = packed[from + 1];
                    j2[pair] = packed[from + 2];
                    j3[pair] = packed[from + 3];
                    from += 4 * LANE_WORDS;
                    pair += 4;
                }
            }
        }
    }

    /** The words of row 4 j + t: rows 16 j + 2 t + {0, 1, 8, 9} of the block, columns 2 x and 2 x + 1 of the tile at x. */
    int[] row(int wordRow) {
        return rows[wordRow];
    }

    /** The first of the four rows, 16 j + 2 t. */
    static int firstRow(int wordRow) {
        return wordRow / 4 * 16 + wordRow % 4 * 2;
    }
}
