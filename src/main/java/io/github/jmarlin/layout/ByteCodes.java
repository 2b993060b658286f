package io.github.jmarlin.layout;

import java.nio.ByteBuffer;

/**
 * Blocks of 8-bit codes. A long holds columns 8 r to 8 r + 7 of a row, hence a pair of columns of every sub-block s in its 16 bits
 * from 16 s on; with the pair of the row below, e = 1, above it, that is a word of the layout.
 */
final class ByteCodes extends BlockCodes {
    private static final int ROW_LONGS = BlockRows.longs(WeightForm.Code.INT8);
    private static final int PIECES = 2;
    private static final int SUB_BLOCK_BYTES = PIECES * StripedLayout.PIECE_BYTES;
    /** Bytes between the words of r and r + 1, four lanes apart. */
    private static final int R_STEP = 4 * StripedLayout.LANE_BYTES;
    private static final long LOW_SHORT = 0xffff;

    @Override
    void pack(long[] rows, ByteBuffer target, int blockAt) {
        for (int pair = 0; pair < StripedLayout.BLOCK / 2; pair++) {
            int at = blockAt + wordOffset(pair);
            for (int r = 0; r < ROW_LONGS; r++) {
                long e0 = rows[2 * pair * ROW_LONGS + r];
                long e1 = rows[(2 * pair + 1) * ROW_LONGS + r];
                for (int s = 0; s < StripedLayout.SUB_BLOCKS; s++) {
                    target.putInt(at + s * SUB_BLOCK_BYTES + r * R_STEP, (int) (e0 >>> 16 * s & LOW_SHORT | (e1 >>> 16 * s & LOW_SHORT) << 16));
                }
            }
        }
    }

    @Override
    void unpack(ByteBuffer source, int blockAt, long[] rows) {
        for (int pair = 0; pair < StripedLayout.BLOCK / 2; pair++) {
            int at = blockAt + wordOffset(pair);
            for (int r = 0; r < ROW_LONGS; r++) {
                long e0 = 0;
                long e1 = 0;
                for (int s = 0; s < StripedLayout.SUB_BLOCKS; s++) {
                    long word = source.getInt(at + s * SUB_BLOCK_BYTES + r * R_STEP);
                    e0 |= (word & LOW_SHORT) << 16 * s;
                    e1 |= (word >>> 16 & LOW_SHORT) << 16 * s;
                }
                rows[2 * pair * ROW_LONGS + r] = e0;
                rows[(2 * pair + 1) * ROW_LONGS + r] = e1;
            }
        }
    }

    @Override
    void packColumns(long[] octets, int from, int stride, long[] block) {
        for (int s = 0; s < StripedLayout.SUB_BLOCKS; s++) {
            for (int r = 0; r < StripedLayout.BLOCK / 8; r++) {
                int h0 = from + (8 * r + 2 * s) * stride;
                int at = s * PIECES * PIECE_LONGS + r * R_LONGS;
                for (int piece = 0; piece < PIECES; piece++) {
                    putPair(octets, h0 + 4 * piece, h0 + stride + 4 * piece, block, at + piece * PIECE_LONGS);
                }
            }
        }
    }

    /** Of a pair of columns the four words of a piece, of four lanes. */
    private static void putPair(long[] octets, int h0, int h1, long[] block, int at) {
        putInterleaved(octets[h0], octets[h1], octets[h0 + 1], octets[h1 + 1], block, at);
        putInterleaved(octets[h0 + 2], octets[h1 + 2], octets[h0 + 3], octets[h1 + 3], block, at + 1);
    }

    /** Where in sub-block 0, r = 0, the word of rows 2 pair and 2 pair + 1 lies: pair = 8 j + 4 p + t. */
    private static int wordOffset(int pair) {
        int t = pair % 4;
        int word = pair / 4;      // 2 j + p
        return word / 4 * StripedLayout.PIECE_BYTES + t * StripedLayout.LANE_BYTES + word % 4 * Integer.BYTES;
    }
}
