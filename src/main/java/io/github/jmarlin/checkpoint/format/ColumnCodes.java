package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.Words;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

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
    private static final int OCTET = 8;
    private static final VarHandle WORD = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private final Tensor codes;
    private final int bits;
    private final long stride;
    private final long flip;
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
        this.flip = flip * 0x0101010101010101L;
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

    /** Squares of eight columns and eight rows are turned over at once. */
    private void fillBytes(QuantizedMatrix.Builder matrix, int from, int to) {
        int width = to - from;
        long[][][] rows = new long[BYTES_AT_ONCE / OCTET][OCTET][(width + OCTET - 1) / OCTET];
        byte[][] lines = new byte[OCTET][BYTES_AT_ONCE];
        long[] square = new long[OCTET];
        for (int first = 0; first < k; first += BYTES_AT_ONCE) {
            int count = Math.min(BYTES_AT_ONCE, k - first);
            for (int column = 0; column < width; column += OCTET) {
                for (int j = 0; j < Math.min(OCTET, width - column); j++) {
                    codes.slice((from + column + j) * stride + first, count).get(lines[j], 0, count);
                }
                for (int i = 0; i < count; i += OCTET) {
                    for (int j = 0; j < OCTET; j++) {
                        square[j] = (long) WORD.get(lines[j], i) ^ flip;
                    }
                    Octets.transpose(square, rows[i / OCTET], column / OCTET);
                }
            }
            for (int i = 0; i < count; i++) {
                put(matrix.codes().slice((long) target(first + i) * width, width), rows[i / OCTET][i % OCTET]);
            }
        }
    }

    /** Writes as many bytes of a row as there is room for. */
    private static void put(ByteBuffer target, long[] row) {
        int whole = target.capacity() / OCTET;
        target.asLongBuffer().put(row, 0, whole);
        for (int column = whole * OCTET; column < target.capacity(); column++) {
            target.put(column, (byte) (row[whole] >>> Byte.SIZE * (column % OCTET)));
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
