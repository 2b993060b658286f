package io.github.jmarlin.layout;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.memory.Tasks;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** Cuts logical weights into shards, and joins layers that share their input (q, k and v; gate and up) along n. */
public final class MatrixShards {
    private MatrixShards() {
    }

    /** Columns {@code [from, to)}, both multiples of 64 or the end. */
    public static QuantizedMatrix columns(QuantizedMatrix matrix, int from, int to) {
        PackedShards.checkRange("columns", from, to, matrix.n(), StripedLayout.BLOCK);
        try (var shard = QuantizedMatrix.builder(matrix.k(), to - from, matrix.form(), matrix.scaleType())) {
            shard.withInputOrder(matrix.inputOrder());
            if (matrix.columnScales() != null) {
                shard.withColumnScales(Arrays.copyOfRange(matrix.columnScales(), from, to));
            }
            copy(matrix, shard, 0, from, to, matrix.groupSize(), 0, to - from, matrix.k());
            return shard.build();
        }
    }

    /** Rows {@code [from, to)}, both multiples of 64 or the end; see {@link PackedShards#rows} for bias and input order. */
    public static QuantizedMatrix rows(QuantizedMatrix matrix, int from, int to) {
        PackedShards.checkRange("rows", from, to, matrix.k(), matrix.form().blockRows());
        int groupSize = PackedShards.groupSize(matrix.layout(), from);
        try (var shard = QuantizedMatrix.builder(to - from, matrix.n(), matrix.form().withGroupSize(groupSize), matrix.scaleType())) {
            if (matrix.columnScales() != null) {
                shard.withColumnScales(matrix.columnScales());
            }
            copy(matrix, shard, from, 0, matrix.n(), groupSize, 0, matrix.n(), to - from);
            return shard.build();
        }
    }

    /**
     * One layer that computes the outputs of all {@code parts}, one behind the other. If only some have zero points or a bias,
     * the others get the middle of their codes and 0.
     *
     * @throws IllegalArgumentException if k, scale type, input order or, but for that, what a weight is differ: such layers cannot share
     *     a product
     */
    public static QuantizedMatrix join(List<QuantizedMatrix> parts) {
        if (parts.isEmpty()) {
            throw new IllegalArgumentException("no parts to join");
        }
        QuantizedMatrix first = parts.get(0);
        int n = 0;
        WeightForm form = first.form();
        boolean bias = false;
        for (QuantizedMatrix part : parts) {
            if (!alike(part, first)) {
                throw new IllegalArgumentException("cannot join " + part + " to " + first
                        + ": k, group size, scale type, input order, codes, float zeros, order of columns and sparsity must be the same");
            }
            n = Math.addExact(n, part.n());
            form = part.hasZeroPoints() ? form.withZeroPoints(true) : form;
            bias |= part.hasBias();
        }
        try (var joined = QuantizedMatrix.builder(first.k(), n, form, first.scaleType())) {
            joined.withInputOrder(first.inputOrder());
            if (bias) {
                joined.withBias();
            }
            if (form.hasColumnScales()) {
                joined.withColumnScales(columnScales(parts, n));
            }
            int column = 0;
            for (QuantizedMatrix part : parts) {
                copy(part, joined, 0, 0, part.n(), first.groupSize(), column, n, part.k());
                if (joined.hasZeroPoints() && !part.hasZeroPoints()) {
                    fillZeroPoints(joined, part.groups(), column, part.n());
                }
                column += part.n();
            }
            return joined.build();
        }
    }

    /** Whether two layers can share a product, one with zero points perhaps and the other without. */
    private static boolean alike(QuantizedMatrix a, QuantizedMatrix b) {
        return a.k() == b.k() && a.rowsPerGroup() == b.rowsPerGroup() && a.scaleType() == b.scaleType()
                && Objects.equals(a.inputOrder(), b.inputOrder()) && comparable(a.form()).equals(comparable(b.form()));
    }

