package io.github.jmarlin.layout;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.memory.Tasks;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;

/** Cuts logical weights into shards, and joins layers that share their input (q, k and v; gate and up) along n. */
public final class MatrixShards {
    private MatrixShards() {
    }

    /** Columns {@code [from, to)}, both multiples of 64 or the end. */
    public static QuantizedMatrix columns(QuantizedMatrix matrix, int from, int to) {
        PackedShards.checkRange("columns", from, to, matrix.n(), StripedLayout.BLOCK);
        var shard = QuantizedMatrix.builder(matrix.k(), to - from, matrix.groupSize(), matrix.scaleType());
        shard.withInputOrder(matrix.inputOrder()).withColumns(matrix.form().columns()).withSparsity(matrix.form().sparsity());
        copy(matrix, shard, 0, from, to, matrix.groupSize(), 0, to - from, matrix.k());
        return shard.build();
    }

    /** Rows {@code [from, to)}, both multiples of 64 or the end; see {@link PackedShards#rows} for bias and input order. */
    public static QuantizedMatrix rows(QuantizedMatrix matrix, int from, int to) {
        PackedShards.checkRange("rows", from, to, matrix.k(), matrix.form().blockRows());
        int groupSize = PackedShards.groupSize(matrix.layout(), from);
        var shard = QuantizedMatrix.builder(to - from, matrix.n(), groupSize, matrix.scaleType());
        shard.withColumns(matrix.form().columns()).withSparsity(matrix.form().sparsity());
        copy(matrix, shard, from, 0, matrix.n(), groupSize, 0, matrix.n(), to - from);
        return shard.build();
    }

    /**
     * One layer that computes the outputs of all {@code parts}, one behind the other. If only some have zero points or a bias,
     * the others get 8 and 0.
     *
     * @throws IllegalArgumentException if k, group size, scale type, input order, the order of columns or sparsity differ: such layers
     *     cannot share a product
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
                    || !Objects.equals(part.inputOrder(), first.inputOrder()) || part.form().columns() != first.form().columns()
                    || part.form().sparsity() != first.form().sparsity()) {
                throw new IllegalArgumentException("cannot join " + part + " to " + first
                        + ": k, group size, scale type, input order, order of columns and sparsity must be the same");
            }
            n = Math.addExact(n, part.n());
            zeroPoints |= part.form().hasZeroPoints();
            bias |= part.hasBias();
        }
        var joined = QuantizedMatrix.builder(first.k(), n, first.groupSize(), first.scaleType());
        joined.withInputOrder(first.inputOrder()).withColumns(first.form().columns()).withSparsity(first.form().sparsity());
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
     * One layer with the columns of gate and up in turn ({@link WeightForm.Columns#GATE_UP}), so that a product can apply
     * {@link io.github.jmarlin.Epilogue#withSiluMul silu(gate) * up} to neighbours. If only one has zero points or a bias, the other
     * gets 8 and 0.
     *
     * @throws IllegalArgumentException if shape, group size, scale type or input order differ, or columns are in turn already
     */
    public static QuantizedMatrix interleave(QuantizedMatrix gate, QuantizedMatrix up) {
        requireAlike(gate, up);
        int n = Math.multiplyExact(2, gate.n());
        try (var pairs = QuantizedMatrix.builder(gate.k(), n, gate.groupSize(), gate.scaleType())) {
            pairs.withInputOrder(gate.inputOrder()).withColumns(WeightForm.Columns.GATE_UP).withSparsity(gate.form().sparsity());
            interleave(gate, up, pairs);
            return pairs.build();
        }
    }

    /**
     * Writes codes, scales, zero points and bias of gate and up in turn into a matrix of twice their columns.
     *
     * @throws IllegalArgumentException as {@link #interleave(QuantizedMatrix, QuantizedMatrix)}
     */
    public static void interleave(QuantizedMatrix gate, QuantizedMatrix up, QuantizedMatrix.Builder pairs) {
        requireAlike(gate, up);
        if (gate.hasZeroPoints() || up.hasZeroPoints()) {
            pairs.withZeroPoints();
        }
        Tasks.forEach(gate.k(), row -> interleaveCodes(gate, up, row, pairs));
        for (int h = 0; h < 2; h++) {
            interleaveParameters(h == 0 ? gate : up, h, pairs);
        }
    }

    private static void requireAlike(QuantizedMatrix gate, QuantizedMatrix up) {
        boolean alike = gate.k() == up.k() && gate.n() == up.n() && gate.rowsPerGroup() == up.rowsPerGroup()
                && gate.scaleType() == up.scaleType() && gate.form().sparsity() == up.form().sparsity()
                && Objects.equals(gate.inputOrder(), up.inputOrder());
        if (!alike) {
            throw new IllegalArgumentException("cannot interleave " + gate + " with " + up
                    + ": k, n, group size, scale type, input order and sparsity must be the same");
        }
        if (gate.form().columns() != WeightForm.Columns.NATURAL || up.form().columns() != WeightForm.Columns.NATURAL) {
            throw new IllegalArgumentException("cannot interleave " + gate + " with " + up + ": their columns are in turn already");
        }
    }

    private static void interleaveCodes(QuantizedMatrix gate, QuantizedMatrix up, int row, QuantizedMatrix.Builder pairs) {
        int n = gate.n();
        int stride = Math.toIntExact(QuantizedMatrix.codeStride(n));
        byte[] both = new byte[2 * stride];
        ByteBuffer gates = gate.codes().slice((long) row * stride, stride);
        ByteBuffer ups = up.codes().slice((long) row * stride, stride);
        for (int i = 0; i < stride; i++) {
            int g = gates.get(i);
            int u = ups.get(i);
            both[2 * i] = (byte) (g & 15 | (u & 15) << 4);
            both[2 * i + 1] = (byte) (g >> 4 & 15 | u & 0xf0);
        }
        pairs.codes().copyFrom((long) row * n, ByteBuffer.wrap(both, 0, n));     // a byte for each pair
    }

    /** Scales, zero points and bias of one of the two, to columns h, h + 2, ... */
    private static void interleaveParameters(QuantizedMatrix source, int h, QuantizedMatrix.Builder pairs) {
        boolean zeroPoints = source.hasZeroPoints();
        for (int group = 0; group < source.groups(); group++) {
            for (int column = 0; column < source.n(); column++) {
                if (source.scaleType().is16Bit()) {
                    pairs.setScaleBits(group, 2 * column + h, source.scaleBits(group, column));
                } else {
                    pairs.setScale(group, 2 * column + h, source.scale(group, column));
                }
                if (pairs.hasZeroPoints()) {
                    pairs.setZeroPoint(group, 2 * column + h,
                            zeroPoints ? source.zeroPoint(group, column) : QuantizedMatrix.SYMMETRIC_ZERO_POINT);
                }
            }
        }
        for (int column = 0; source.hasBias() && column < source.n(); column++) {
            pairs.withBias().setBias(2 * column + h, source.bias(column));
        }
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
