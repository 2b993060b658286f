package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.Words;

/**
 * 4-bit codes eight to a 32-bit word. Nibble i of a word is bits 4 i to 4 i + 3. The target form of all functions is one matrix
 * row: nibble i is the column i of eight, as {@link io.github.jmarlin.QuantizedMatrix} keeps its rows.
 */
final class Nibbles {
    /** Nibbles of a word. */
    static final int PER_WORD = 8;
    private static final int EVEN = 0x0f0f0f0f;
    private static final int ODD = 0xf0f0f0f0;

    private Nibbles() {
    }

    /** Words that hold {@code count} nibbles. */
    static long words(long count) {
        return (count + PER_WORD - 1) / PER_WORD;
    }

    /** Nibble {@code index} of a word. */
    static int get(int word, int index) {
        return word >>> 4 * index & 0xf;
    }

    /**
     * Transposes eight words: nibble i of {@code rows[i'][at]} becomes nibble i' of {@code columns[from + i]}, that is, words
     * that run down a column become words that run along a row.
     *
     * <pre>
     *   1. pair neighbours: X_p = even nibbles of words 2p and 2p + 1, Y_p = odd ones; byte t of X_p is row 2t, columns 2p, 2p + 1
     *   2. transpose the bytes of X_0..X_3 (rows 0, 2, 4, 6) and of Y_0..Y_3 (rows 1, 3, 5, 7)
     * </pre>
     */
    static void transpose(int[] columns, int from, int[][] rows, int firstRow, int at) {
        int x0 = even(columns[from], columns[from + 1]);
        int x1 = even(columns[from + 2], columns[from + 3]);
        int x2 = even(columns[from + 4], columns[from + 5]);
        int x3 = even(columns[from + 6], columns[from + 7]);
        int y0 = odd(columns[from], columns[from + 1]);
        int y1 = odd(columns[from + 2], columns[from + 3]);
        int y2 = odd(columns[from + 4], columns[from + 5]);
        int y3 = odd(columns[from + 6], columns[from + 7]);
        rows[firstRow][at] = byte0(x0, x1, x2, x3);
        rows[firstRow + 1][at] = byte0(y0, y1, y2, y3);
        rows[firstRow + 2][at] = byte0(x0 >>> 8, x1 >>> 8, x2 >>> 8, x3 >>> 8);
        rows[firstRow + 3][at] = byte0(y0 >>> 8, y1 >>> 8, y2 >>> 8, y3 >>> 8);
        rows[firstRow + 4][at] = byte0(x0 >>> 16, x1 >>> 16, x2 >>> 16, x3 >>> 16);
        rows[firstRow + 5][at] = byte0(y0 >>> 16, y1 >>> 16, y2 >>> 16, y3 >>> 16);
        rows[firstRow + 6][at] = byte0(x0 >>> 24, x1 >>> 24, x2 >>> 24, x3 >>> 24);
        rows[firstRow + 7][at] = byte0(y0 >>> 24, y1 >>> 24, y2 >>> 24, y3 >>> 24);
    }

    private static int even(int low, int high) {
        return low & EVEN | (high & EVEN) << 4;
    }

    private static int odd(int low, int high) {
        return low >>> 4 & EVEN | high & ODD;
    }

    private static int byte0(int b0, int b1, int b2, int b3) {
        return b0 & 0xff | (b1 & 0xff) << 8 | (b2 & 0xff) << 16 | b3 << 24;
    }

    /** AWQ's word to natural order: its nibbles 0..7 are the columns 0, 2, 4, 6, 1, 3, 5, 7. */
    static int fromAwq(int word) {
        return spread(word & 0xffff) | spread(word >>> 16) << 4;
    }

    /** Moves nibble i of 16 bits to byte i. */
    private static int spread(int word) {
        int bytes = (word | word << 8) & 0x00ff00ff;
        return (bytes | bytes << 4) & EVEN;
    }
}
