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
    /** A bit of all four halves of two words. */
    private static final long ALL = 0x0001000100010001L;

    @Override
    void pack(long[] rows, ByteBuffer target, int blockAt) {
        super.pack(rows, target, blockAt);
        for (int at = blockAt; at < blockAt + StripedLayout.BLOCK_BYTES; at += Long.BYTES) {
            target.putLong(at, fromNibbles(target.getLong(at)));
        }
    }

    @Override
    void packColumns(long[] octets, int from, int stride, long[] block) {
        super.packColumns(octets, from, stride, block);
        for (int i = 0; i < block.length; i++) {
            block[i] = fromNibbles(block[i]);
        }
    }

    @Override
    void unpack(ByteBuffer source, int blockAt, long[] rows) {
        ByteBuffer nibbles = ByteBuffer.allocate(StripedLayout.BLOCK_BYTES).order(source.order());
        for (int at = 0; at < StripedLayout.BLOCK_BYTES; at += Long.BYTES) {
            nibbles.putLong(at, toNibbles(source.getLong(blockAt + at)));
        }
        super.unpack(nibbles, 0, rows);
    }

    /** Two words whose halves hold code i at bits 4 i to 4 i + 3, in the order above. */
    private static long fromNibbles(long word) {
        long result = 0;
        for (int i = 0; i < SIGN_BIT.length; i++) {
            result |= (word >>> 4 * i & MAGNITUDE * ALL) << MAGNITUDE_BITS * i | (word >>> 4 * i + MAGNITUDE_BITS & ALL) << SIGN_BIT[i];
        }
        return result;
    }

    /** {@link #fromNibbles} backwards. */
    static long toNibbles(long word) {
        long result = 0;
        for (int i = 0; i < SIGN_BIT.length; i++) {
            result |= (word >>> MAGNITUDE_BITS * i & MAGNITUDE * ALL) << 4 * i | (word >>> SIGN_BIT[i] & ALL) << 4 * i + MAGNITUDE_BITS;
        }
        return result;
    }
}
