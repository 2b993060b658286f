package io.github.jmarlin.layout;

import java.nio.ByteBuffer;

/**
 * Blocks of 4-bit codes. A byte of the row-major codes holds the same two codes as a byte of the packed ones, so a block is a
 * permutation of bytes. Of four rows 16 j + 2 t + {0, 8, 1, 9}, the bytes of one pair of columns are one word of the layout: a 4 x 4
 * transposition of bytes, done on longs that hold eight pairs of columns side by side.
 */
class NibbleCodes extends BlockCodes {
    private static final int ROW_LONGS = BlockRows.longs(WeightForm.Code.INT4);
    /** Bytes between the words of r and r + 1, four lanes apart. */
    private static final int R_STEP = 4 * StripedLayout.LANE_BYTES;

    @Override
    void pack(long[] rows, ByteBuffer target, int blockAt) {
        for (int j = 0; j < 4; j++) {
            for (int t = 0; t < 4; t++) {
                int row = (16 * j + 2 * t) * ROW_LONGS;
                for (int i = 0; i < ROW_LONGS; i++) {
                    long e0p0 = rows[row + i];
                    long e0p1 = rows[row + i + 8 * ROW_LONGS];
                    long e1p0 = rows[row + i + ROW_LONGS];
                    long e1p1 = rows[row + i + 9 * ROW_LONGS];
                    long e0Even = evenBytes(e0p0, e0p1);
                    long e0Odd = oddBytes(e0p0, e0p1);
                    long e1Even = evenBytes(e1p0, e1p1);
                    long e1Odd = oddBytes(e1p0, e1p1);
                    int at = blockAt + i * 2 * R_STEP + t * StripedLayout.LANE_BYTES + 4 * j;
                    putWords(target, at, evenShorts(e0Even, e1Even));
                    putWords(target, at + StripedLayout.PIECE_BYTES, evenShorts(e0Odd, e1Odd));
                    putWords(target, at + 2 * StripedLayout.PIECE_BYTES, oddShorts(e0Even, e1Even));
                    putWords(target, at + 3 * StripedLayout.PIECE_BYTES, oddShorts(e0Odd, e1Odd));
                }
            }
        }
    }

    /** {@link #pack} backwards: a transposition is its own inverse. */
    @Override
    void unpack(ByteBuffer source, int blockAt, long[] rows) {
        for (int j = 0; j < 4; j++) {
            for (int t = 0; t < 4; t++) {
                int row = (16 * j + 2 * t) * ROW_LONGS;
                for (int i = 0; i < ROW_LONGS; i++) {
                    int at = blockAt + i * 2 * R_STEP + t * StripedLayout.LANE_BYTES + 4 * j;
                    long s0 = getWords(source, at);
                    long s1 = getWords(source, at + StripedLayout.PIECE_BYTES);
                    long s2 = getWords(source, at + 2 * StripedLayout.PIECE_BYTES);
                    long s3 = getWords(source, at + 3 * StripedLayout.PIECE_BYTES);
                    long e0Even = evenShorts(s0, s2);
                    long e1Even = oddShorts(s0, s2);
                    long e0Odd = evenShorts(s1, s3);
                    long e1Odd = oddShorts(s1, s3);
                    rows[row + i] = evenBytes(e0Even, e0Odd);
                    rows[row + i + 8 * ROW_LONGS] = oddBytes(e0Even, e0Odd);
                    rows[row + i + ROW_LONGS] = evenBytes(e1Even, e1Odd);
                    rows[row + i + 9 * ROW_LONGS] = oddBytes(e1Even, e1Odd);
                }
            }
        }
    }

    /** A byte of a word has two columns, its neighbour the rows 8 below: octets of p = 0 and 1, each of a pair of columns. */
    @Override
    void packColumns(long[] octets, int from, int stride, long[] block) {
        for (int s = 0; s < StripedLayout.SUB_BLOCKS; s++) {
            for (int r = 0; r < StripedLayout.BLOCK / 8; r++) {
                int h0 = from + (8 * r + 2 * s) * stride;
                int at = s * PIECE_LONGS + r * R_LONGS;
                putPair(octets, h0, h0 + stride, block, at);
                putPair(octets, h0 + 4, h0 + stride + 4, block, at + 1);
            }
        }
    }

    /** Half a pair of columns: words j and j + 1 of four lanes. */
    private static void putPair(long[] octets, int h0, int h1, long[] block, int at) {
        putInterleaved(octets[h0] | octets[h1] << 4, octets[h0 + 1] | octets[h1 + 1] << 4, octets[h0 + 2] | octets[h1 + 2] << 4,
                octets[h0 + 3] | octets[h1 + 3] << 4, block, at);
    }

    /** Stores the words of an even r and of r + 1. */
    private static void putWords(ByteBuffer target, int at, long words) {
        target.putInt(at, (int) words);
        target.putInt(at + R_STEP, (int) (words >>> 32));
    }

    private static long getWords(ByteBuffer source, int at) {
        return source.getInt(at) & 0xffffffffL | (long) source.getInt(at + R_STEP) << 32;
    }
}
