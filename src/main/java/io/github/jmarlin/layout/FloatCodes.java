package io.github.jmarlin.layout;

import java.nio.ByteBuffer;

/**
 * Blocks of {@linkplain WeightForm.Code#E2M1 4-bit floats}: those of integers, with the bits of the four codes of each 16-bit half of
 * a word in another order, which brings a kernel's eight codes with few instructions to where a number of 16 bits has its exponent.
 *
 * <pre>
 *   Code i = 2 p + h of a half: its magnitude (exponent and mantissa) at bits 3 i to 3 i + 2, its sign at bit 13, 12, 14, 15.
 *
 *      15   14   13   12   11     9 8      6 5      3 2      0
 *    +----+----+----+----+--------+--------+--------+--------+
 *    | s3 | s2 | s0 | s1 |  |c3|  |  |c2|  |  |c1|  |  |c0|  |
 *    +----+----+----+----+--------+--------+--------+--------+
 * </pre>
 */
final class FloatCodes extends NibbleCodes {
    private static final int[] SIGN_BIT = {13, 12, 14, 15};
    private static final int MAGNITUDE = 7;
    private static final int MAGNITUDE_BITS = 3;
    /** A bit of both halves of a word. */
    private static final int BOTH = 0x00010001;

    @Override
    void pack(long[] rows, ByteBuffer target, int blockAt) {
        super.pack(rows, target, blockAt);
        reorder(target, blockAt);
    }

    @Override
    void packColumns(long[] octets, int from, int stride, ByteBuffer target, int blockAt) {
        super.packColumns(octets, from, stride, target, blockAt);
        reorder(target, blockAt);
    }

    private static void reorder(ByteBuffer target, int blockAt) {
        for (int at = blockAt; at < blockAt + StripedLayout.BLOCK_BYTES; at += Integer.BYTES) {
            target.putInt(at, fromNibbles(target.getInt(at)));
        }
    }

    @Override
    void unpack(ByteBuffer source, int blockAt, long[] rows) {
        ByteBuffer nibbles = ByteBuffer.allocate(StripedLayout.BLOCK_BYTES).order(source.order());
        for (int at = 0; at < StripedLayout.BLOCK_BYTES; at += Integer.BYTES) {
            nibbles.putInt(at, toNibbles(source.getInt(blockAt + at)));
        }
        super.unpack(nibbles, 0, rows);
    }

    /** A word whose halves hold code i at bits 4 i to 4 i + 3, in the order above. */
    private static int fromNibbles(int word) {
        int result = 0;
        for (int i = 0; i < SIGN_BIT.length; i++) {
            result |= (word >>> 4 * i & MAGNITUDE * BOTH) << MAGNITUDE_BITS * i | (word >>> 4 * i + MAGNITUDE_BITS & BOTH) << SIGN_BIT[i];
        }
        return result;
    }

    /** {@link #fromNibbles} backwards. */
    static int toNibbles(int word) {
        int result = 0;
        for (int i = 0; i < SIGN_BIT.length; i++) {
            result |= (word >>> MAGNITUDE_BITS * i & MAGNITUDE * BOTH) << 4 * i | (word >>> SIGN_BIT[i] & BOTH) << 4 * i + MAGNITUDE_BITS;
        }
        return result;
    }
}
