package io.github.jmarlin.layout;

import io.github.jmarlin.QuantizedMatrix;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * Rows of {@linkplain WeightForm.Sparsity#TWO_OF_FOUR sparse} weights to the two of every four that are stored, and back. Rows are longs of
 * sixteen codes, as {@link StripedPacker} has them; which two are stored goes to the place that {@link StripedLayout#placesOffset} says.
 */
final class SparseRows {
    private static final int ROW_LONGS = StripedLayout.BLOCK / 16;
    private static final int QUADS = 2 * StripedLayout.BLOCK / StripedLayout.QUAD;
    private static final long ALL_ZERO_WEIGHTS = 0x8888888888888888L;

    /** By the set of a quad's rows that are not 0: first | second << 2 of two rows with all of them, the first such two; 0 if there are more. */
    private static final byte[] PLACES = new byte[16];

    static {
        for (int second = 3; second > 0; second--) {
            for (int first = second - 1; first >= 0; first--) {
                for (int subset = 0; subset < 4; subset++) {
                    PLACES[(subset & 1) << first | subset >> 1 << second] = (byte) (first | second << 2);
                }
            }
        }
    }

    private SparseRows() {
    }

    /**
     * Compresses a block.
     *
     * @param rows [128][4], of which those that exist are read
     * @param stored [64][4]
     * @param metadata of the block begins at {@code at}
     * @throws IllegalArgumentException if more than two weights of a quad are not 0
     */
    static void compress(StripedLayout layout, int strip, int block, long[] rows, long[] stored, ByteBuffer metadata, int at) {
        int first = strip * StripedLayout.BLOCK;
        int columns = Math.min(StripedLayout.BLOCK, layout.n() - first);
        int present = Math.min(rows.length / ROW_LONGS, layout.k() - block * layout.form().blockRows());
        for (int i = present * ROW_LONGS; i < rows.length; i++) {
            rows[i] = ALL_ZERO_WEIGHTS;
        }
        for (int quad = 0; quad < QUADS; quad++) {
            for (int i = 0; i < ROW_LONGS; i++) {
                long one = 0;
                long two = 0;
                for (int c = 0; c < 16; c++) {
                    int column = 16 * i + c;
                    int places = PLACES[0];
                    int codeOne = QuantizedMatrix.SYMMETRIC_ZERO_POINT;
                    int codeTwo = QuantizedMatrix.SYMMETRIC_ZERO_POINT;
                    if (column < columns) {
                        int at0 = quad * StripedLayout.QUAD * ROW_LONGS + i;
                        int nonzero = 0;
                        for (int row = 0; row < StripedLayout.QUAD; row++) {
                            nonzero |= code(rows, at0 + row * ROW_LONGS, c) == QuantizedMatrix.SYMMETRIC_ZERO_POINT ? 0 : 1 << row;
                        }
                        places = PLACES[nonzero];
                        if (places == 0) {
                            throw tooMany(layout, block, quad, first + column, nonzero);
                        }
                        codeOne = code(rows, at0 + places % 4 * ROW_LONGS, c);
                        codeTwo = code(rows, at0 + places / 4 * ROW_LONGS, c);
                    }
                    one |= (long) codeOne << 4 * c;
                    two |= (long) codeTwo << 4 * c;
                    int place = at + StripedLayout.placesInBlock(quad, column);
                    int shift = StripedLayout.placesShift(quad);
                    metadata.put(place, (byte) (metadata.get(place) & 0xf0 >>> shift | places << shift));
                }
                stored[StripedLayout.STORED * quad * ROW_LONGS + i] = one;
                stored[(StripedLayout.STORED * quad + 1) * ROW_LONGS + i] = two;
            }
        }
    }

    /** {@link #compress} backwards. Places that are not in order give whatever they name. */
    static void expand(ByteBuffer metadata, int at, long[] stored, long[] rows) {
        Arrays.fill(rows, ALL_ZERO_WEIGHTS);
        for (int quad = 0; quad < QUADS; quad++) {
            for (int i = 0; i < ROW_LONGS; i++) {
                for (int c = 0; c < 16; c++) {
                    int places = metadata.get(at + StripedLayout.placesInBlock(quad, 16 * i + c)) >>> StripedLayout.placesShift(quad) & 15;
                    for (int which = 0; which < StripedLayout.STORED; which++) {
                        int row = StripedLayout.QUAD * quad + (places >>> 2 * which & 3);
                        long code = code(stored, (StripedLayout.STORED * quad + which) * ROW_LONGS + i, c);
                        int to = row * ROW_LONGS + i;
                        rows[to] = rows[to] & ~(15L << 4 * c) | code << 4 * c;
                    }
                }
            }
        }
    }

    private static int code(long[] rows, int at, int column) {
        return (int) (rows[at] >>> 4 * column) & QuantizedMatrix.MAX_CODE;
    }

    private static IllegalArgumentException tooMany(StripedLayout layout, int block, int quad, int column, int nonzero) {
        int row = block * layout.form().blockRows() + quad * StripedLayout.QUAD;
        return new IllegalArgumentException("column " + column + ", rows " + row + " to " + (row + StripedLayout.QUAD - 1) + ": "
                + Integer.bitCount(nonzero) + " weights are not 0, 2:4 sparsity stores two of four");
    }
}
