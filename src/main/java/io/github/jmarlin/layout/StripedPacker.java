package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.memory.Tasks;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * Moves whole matrices into the {@linkplain StripedLayout striped layout} and back, strip by strip on all processors of the common
 * pool.
 *
 * <p>A byte of the row-major codes holds the same two codes as a byte of the packed ones, so a block is a permutation of bytes. Of
 * four rows 16 j + 2 t + {0, 8, 1, 9}, the bytes of one pair of columns are one word of the layout: a 4 x 4 transposition of bytes,
 * done on longs that hold eight columns pairs side by side. Rows of sparse weights are {@linkplain SparseRows compressed} before.
 */
public final class StripedPacker {
    private static final long EVEN_BYTES = 0x00ff00ff00ff00ffL;
    private static final long EVEN_SHORTS = 0x0000ffff0000ffffL;
    /** Longs that hold the codes of one row of a block. */
    private static final int ROW_LONGS = StripedLayout.BLOCK / 16;
    private static final int ROW_BYTES = ROW_LONGS * Long.BYTES;
    /** Bytes between the words of r and r + 1, four lanes apart. */
    private static final int R_STEP = 4 * StripedLayout.LANE_BYTES;

    private StripedPacker() {
    }

    /** See {@link PackedWeights#pack}. */
    public static PackedWeights pack(QuantizedMatrix matrix, DataType computeType) {
        PackedWeights.checkComputeType(computeType);
        StripedLayout layout = matrix.layout();
        PackedWeights packed = allocate(layout, computeType, matrix.hasBias());
        try {
            Tasks.forEach(layout.strips(), strip -> {
                ShiftedScales.pack(matrix, packed, strip);
                packStrip(matrix, strip, packed.codes().slice(layout.blockOffset(strip, 0), (int) layout.stripCodeBytes()));
            });
            for (int column = 0; packed.hasBias() && column < layout.n(); column++) {
                packed.bias().putFloat((long) column * Float.BYTES, matrix.bias(column));
            }
            return packed;
        } catch (RuntimeException | Error e) {
            packed.close();
            throw e;
        }
    }

    private static PackedWeights allocate(StripedLayout layout, DataType computeType, boolean bias) {
        List<NativeMemory> made = new ArrayList<>();
        try {
            made.add(NativeMemory.allocate(layout.codeBytes(), layout.stripCodeBytes()));
            made.add(NativeMemory.allocate(layout.scaleBytes(), layout.stripScaleBytes()));
            made.add(layout.form().hasZeroPoints() ? NativeMemory.allocate(layout.scaleBytes(), layout.stripScaleBytes()) : null);
            made.add(NativeMemory.allocate((long) layout.paddedN() * Float.BYTES, Float.BYTES));
            made.add(bias ? NativeMemory.allocate((long) layout.paddedN() * Float.BYTES, Float.BYTES) : null);
            return PackedWeights.of(layout, computeType, made.get(0), made.get(1), made.get(2), made.get(3), made.get(4));
        } catch (RuntimeException | Error e) {
            made.stream().filter(Objects::nonNull).forEach(NativeMemory::close);
            throw e;
        }
    }

    /** See {@link PackedWeights#unpack}. */
    public static QuantizedMatrix unpack(PackedWeights packed) {
        StripedLayout layout = packed.layout();
        boolean rounded = ShiftedScales.wereRounded(packed);
        try (var matrix = QuantizedMatrix.builder(layout.k(), layout.n(), layout.groupSize(),
                rounded ? DataType.FP32 : packed.computeType())) {
            if (packed.form().hasZeroPoints()) {
                matrix.withZeroPoints();
            }
            matrix.withColumns(packed.form().columns()).withSparsity(packed.form().sparsity());
            Tasks.forEach(layout.strips(), strip -> {
                ShiftedScales.unpack(packed, matrix, strip, rounded);
                unpackStrip(packed.codes().slice(layout.blockOffset(strip, 0), (int) layout.stripCodeBytes()), layout, strip,
                        matrix.codes());
            });
            if (packed.hasBias()) {
                matrix.withBias();
                for (int column = 0; column < layout.n(); column++) {
                    matrix.setBias(column, packed.bias().getFloat((long) column * Float.BYTES));
                }
            }
            return matrix.build();
        }
    }

