package io.github.jmarlin.layout;

import java.nio.ByteBuffer;

/** Puts the codes of a block of 64 x 64 where {@link StripedLayout} wants them. Rows are longs as {@link BlockRows} has them. */
abstract class BlockCodes {
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
     * @param blockAt where the block begins in {@code target}
     */
    abstract void packColumns(long[] octets, int from, int stride, ByteBuffer target, int blockAt);

    /**
     * Puts two octets where four lanes have one word each: rows 2 t and 2 t + 1 of both are lane t's.
     * <pre>
     *   x0 x1 x2 x3 ... , y0 y1 y2 y3 ...   --&gt;   x0 y0 x1 y1 | x2 y2 x3 y3 | x4 y4 x5 y5 | x6 y6 x7 y7
     * </pre>
     */
    static void putInterleaved(long x, long y, ByteBuffer target, int at) {
        long even = evenBytes(x, y);
        long odd = oddBytes(x, y);
        long lanes02 = evenShorts(even, odd);
        long lanes13 = oddShorts(even, odd);
        target.putInt(at, (int) lanes02);
        target.putInt(at + StripedLayout.LANE_BYTES, (int) lanes13);
        target.putInt(at + 2 * StripedLayout.LANE_BYTES, (int) (lanes02 >>> 32));
        target.putInt(at + 3 * StripedLayout.LANE_BYTES, (int) (lanes13 >>> 32));
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