    private static WeightForm comparable(WeightForm form) {
        WeightForm symmetric = form.hasZeroPoints() ? form.withZeroPoints(false) : form;
        return symmetric.withGroupSize(WeightForm.PER_COLUMN);
    }

    private static float[] columnScales(List<QuantizedMatrix> parts, int n) {
        float[] all = new float[n];
        int at = 0;
        for (QuantizedMatrix part : parts) {
            for (int column = 0; column < part.n(); column++, at++) {
                all[at] = part.columnScale(column);
            }
        }
        return all;
    }

    /**
     * One layer with the columns of gate and up in turn ({@link WeightForm.Columns#GATE_UP}), so that a product can apply
     * {@link io.github.jmarlin.Epilogue#withSiluMul silu(gate) * up} to neighbours. If only one has zero points or a bias, the other
     * gets the middle of its codes and 0.
     *
     * @throws IllegalArgumentException if shape, what a weight is, group size, scale type or input order differ, or columns are in turn already
     */
    public static QuantizedMatrix interleave(QuantizedMatrix gate, QuantizedMatrix up) {
        requireAlike(gate, up);
        int n = Math.multiplyExact(2, gate.n());
        WeightForm form = (up.hasZeroPoints() ? up : gate).form().withColumns(WeightForm.Columns.GATE_UP);
        try (var pairs = QuantizedMatrix.builder(gate.k(), n, form, gate.scaleType())) {
            pairs.withInputOrder(gate.inputOrder());
            interleave(gate, up, pairs);
            return pairs.build();
        }
    }

    /**
     * Writes codes, scales, zero points or float zeros and bias of gate and up in turn into a matrix of twice their columns.
     *
     * @throws IllegalArgumentException as {@link #interleave(QuantizedMatrix, QuantizedMatrix)}
     */
    public static void interleave(QuantizedMatrix gate, QuantizedMatrix up, QuantizedMatrix.Builder pairs) {
        requireAlike(gate, up);
        pairs.withOffset((up.hasZeroPoints() ? up : gate).form().offset());
        if (pairs.form().hasColumnScales()) {
            float[] scales = new float[2 * gate.n()];
            for (int column = 0; column < scales.length; column++) {
                scales[column] = (column % 2 == 0 ? gate : up).columnScale(column / 2);
            }
            pairs.withColumnScales(scales);
        }
        Tasks.forEach(gate.k(), row -> interleaveCodes(gate, up, row, pairs));
        for (int h = 0; h < 2; h++) {
            interleaveParameters(h == 0 ? gate : up, h, pairs);
        }
    }

    private static void requireAlike(QuantizedMatrix gate, QuantizedMatrix up) {
        if (gate.n() != up.n() || !alike(gate, up)) {
            throw new IllegalArgumentException("cannot interleave " + gate + " with " + up
                    + ": k, n, group size, scale type, input order, codes, float zeros and sparsity must be the same");
        }
        if (gate.form().columns() != WeightForm.Columns.NATURAL || up.form().columns() != WeightForm.Columns.NATURAL) {
            throw new IllegalArgumentException("cannot interleave " + gate + " with " + up + ": their columns are in turn already");
        }
    }

    private static void interleaveCodes(QuantizedMatrix gate, QuantizedMatrix up, int row, QuantizedMatrix.Builder pairs) {
        WeightForm form = gate.form();
        int stride = Math.toIntExact(form.codeStride(gate.n()));
        int pairStride = Math.toIntExact(form.codeStride(2 * gate.n()));
        byte[] both = new byte[2 * stride];
        ByteBuffer gates = gate.codes().slice((long) row * stride, stride);
        ByteBuffer ups = up.codes().slice((long) row * stride, stride);
        for (int i = 0; i < stride; i++) {
            int g = gates.get(i);
            int u = ups.get(i);
            both[2 * i] = (byte) (form.code().perByte() == 1 ? g : g & 15 | (u & 15) << 4);
            both[2 * i + 1] = (byte) (form.code().perByte() == 1 ? u : g >> 4 & 15 | u & 0xf0);
        }
        pairs.codes().copyFrom((long) row * pairStride, ByteBuffer.wrap(both, 0, pairStride));
    }

