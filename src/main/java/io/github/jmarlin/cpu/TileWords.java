package io.github.jmarlin.cpu;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.StripedLayout;
import java.nio.IntBuffer;

/**
 * The words of a tile of weights, 8 strips wide, transposed block by block: a packed sub-block holds words {@code [r][t][j]}, a row
 * here all words of one (j, t), hence of the same four rows of weights, for one pair of columns after the other. Of 8-bit codes, words
 * {@code [piece][r][t][2 j + p]}, these are two rows, p = 0 and 1.
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

    private static final int PIECE_WORDS = StripedLayout.PIECE_BYTES / Integer.BYTES;
    private static final int LANE_WORDS = StripedLayout.LANE_BYTES / Integer.BYTES;

    private final IntBuffer[] strips;
    /** Pieces of a sub-block, and words of four rows of a pair of columns: 1, or 2 of 8-bit codes. */
    private final int pieces;
    private final int[] packed;
    /** {@code [(4 j + t) * pieces + p][pair]} */
    private final int[][] rows;

    TileWords(PackedWeights weights, int tile) {
        StripedLayout layout = weights.layout();
        pieces = layout.subBlockBytes() / StripedLayout.PIECE_BYTES;
        packed = new int[StripedLayout.SUB_BLOCKS * pieces * PIECE_WORDS];
        rows = new int[WORD_ROWS * pieces][PAIRS];
        strips = new IntBuffer[Math.min(STRIPS, layout.strips() - tile * STRIPS)];
        for (int i = 0; i < strips.length; i++) {
            long offset = layout.blockOffset(tile * STRIPS + i, 0);
            strips[i] = weights.codes().slice(offset, (int) layout.stripCodeBytes()).asIntBuffer();
        }
    }

    /** Reads one block of every strip. */
    void read(int block) {
        for (int strip = 0; strip < strips.length; strip++) {
            strips[strip].get(block * packed.length, packed);
            for (int piece = 0; piece < pieces; piece++) {
                for (int t = 0; t < 4; t++) {
                    transpose(piece, t, strip * STRIP_PAIRS);
                }
            }
        }
    }

    /** Sorts the words of one t of a piece of every sub-block; its four words w are 4 piece + w = j, or 2 j + p. */
    private void transpose(int piece, int t, int firstPair) {
        int[] row0 = rows(4 * piece, t);
        int[] row1 = rows(4 * piece + 1, t);
        int[] row2 = rows(4 * piece + 2, t);
        int[] row3 = rows(4 * piece + 3, t);
        for (int s = 0; s < StripedLayout.SUB_BLOCKS; s++) {
            int from = (s * pieces + piece) * PIECE_WORDS + t * LANE_WORDS;
            int pair = firstPair + s;
            for (int r = 0; r < 8; r++) {
                row0[pair] = packed[from];
                row1[pair] = packed[from + 1];
                row2[pair] = packed[from + 2];
                row3[pair] = packed[from + 3];
                from += 4 * LANE_WORDS;
                pair += 4;
            }
        }
    }

    /** Where a word of a lane goes: number j, or 2 j + p. */
    private int[] rows(int word, int t) {
        return rows[(4 * (word / pieces) + t) * pieces + word % pieces];
    }

    /** The words of row 4 j + t: rows 16 j + 2 t + {0, 1, 8, 9} of the block, columns 2 x and 2 x + 1 of the tile at x. */
    int[] row(int wordRow) {
        return rows[wordRow];
    }

    /** Of 8-bit codes: rows 16 j + 2 t + 8 p + {0, 1} of those. */
    int[] row(int wordRow, int p) {
        return rows[wordRow * pieces + p];
    }

    /** The first of the four rows, 16 j + 2 t. */
    static int firstRow(int wordRow) {
        return wordRow / 4 * 16 + wordRow % 4 * 2;
    }
}