    private static void packStrip(QuantizedMatrix matrix, int strip, ByteBuffer target) {
        StripedLayout layout = matrix.layout();
        WeightForm form = layout.form();
        long[] rows = new long[form.blockRows() * ROW_LONGS];
        long[] stored = form.isSparse() ? new long[StripedLayout.BLOCK * ROW_LONGS] : rows;
        for (int block = 0; block < layout.kBlocks(); block++) {
            int at = block * form.blockBytes();
            readRows(matrix.codes(), layout, strip, block, rows);
            if (form.isSparse()) {
                SparseRows.compress(layout, strip, block, rows, stored, target, at + form.blockCodeBytes());
            }
            packBlock(stored, target, at);
        }
    }

    private static void unpackStrip(ByteBuffer source, StripedLayout layout, int strip, NativeMemory codes) {
        WeightForm form = layout.form();
        long[] rows = new long[form.blockRows() * ROW_LONGS];
        long[] stored = form.isSparse() ? new long[StripedLayout.BLOCK * ROW_LONGS] : rows;
        for (int block = 0; block < layout.kBlocks(); block++) {
            int at = block * form.blockBytes();
            unpackBlock(source, at, stored);
            if (form.isSparse()) {
                SparseRows.expand(source, at + form.blockCodeBytes(), stored, rows);
            }
            writeRows(rows, layout, strip, block, codes);
        }
    }

    static void packBlock(long[] rows, ByteBuffer target, int blockAt) {
        for (int j = 0; j < 4; j++) {
            for (int t = 0; t < 4; t++) {
                int row = (16 * j + 2 * t) * ROW_LONGS;
                for (int i = 0; i < ROW_LONGS; i++) {
                    long e0p0 = rows[row + i];
                    long e0p1 = rows[row + i + 8 * ROW_LONGS];
                    long e1p0 = rows[row + i + ROW_LONGS];
                    long e1p1 = rows[row + i + 9 * ROW_LONGS];
                    long e0Even = evenBytes(e0p0, e0p1);
                    long e0Odd = oddBytes(e0p0, e0p1);
                    long e1Even = evenBytes(e1p0, e1p1);
                    long e1Odd = oddBytes(e1p0, e1p1);
                    int at = blockAt + i * 2 * R_STEP + t * StripedLayout.LANE_BYTES + 4 * j;
                    putWords(target, at, evenShorts(e0Even, e1Even));
                    putWords(target, at + StripedLayout.SUB_BLOCK_BYTES, evenShorts(e0Odd, e1Odd));
                    putWords(target, at + 2 * StripedLayout.SUB_BLOCK_BYTES, oddShorts(e0Even, e1Even));
                    putWords(target, at + 3 * StripedLayout.SUB_BLOCK_BYTES, oddShorts(e0Odd, e1Odd));
                }
            }
        }
    }

    /** {@link #packBlock} backwards: a transposition is its own inverse. */
    static void unpackBlock(ByteBuffer source, int blockAt, long[] rows) {
        for (int j = 0; j < 4; j++) {
            for (int t = 0; t < 4; t++) {
                int row = (16 * j + 2 * t) * ROW_LONGS;
                for (int i = 0; i < ROW_LONGS; i++) {
                    int at = blockAt + i * 2 * R_STEP + t * StripedLayout.LANE_BYTES + 4 * j;
                    long s0 = getWords(source, at);
                    long s1 = getWords(source, at + StripedLayout.SUB_BLOCK_BYTES);
                    long s2 = getWords(source, at + 2 * StripedLayout.SUB_BLOCK_BYTES);
                    long s3 = getWords(source, at + 3 * StripedLayout.SUB_BLOCK_BYTES);
                    long e0Even = evenShorts(s0, s2);
                    long e1Even = oddShorts(s0, s2);
                    long e0Odd = evenShorts(s1, s3);
                    long e1Odd = oddShorts(s1, s3);
                    rows[row + i] = evenBytes(e0Even, e0Odd);
                    rows[row + i + 8 * ROW_LONGS] = oddBytes(e0Even, e0Odd);
                    rows[row + i + ROW_LONGS] = evenBytes(e1Even, e1Odd);
                    rows[row + i + 9 * ROW_LONGS] = oddBytes(e1Even, e1Odd);
                }
            }
        }
    }