    /** Scales, zero points or float zeros and bias of one of the two, to columns h, h + 2, ... */
    private static void interleaveParameters(QuantizedMatrix source, int h, QuantizedMatrix.Builder pairs) {
        for (int group = 0; group < source.groups(); group++) {
            for (int column = 0; column < source.n(); column++) {
                // Floats hold 16-bit scales exactly.
                pairs.setScale(group, 2 * column + h, source.scale(group, column));
                if (pairs.hasZeroPoints()) {
                    pairs.setZeroPoint(group, 2 * column + h, source.zeroPoint(group, column));
                } else if (pairs.form().hasFloatZeros()) {
                    pairs.setFloatZero(group, 2 * column + h, source.floatZero(group, column));
                }
            }
        }
        for (int column = 0; source.hasBias() && column < source.n(); column++) {
            pairs.withBias().setBias(2 * column + h, source.bias(column));
        }
    }

    /**
     * Copies rows from {@code firstRow} and columns {@code [from, to)} to columns {@code at} of a matrix of {@code n} columns, which has
     * the source's offset, or zero points where the source has none.
     */
    private static void copy(QuantizedMatrix source, QuantizedMatrix.Builder target, int firstRow, int from, int to,
            int groupSize, int at, int n, int rows) {
        int width = to - from;
        for (int row = 0; row < rows; row++) {
            copyCodes(source, firstRow + row, from, to, target, row, at, n);
        }
        NativeMemory offsets = offsets(source);
        int rowsPerGroup = new StripedLayout(rows, width, source.form().withGroupSize(groupSize).withColumns(WeightForm.Columns.NATURAL))
                .rowsPerGroup();
        for (int group = 0; group * (long) rowsPerGroup < rows; group++) {
            long old = (firstRow + group * (long) rowsPerGroup) / source.rowsPerGroup();
            copyRow(source.scales(), source, old, from, width, target.scales(), (long) group * n + at);
            if (offsets != null) {
                copyRow(offsets, source, old, from, width, source.hasZeroPoints() ? target.zeroPoints() : target.floatZeros(),
                        (long) group * n + at);
            }
        }
        if (source.hasBias() && firstRow == 0) {
            target.withBias();
            for (int column = 0; column < width; column++) {
                target.setBias(at + column, source.bias(from + column));
            }
        }
    }

    /** Zero points or float zeros, or null. */
    private static NativeMemory offsets(QuantizedMatrix matrix) {
        return matrix.hasZeroPoints() ? matrix.zeroPoints() : matrix.floatZeros();
    }

    /** Copies {@code width} elements of a group's row; what an element takes says the size of the source. */
    private static void copyRow(NativeMemory from, QuantizedMatrix source, long group, int column, int width, NativeMemory to, long at) {
        int bytes = (int) (from.size() / ((long) source.groups() * source.n()));
        to.copyFrom(at * bytes, from.slice((group * source.n() + column) * bytes, width * bytes));
    }

    private static void copyCodes(QuantizedMatrix source, int sourceRow, int from, int to, QuantizedMatrix.Builder target,
            int row, int at, int n) {
        WeightForm form = source.form();
        int perByte = form.code().perByte();
        if (at % perByte != 0) {
            for (int column = from; column < to; column++) {
                target.setCode(row, at + column - from, source.code(sourceRow, column));
            }
            return;
        }
        // Both start at a whole byte; an odd last column leaves the high nibble 0, for the next part to fill.
        long first = sourceRow * form.codeStride(source.n()) + from / perByte;
        ByteBuffer codes = source.codes().slice(first, (int) form.codeStride(to - from));
        target.codes().copyFrom(row * form.codeStride(n) + at / perByte, codes);
    }

    private static void fillZeroPoints(QuantizedMatrix.Builder target, int groups, int at, int width) {
        for (int group = 0; group < groups; group++) {
            for (int column = at; column < at + width; column++) {
                target.setZeroPoint(group, column, target.form().code().middle());
            }
        }
    }
}
