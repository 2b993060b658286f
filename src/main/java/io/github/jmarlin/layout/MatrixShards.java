package io.github.jmarlin.layout;

import io.github.jmarlin.QuantizedMatrix;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;

/** Cuts logical weights into shards, and joins layers that share their input (q, k and v; gate and up) along n. */
public final class MatrixShards {
    private MatrixShards() {
    }

    /** Columns {@code [from, to)}, both multiples of 64 or the end. */
    public static QuantizedMatrix columns(QuantizedMatrix matrix, int from, int to) {
        PackedShards.checkRange("columns", from, to, matrix.n());
        var shard = QuantizedMatrix.builder(matrix.k(), to - from, matrix.groupSize(), matrix.scaleType());
        shard.withInputOrder(matrix.inputOrder());
        copy(matrix, shard, 0, from, to, matrix.groupSize(), 0, to - from, matrix.k());
        return shard.build();
    }

    /** Rows {@code [from, to)}, both multiples of 64 or the end; see {@link PackedShards#rows} for bias and input order. */
    public static QuantizedMatrix rows(QuantizedMatrix matrix, int from, int to) {
        PackedShards.checkRange("rows", from, to, matrix.k());
        int groupSize = PackedShards.groupSize(matrix.layout(), from);
        var shard = QuantizedMatrix.builder(to - from, matrix.n(), groupSize, matrix.scaleType());
        copy(matrix, shard, from, 0, matrix.n(), groupSize, 0, matrix.n(), to - from);
        return shard.build();
    }

    /**
     * One layer that computes the outputs of all {@code parts}, one behind the other. If only some have zero points or a bias,
     * the others get 8 and 0.
     *
     * @throws IllegalArgumentException if k, group size, scale type or input order differ: such layers cannot share a product
     */
    public static QuantizedMatrix join(List<QuantizedMatrix> parts) {
        if (parts.isEmpty()) {
            throw new IllegalArgumentException("no parts to join");
        }
        QuantizedMatrix first = parts.get(0);
        int n = 0;
        boolean zeroPoints = false;
        boolean bias = false;
        for (QuantizedMatrix part : parts) {
            if (part.k() != first.k() || part.rowsPerGroup() != first.rowsPerGroup() || part.scaleType() != first.scaleType()
                    || !Objects.equals(part.inputOrder(), first.inputOrder())) {
                throw new IllegalArgumentException("cannot join " + part + " to " + first
                        + ": k, group size, scale type and input order must be the same");
            }
            n = Math.addExact(n, part.n());
            zeroPoints |= part.form().hasZeroPoints();
            bias |= part.hasBias();
        }
        var joined = QuantizedMatrix.builder(first.k(), n, first.groupSize(), first.scaleType());
        joined.withInputOrder(first.inputOrder());
        if (zeroPoints) {
            joined.withZeroPoints();
        }
        if (bias) {
            joined.withBias();
        }
        int column = 0;
        for (QuantizedMatrix part : parts) {
            copy(part, joined, 0, 0, part.n(), first.groupSize(), column, n, part.k());
            if (zeroPoints && !part.form().hasZeroPoints()) {
                fillZeroPoints(joined, part.groups(), column, part.n(), n);
            }
            column += part.n();
        }
        return joined.build();
    }

    /**
     * Copies rows from {@code firstRow} and columns {@code [from, to)} to columns {@code at} of a matrix of {@code n} columns.
     */
    private static void copy(QuantizedMatrix source, QuantizedMatrix.Builder target, int firstRow, int from, int to,
            int groupSize, int at, int n, int rows) {
        int width = to - from;
        for (int row = 0; row < rows; row++) {
            copyCodes(source, firstRow + row, from, to, target, row, at, n);
        }
        int rowsPerGroup = new StripedLayout(rows, width, groupSize).rowsPerGroup();
        for (int group = 0; group * (long) rowsPerGroup < rows; group++) {
            long old = (firstRow + group * (long) rowsPerGroup) / source.rowsPerGroup();
            long element = old * source.n() + from;
            int bytes = source.scaleType().bytes();
            target.scales().copyFrom(((long) group * n + at) * bytes, source.scales().slice(element * bytes, width * bytes));
            if (source.form().hasZeroPoints()) {
                target.withZeroPoints().zeroPoints().copyFrom((long) group * n + at, source.zeroPoints().slice(element, width));
            }
        }
        if (source.hasBias() && firstRow == 0) {
            target.withBias();
            for (int column = 0; column < width; column++) {
                target.setBias(at + column, source.bias(from + column));
            }
        }
    }

    private static void copyCodes(QuantizedMatrix source, int sourceRow, int from, int to, QuantizedMatrix.Builder target,
            int row, int at, int n) {
        long stride = QuantizedMatrix.codeStride(n);
        if (at % 2 == 1) {
            for (int column = from; column < to; column++) {
                target.setCode(row, at + column - from, source.code(sourceRow, column));
            }
            return;
        }
        // Both start at a whole byte; an odd last column leaves the high nibble 0, for the next part to fill.
        long first = sourceRow * QuantizedMatrix.codeStride(source.n()) + from / 2;
        ByteBuffer codes = source.codes().slice(first, (to - from + 1) / 2);
        target.codes().copyFrom(row * stride + at / 2, codes);
    }

    private static void fillZeroPoints(QuantizedMatrix.Builder target, int groups, int at, int width, int n) {
        for (int group = 0; group < groups; group++) {
            for (int column = at; column < at + width; column++) {
                target.zeroPoints().putByte((long) group * n + column, (byte) QuantizedMatrix.SYMMETRIC_ZERO_POINT);
            }
        }
    }
}
