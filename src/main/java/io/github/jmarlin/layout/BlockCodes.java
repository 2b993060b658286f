package io.github.jmarlin.layout;

import java.nio.ByteBuffer;

/** Puts the codes of a block of 64 x 64 where {@link StripedLayout} wants them. Rows are longs as {@link BlockRows} has them. */
abstract class BlockCodes {
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
}
