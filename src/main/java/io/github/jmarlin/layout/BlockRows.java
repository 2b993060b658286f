package io.github.jmarlin.layout;

import io.github.jmarlin.memory.NativeMemory;
import java.util.Arrays;

/**
 * The codes of the 64 columns of a strip in a block's rows, {@code [rows][longs]}: in a row's longs its codes follow each other from
 * the lowest bits on, as they do in the row-major memory of a matrix.
 */
final class BlockRows {
    private BlockRows() {
    }

    /** Longs that hold the codes of one row of a block: 4, or 8 of 8-bit codes. */
    static int longs(WeightForm.Code code) {
        return StripedLayout.BLOCK * code.bits() / Long.SIZE;
    }

    /** The codes of one block, zero beyond k and n. */
    static void read(NativeMemory codes, StripedLayout layout, int strip, int block, long[] rows) {
        int longs = longs(layout.form().code());
        int present = present(layout, block);
        for (int row = 0; row < present; row++) {
            long at = rowOffset(layout, strip, block, row);
            int bytes = rowBytes(layout, strip);
            for (int i = 0; i < longs; i++, bytes -= Long.BYTES) {
                rows[row * longs + i] = bytes >= Long.BYTES ? codes.getLong(at + i * Long.BYTES) : someBytes(codes, at + i * Long.BYTES, bytes);
            }
            clearBeyond(layout, strip, rows, row * longs);
        }
        Arrays.fill(rows, present * longs, rows.length, 0);
    }

    /** Writes the codes of one block that exist into a matrix, zero into the other half of a last byte. */
    static void write(long[] rows, StripedLayout layout, int strip, int block, NativeMemory codes) {
        int longs = longs(layout.form().code());
        int present = present(layout, block);
        for (int row = 0; row < present; row++) {
            clearBeyond(layout, strip, rows, row * longs);
            long at = rowOffset(layout, strip, block, row);
            int bytes = rowBytes(layout, strip);
            for (int i = 0; i < longs; i++, bytes -= Long.BYTES) {
                if (bytes >= Long.BYTES) {
                    codes.putLong(at + i * Long.BYTES, rows[row * longs + i]);
                    continue;
                }
                for (int b = 0; b < bytes; b++) {
                    codes.putByte(at + i * Long.BYTES + b, (byte) (rows[row * longs + i] >>> Byte.SIZE * b));
                }
            }
        }
    }

    private static int present(StripedLayout layout, int block) {
        int blockRows = layout.form().blockRows();
        return Math.min(blockRows, layout.k() - block * blockRows);
    }

    private static int columns(StripedLayout layout, int strip) {
        return Math.min(StripedLayout.BLOCK, layout.n() - strip * StripedLayout.BLOCK);
    }

    /** Bytes that hold the codes of a strip's columns in one row. */
    private static int rowBytes(StripedLayout layout, int strip) {
        return (int) layout.form().codeStride(columns(layout, strip));
    }

    private static long rowOffset(StripedLayout layout, int strip, int block, int row) {
        WeightForm form = layout.form();
        return ((long) block * form.blockRows() + row) * form.codeStride(layout.n())
                + (long) strip * StripedLayout.BLOCK / form.code().perByte();
    }

    /** The first {@code bytes} bytes, as far as there are any. */
    private static long someBytes(NativeMemory codes, long at, int bytes) {
        long value = 0;
        for (int b = 0; b < bytes; b++) {
            value |= (codes.getByte(at + b) & 0xffL) << Byte.SIZE * b;
        }
        return value;
    }

    /** Zeroes the codes of columns that do not exist; all of them lie in one long, or in whole longs that hold zeros already. */
    private static void clearBeyond(StripedLayout layout, int strip, long[] rows, int at) {
        int bits = columns(layout, strip) * layout.form().code().bits();
        if (bits % Long.SIZE != 0) {
            rows[at + bits / Long.SIZE] &= (1L << bits % Long.SIZE) - 1;
        }
    }
}