    /** Bytes 0, 2, 4, 6 of x and y, alternating. */
    private static long evenBytes(long x, long y) {
        return x & EVEN_BYTES | (y & EVEN_BYTES) << 8;
    }

    /** Bytes 1, 3, 5, 7 of x and y, alternating. */
    private static long oddBytes(long x, long y) {
        return x >>> 8 & EVEN_BYTES | y & ~EVEN_BYTES;
    }

    private static long evenShorts(long x, long y) {
        return x & EVEN_SHORTS | (y & EVEN_SHORTS) << 16;
    }

    private static long oddShorts(long x, long y) {
        return x >>> 16 & EVEN_SHORTS | y & ~EVEN_SHORTS;
    }

    /** Stores the words of an even r and of r + 1. */
    private static void putWords(ByteBuffer target, int at, long words) {
        target.putInt(at, (int) words);
        target.putInt(at + R_STEP, (int) (words >>> 32));
    }

    private static long getWords(ByteBuffer source, int at) {
        return source.getInt(at) & 0xffffffffL | (long) source.getInt(at + R_STEP) << 32;
    }

    /** The row-major codes of one block as longs, zero beyond k and n. */
    private static void readRows(NativeMemory codes, StripedLayout layout, int strip, int block, long[] rows) {
        long stride = QuantizedMatrix.codeStride(layout.n());
        int columns = Math.min(StripedLayout.BLOCK, layout.n() - strip * StripedLayout.BLOCK);
        int blockRows = layout.form().blockRows();
        int present = Math.min(blockRows, layout.k() - block * blockRows);
        for (int row = 0; row < present; row++) {
            long at = ((long) block * blockRows + row) * stride + (long) strip * ROW_BYTES;
            for (int i = 0; i < ROW_LONGS; i++) {
                rows[row * ROW_LONGS + i] = readCodes(codes, at + i * Long.BYTES, columns - 16 * i);
            }
        }
        Arrays.fill(rows, present * ROW_LONGS, rows.length, 0);
    }

    private static void writeRows(long[] rows, StripedLayout layout, int strip, int block, NativeMemory codes) {
        long stride = QuantizedMatrix.codeStride(layout.n());
        int columns = Math.min(StripedLayout.BLOCK, layout.n() - strip * StripedLayout.BLOCK);
        int blockRows = layout.form().blockRows();
        int present = Math.min(blockRows, layout.k() - block * blockRows);
        for (int row = 0; row < present; row++) {
            long at = ((long) block * blockRows + row) * stride + (long) strip * ROW_BYTES;
            for (int i = 0; i < ROW_LONGS; i++) {
                writeCodes(codes, at + i * Long.BYTES, columns - 16 * i, rows[row * ROW_LONGS + i]);
            }
        }
    }

    /** Sixteen codes, of which only the first {@code columns} are read and the others zero. */
    private static long readCodes(NativeMemory codes, long at, int columns) {
        if (columns >= 16) {
            return codes.getLong(at);
        }
        long value = 0;
        for (int column = 0; column < columns; column += 2) {
            int pair = codes.getByte(at + column / 2) & (column + 1 < columns ? 0xff : 0x0f);
            value |= (long) pair << 4 * column;
        }
        return value;
    }

    private static void writeCodes(NativeMemory codes, long at, int columns, long value) {
        if (columns >= 16) {
            codes.putLong(at, value);
            return;
        }
        for (int column = 0; column < columns; column += 2) {
            codes.putByte(at + column / 2, (byte) (value >>> 4 * column & (column + 1 < columns ? 0xff : 0x0f)));
        }
    }
}
