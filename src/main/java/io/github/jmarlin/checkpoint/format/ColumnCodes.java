package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.Words;
import java.nio.ByteBuffer;

/**
 * Codes that lie along k, a row of bytes for each out-feature, the lower nibble of a byte first: turned into the rows of a matrix.
 *
 * <pre>
 *   file    [n][stride]      code of (row i, column j): bits b i .. b i + b - 1 of row j, b = 4 or 8
 *   matrix  [k][...]         a row of all columns
 * </pre>
 */
final class ColumnCodes {
    /** Bytes read along k before turning to the next out-feature: one cache line, and as many rows as it has codes. */
    private static final int BYTES_AT_ONCE = 64;

    private final Tensor codes;
    private final int bits;
    private final long stride;
    private final int flip;
    private final int k;
    private final int[] rowOf;

    /**
     * Codes of a tensor of rank 2, a row of whole words for each out-feature if they have 4 bits.
     *
     * @param bits 4 or 8
     * @param flip what a byte is xored with: 0x80 turns two's complement into code - 128
     * @param inputOrder the file's row of each row of the matrix, or null
     */
    ColumnCodes(Tensor codes, int bits, int flip, int k, int[] inputOrder) {
        this.codes = codes;
        this.bits = bits;
        this.stride = codes.bytes() / codes.shape().get(0);
        this.flip = flip;
        this.k = k;
        this.rowOf = inputOrder == null ? null : InputOrder.inverse(inputOrder);
    }

    /** Writes columns {@code [from, to)} of the file into all columns of the matrix. */
    void fill(QuantizedMatrix.Builder matrix, int from, int to) {
        if (bits == Byte.SIZE) {
            fillBytes(matrix, from, to);
        } else {
            fillNibbles(matrix, from, to);
        }
    }

    private int target(int row) {
        return rowOf == null ? row : rowOf[row];
    }

    private void fillBytes(QuantizedMatrix.Builder matrix, int from, int to) {
        byte[][] rows = new byte[BYTES_AT_ONCE][to - from];
        for (int first = 0; first < k; first += BYTES_AT_ONCE) {
            int count = Math.min(BYTES_AT_ONCE, k - first);
            for (int column = from; column < to; column++) {
                ByteBuffer line = codes.slice(column * stride + first, count);
                for (int i = 0; i < count; i++) {
                    rows[i][column - from] = (byte) (line.get(i) ^ flip);
                }
            }
            for (int i = 0; i < count; i++) {
                matrix.codes().copyFrom((long) target(first + i) * (to - from), ByteBuffer.wrap(rows[i]));
            }
        }
    }

    private void fillNibbles(QuantizedMatrix.Builder matrix, int from, int to) {
        int wordsAtOnce = BYTES_AT_ONCE / Integer.BYTES;
        int width = to - from;
        CodeRows target = new CodeRows(matrix, width);
        int wordsPerColumn = Math.toIntExact(stride / Integer.BYTES);
        int[][] rows = target.buffers(wordsAtOnce * Nibbles.PER_WORD);
        for (int word = 0; word < wordsPerColumn; word += wordsAtOnce) {
            int count = Math.min(wordsAtOnce, wordsPerColumn - word);
            for (int column = 0; column < width; column += Nibbles.PER_WORD) {
                transpose(from + column, Math.min(Nibbles.PER_WORD, width - column), word, count, rows, column / Nibbles.PER_WORD);
            }
            int first = word * Nibbles.PER_WORD;
            for (int i = 0; i < count * Nibbles.PER_WORD && first + i < k; i++) {
                target.put(target(first + i), rows[i]);
            }
        }
    }

    /** Turns {@code count} words of up to eight out-features into rows of words along n. */
    private void transpose(int column, int columns, int word, int count, int[][] rows, int at) {
        int[] eight = new int[Nibbles.PER_WORD];
        int[][] lines = new int[Nibbles.PER_WORD][count];
        for (int i = 0; i < columns; i++) {
            Words.read(codes, (column + i) * (stride / Integer.BYTES) + word, lines[i]);
        }
        for (int w = 0; w < count; w++) {
            for (int i = 0; i < Nibbles.PER_WORD; i++) {
                eight[i] = lines[i][w];
            }
            Nibbles.transpose(eight, 0, rows, w * Nibbles.PER_WORD, at);
        }
    }
}
