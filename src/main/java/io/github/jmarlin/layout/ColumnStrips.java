package io.github.jmarlin.layout;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;

/**
 * A strip of weights whose codes run down columns, as GGUF files have them. In the {@linkplain StripedLayout striped layout} eight
 * neighbours of a column are the bytes of four lanes: they become blocks without becoming rows first. Not of sparse weights, and
 * without zero points.
 */
public abstract class ColumnStrips implements StripSource.Strip {
    private static final int OCTET = 8;

    private final StripedLayout layout;
    private final int firstColumn;
    private final int rowsAtOnce;

    /**
     * Strip {@code index} of a layout.
     *
     * @param rowsAtOnce how many rows {@link #octets} gives, a multiple of 64
     */
    protected ColumnStrips(StripedLayout layout, int index, int rowsAtOnce) {
        if (layout.form().isSparse() || layout.form().hasZeroPoints()) {
            throw new IllegalArgumentException(layout.form() + " does not lie in columns: neither sparse nor zero points expected");
        }
        this.layout = layout;
        this.firstColumn = index * StripedLayout.BLOCK;
        this.rowsAtOnce = rowsAtOnce;
    }

    /**
     * Codes of rows {@code [row, row + rowsAtOnce)} of all columns of the strip that exist, of the others and beyond k zero.
     *
     * @param row a multiple of rowsAtOnce
     * @param octets {@code [64][rowsAtOnce / 8]}, zero where nothing was ever written; code i in byte i
     */
    protected abstract void octets(int row, long[] octets);

    @Override
    public final void pack(ByteBuffer target) {
        BlockCodes blocks = BlockCodes.of(layout.form().code());
        int stride = rowsAtOnce / OCTET;
        int blocksAtOnce = rowsAtOnce / StripedLayout.BLOCK;
        long[] octets = new long[StripedLayout.BLOCK * stride];
        long[] packed = new long[layout.form().blockBytes() / Long.BYTES];
        LongBuffer longs = target.slice().order(ByteOrder.LITTLE_ENDIAN).asLongBuffer();
        for (int block = 0; block < layout.kBlocks(); block++) {
            if (block % blocksAtOnce == 0) {
                octets(block * StripedLayout.BLOCK, octets);
            }
            blocks.packColumns(octets, block % blocksAtOnce * OCTET, stride, packed);
            longs.put(packed);
        }
    }

    @Override
    public final int zeroPoint(int group, int column) {
        return layout.form().code().middle();
    }

    @Override
    public final boolean isZero(int group, int column) {
        int stride = rowsAtOnce / OCTET;
        long[] octets = new long[StripedLayout.BLOCK * stride];
        int end = (int) Math.min(layout.k(), (group + 1L) * layout.rowsPerGroup());
        int read = -1;
        for (int row = group * layout.rowsPerGroup(); row < end; row++) {
            if (row / rowsAtOnce != read) {
                read = row / rowsAtOnce;
                octets(read * rowsAtOnce, octets);
            }
            long octet = octets[(column - firstColumn) * stride + row % rowsAtOnce / OCTET];
            if (layout.form().code().value((int) (octet >>> row % OCTET * Byte.SIZE & 0xff)) != zeroPoint(group, column)) {
                return false;
            }
        }
        return !layout.form().hasFloatZeros();
    }
}
