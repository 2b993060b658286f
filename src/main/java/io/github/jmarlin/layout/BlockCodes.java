package io.github.jmarlin.layout;

import java.nio.ByteBuffer;

/** Puts the codes of a block of 64 x 64 where {@link StripedLayout} wants them. Rows are longs as {@link BlockRows} has them. */
abstract class BlockCodes {
    static final int LANE_LONGS = StripedLayout.LANE_BYTES / Long.BYTES;
    /** Longs between r and r + 1, four lanes apart. */
    static final int R_LONGS = 4 * LANE_LONGS;
    static final int PIECE_LONGS = StripedLayout.PIECE_BYTES / Long.BYTES;

    private static final long LOW_INT = 0xffffffffL;
    private static final long EVEN_BYTES = 0x00ff00ff00ff00ffL;
    private static final long EVEN_SHORTS = 0x0000ffff0000ffffL;

    private static final BlockCodes NIBBLES = new NibbleCodes();
    private static final BlockCodes BYTES = new ByteCodes();
    private static final BlockCodes FLOATS = new FloatCodes();

    static BlockCodes of(WeightForm.Code code) {
        return switch (code) {
            case INT4 -> NIBBLES;
            case INT8 -> BYTES;
            case E2M1 -> FLOATS;
        };
    }

    /**
     * Packs one block.
     *
     * @param rows {@code [64][longs]}
     * @param blockAt where the block begins in {@code target}
     */
    abstract void pack(long[] rows, ByteBuffer target, int blockAt);

    /** {@link #pack} backwards. */
    abstract void unpack(ByteBuffer source, int blockAt, long[] rows);

    /**
     * Packs one block of codes that run down its columns.
     *
     * @param octets codes of rows 8 i to 8 i + 7 of a column, a byte each, at {@code from + column * stride + i}
     * @param block filled with the block's bytes, little-endian
     */
    abstract void packColumns(long[] octets, int from, int stride, long[] block);

    /**
     * Puts four octets where four lanes have two words each: rows 2 t and 2 t + 1 of x and y are lane t's word, of z and w its next.
     * <pre>
     *   x0 x1 x2 x3 ... , y0 y1 y2 y3 ...   --&gt;   x0 y0 x1 y1 | x2 y2 x3 y3 | x4 y4 x5 y5 | x6 y6 x7 y7
     * </pre>
     *
     * @param at the long of lane 0
     */
    static void putInterleaved(long x, long y, long z, long w, long[] block, int at) {
        long lanes02 = evenShorts(evenBytes(x, y), oddBytes(x, y));
        long lanes13 = oddShorts(evenBytes(x, y), oddBytes(x, y));
        long next02 = evenShorts(evenBytes(z, w), oddBytes(z, w));
        long next13 = oddShorts(evenBytes(z, w), oddBytes(z, w));
        block[at] = lanes02 & LOW_INT | next02 << Integer.SIZE;
        block[at + LANE_LONGS] = lanes13 & LOW_INT | next13 << Integer.SIZE;
        block[at + 2 * LANE_LONGS] = lanes02 >>> Integer.SIZE | next02 & ~LOW_INT;
        block[at + 3 * LANE_LONGS] = lanes13 >>> Integer.SIZE | next13 & ~LOW_INT;
    }

    /** Bytes 0, 2, 4, 6 of x and y, alternating. */
    static long evenBytes(long x, long y) {
        return x & EVEN_BYTES | (y & EVEN_BYTES) << 8;
    }

    /** Bytes 1, 3, 5, 7 of x and y, alternating. */
    static long oddBytes(long x, long y) {
        return x >>> 8 & EVEN_BYTES | y & ~EVEN_BYTES;
    }

    static long evenShorts(long x, long y) {
        return x & EVEN_SHORTS | (y & EVEN_SHORTS) << 16;
    }

    static long oddShorts(long x, long y) {
        return x >>> 16 & EVEN_SHORTS | y & ~EVEN_SHORTS;
    }
}
