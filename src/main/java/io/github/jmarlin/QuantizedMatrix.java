package io.github.jmarlin;

import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Objects;

/**
 * The logical 4-bit weights of a linear layer, {@code [k][n]} with k in-features and n out-features:
 * {@code weight(i, j) = (code(i, j) - zeroPoint(group(i), j)) * scale(group(i), j)}, and optionally a bias per column.
 *
 * <p>Codes are 0..15. Rows come in groups of {@link #groupSize}; the last group may be partial, and a group size of -1 or not below
 * k means one group. Without zero points the weights are symmetric: the zero point is 8 everywhere. Zero points are 0..16 (16 is
 * real: one checkpoint format stores them minus one).
 *
 * <p>In memory, off-heap and little-endian: codes {@code [k][(n + 1) / 2]} bytes, column j in nibble {@code j % 2} (low first) of
 * byte {@code j / 2}; scales {@code [groups][n]} of the scale type; zero points {@code [groups][n]} bytes.
 *
 * <p>Usually row i multiplies activation i. Quantizers that work in another order ("act order") leave rows whose groups are scattered;
 * such a matrix is kept sorted by group, and its {@link #inputOrder} says which activation each row multiplies.
 *
 * <p>Immutable once built, so safe for any number of threads; {@link #close} frees the memory.
 */
public final class QuantizedMatrix implements AutoCloseable {
    /** The zero point of symmetric weights. */
    public static final int SYMMETRIC_ZERO_POINT = 8;
    /** The largest code. */
    public static final int MAX_CODE = 15;
    /** The largest zero point. */
    public static final int MAX_ZERO_POINT = 16;

    private final StripedLayout layout;
    private final DataType scaleType;
    private final NativeMemory codes;
    private final NativeMemory scales;
    private final NativeMemory zeroPoints;
    private final float[] bias;
    private final IntBuffer inputOrder;

    private QuantizedMatrix(Builder parts) {
        layout = parts.layout;
        scaleType = parts.scaleType;
        codes = parts.codes;
        scales = parts.scales;
        zeroPoints = parts.zeroPoints;
        bias = parts.bias;
        inputOrder = parts.inputOrder;
    }

    private QuantizedMatrix(QuantizedMatrix other, IntBuffer inputOrder) {
        layout = other.layout;
        scaleType = other.scaleType;
        codes = other.codes;
        scales = other.scales;
        zeroPoints = other.zeroPoints;
        bias = other.bias;
        this.inputOrder = inputOrder;
    }

    /** This matrix, its memory included, with an order that was checked before. */
    QuantizedMatrix withInputOrder(IntBuffer order) {
        return order == null ? this : new QuantizedMatrix(this, order);
    }

    /**
     * Starts a matrix whose codes, scales and bias are all zero.
     *
     * @param k rows (in-features)
     * @param n columns (out-features)
     * @param groupSize -1, 32, 64, 128 or 256
     * @param scaleType FP16 or BF16; FP32 for scales that neither holds, which packing rounds
     */
    public static Builder builder(int k, int n, int groupSize, DataType scaleType) {
        return new Builder(new StripedLayout(k, n, groupSize), scaleType);
    }

    /** Rows (in-features). */
    public int k() {
        return layout.k();
    }

    /** Columns (out-features). */
    public int n() {
        return layout.n();
    }

    /** The group size as asked for: -1, 32, 64, 128 or 256. */
    public int groupSize() {
        return layout.groupSize();
    }

    /** Rows that share a scale: the group size, or k if one group spans all rows. */
    public int rowsPerGroup() {
        return layout.rowsPerGroup();
    }

    /** Groups along k. */
    public int groups() {
        return layout.groups();
    }

    /** The type of the scales: FP16 or BF16, or FP32. */
    public DataType scaleType() {
        return scaleType;
    }

    /** The 16-bit type to pack for, unless somebody wants another one: that of the scales, FP16 for FP32. */
    public DataType computeType() {
        return scaleType.is16Bit() ? scaleType : DataType.FP16;
    }

    /** What a weight is. */
    public WeightForm form() {
        return layout.form();
    }

    /** Whether there are zero points, as {@link #form} says too; otherwise all are 8. */
    public boolean hasZeroPoints() {
        return form().hasZeroPoints();
    }

    /** Whether there is a bias. */
    public boolean hasBias() {
        return bias != null;
    }

    /** Whether rows multiply activations in another order than their own. */
    public boolean hasInputOrder() {
        return inputOrder != null;
    }

    /** The activation that each row multiplies, {@code [k]}, read-only; null if row i multiplies activation i. */
    public IntBuffer inputOrder() {
        return inputOrder == null ? null : inputOrder.duplicate();
    }

    /** A read-only copy of {@code order} if it holds each of 0..k-1 once. */
    static IntBuffer permutation(IntBuffer order, int k) {
        if (order.remaining() != k) {
            throw new IllegalArgumentException("input order of " + order.remaining() + " entries given for k " + k);
        }
        int[] copy = new int[k];
        order.duplicate().get(copy);
        boolean[] seen = new boolean[k];
        for (int row = 0; row < k; row++) {
            if (copy[row] < 0 || copy[row] >= k || seen[copy[row]]) {
                throw new IllegalArgumentException("input order has " + copy[row] + " at row " + row
                        + ": each of 0.." + (k - 1) + " expected once");
            }
            seen[copy[row]] = true;
        }
        return IntBuffer.wrap(copy).asReadOnlyBuffer();
    }

    /** Shape and group size, and where a packed matrix of that shape has its parts. */
    public StripedLayout layout() {
        return layout;
    }

    /** The code of a row and column, 0..15. */
    public int code(int row, int column) {
        Objects.checkIndex(row, k());
        Objects.checkIndex(column, n());
        return codes.getByte((long) row * codeStride(n()) + column / 2) >>> 4 * (column % 2) & MAX_CODE;
    }

    /** The scale of a group and column. */
    public float scale(int group, int column) {
        return scaleType.is16Bit() ? HalfFloats.decode(scaleType, scaleBits(group, column))
                : scales.getFloat(element(group, column) * Float.BYTES);
    }

    /** The scale of a group and column as stored, if the scale type has 16 bits. */
    public short scaleBits(int group, int column) {
        return scales.getShort(element(group, column) * Short.BYTES);
    }

    /** The zero point of a group and column, 0..16; 8 if the matrix is symmetric. */
    public int zeroPoint(int group, int column) {
        long element = element(group, column);
        return zeroPoints == null ? SYMMETRIC_ZERO_POINT : zeroPoints.getByte(element) & 0xff;
    }

    /** The bias of a column; 0 if there is none. */
    public float bias(int column) {
        Objects.checkIndex(column, n());
        return bias == null ? 0 : bias[column];
    }

    /** The weight of a row and column; exact with 16-bit scales, since five bits times such a float fit a float. */
    public float weight(int row, int column) {
        int group = row / rowsPerGroup();
        return (code(row, column) - zeroPoint(group, column)) * scale(group, column);
    }

    /** All codes, {@code [k][(n + 1) / 2]} bytes. Not to be written to. */
    public NativeMemory codes() {
        return codes;
    }

    /** All scales, {@code [groups][n]} of the scale type. Not to be written to. */
    public NativeMemory scales() {
        return scales;
    }

    /** All zero points, {@code [groups][n]} bytes, or null if the matrix is symmetric. Not to be written to. */
    public NativeMemory zeroPoints() {
        return zeroPoints;
    }

    /** A copy of the bias, {@code [n]}, or null if there is none. */
    public float[] bias() {
        return bias == null ? null : bias.clone();
    }

    /** Bytes of one row of codes of {@code n} columns. */
    public static long codeStride(int n) {
        return (n + 1L) / 2;
    }

    private long element(int group, int column) {
        Objects.checkIndex(group, groups());
        Objects.checkIndex(column, n());
        return (long) group * n() + column;
    }

    /** Frees the memory. A second call does nothing. */
    @Override
    public void close() {
        codes.close();
        scales.close();
        if (zeroPoints != null) {
            zeroPoints.close();
        }
    }

    @Override
    public String toString() {
        return "QuantizedMatrix[" + layout + ", scales " + scaleType + (hasZeroPoints() ? ", zero points" : ", symmetric")
                + (hasBias() ? ", bias" : "") + (hasInputOrder() ? ", act order]" : "]");
    }

    /**
     * Collects the parts of a matrix. Elements can be set one by one, by rows, or written straight into the off-heap memory;
     * {@link #build} checks what the setters could not. Several threads may fill disjoint rows. Closing it frees the memory of a
     * matrix that was not built; then no thread may fill it any more.
     */
    public static final class Builder implements AutoCloseable {
        private StripedLayout layout;
        private final DataType scaleType;
        private final long codeStride;
        private final NativeMemory codes;
        private final NativeMemory scales;
        private NativeMemory zeroPoints;
        private float[] bias;
        private IntBuffer inputOrder;
        private boolean built;

        private Builder(StripedLayout layout, DataType scaleType) {
            if (scaleType == null) {
                throw new IllegalArgumentException("scale type null: FP16, BF16 or FP32 expected");
            }
            this.layout = layout;
            this.scaleType = scaleType;
            long scaleStride = (long) layout.n() * scaleType.bytes();
            codeStride = codeStride(layout.n());
            codes = NativeMemory.allocate(layout.k() * codeStride, codeStride);
            try {
                scales = NativeMemory.allocate(layout.groups() * scaleStride, scaleStride);
            } catch (RuntimeException | Error e) {
                codes.close();
                throw e;
            }
        }

        /** Gives every group and column a zero point of its own, at first 0. */
        public Builder withZeroPoints() {
            if (zeroPoints == null) {
                layout = layout.withForm(layout.form().withZeroPoints(true));
                zeroPoints = NativeMemory.allocate((long) layout.groups() * layout.n(), layout.n());
            }
            return this;
        }

        /** Whether there are zero points. */
        public boolean hasZeroPoints() {
            return zeroPoints != null;
        }

        /** Adds a bias, at first 0. */
        public Builder withBias() {
            if (bias == null) {
                bias = new float[layout.n()];
            }
            return this;
        }

        /** Lets row i multiply activation {@code order[i]}; {@code order} holds each of 0..k-1 once. Null: row i, activation i. */
        public Builder withInputOrder(IntBuffer order) {
            inputOrder = order == null ? null : permutation(order, layout.k());
            return this;
        }

        /** Says in which order the columns lie; it moves nothing. */
        public Builder withColumns(WeightForm.Columns order) {
            layout = layout.withForm(layout.form().withColumns(order));
            return this;
        }

        /**
         * Says which weights have to be stored; it leaves out nothing. Of {@linkplain WeightForm.Sparsity#TWO_OF_FOUR sparse} weights at
         * most two of every four rows of a column may be other than 0, which packing checks.
         */
        public Builder withSparsity(WeightForm.Sparsity sparsity) {
            layout = layout.withForm(layout.form().withSparsity(sparsity));
            return this;
        }

        /** Sets one code, 0..15. Neighbouring columns share a byte: one thread per row. */
        public Builder setCode(int row, int column, int code) {
            Objects.checkIndex(row, layout.k());
            Objects.checkIndex(column, layout.n());
            if (code < 0 || code > MAX_CODE) {
                throw new IllegalArgumentException("code " + code + " at row " + row + ", column " + column + " is outside 0..15");
            }
            long offset = row * codeStride + column / 2;
            int shift = 4 * (column % 2);
            codes.putByte(offset, (byte) (codes.getByte(offset) & ~(MAX_CODE << shift) | code << shift));
            return this;
        }

        /** Sets a whole row of n codes, one per byte. */
        public Builder setCodes(int row, byte[] rowCodes) {
            checkLength("codes", rowCodes.length);
            for (int column = 0; column < rowCodes.length; column++) {
                setCode(row, column, rowCodes[column]);
            }
            return this;
        }

        /** Sets one scale, rounded to the scale type; it must be finite then. */
        public Builder setScale(int group, int column, float scale) {
            if (!scaleType.is16Bit()) {
                if (!Float.isFinite(scale)) {
                    throw badScale(group, column, "" + scale);
                }
                scales.putFloat(element(group, column) * Float.BYTES, scale);
                return this;
            }
            short bits = HalfFloats.encode(scaleType, scale);
            if (!HalfFloats.isFinite(scaleType, bits)) {
                throw badScale(group, column, "" + scale);
            }
            return setScaleBits(group, column, bits);
        }

        /** Sets one scale as bits of the scale type, which must have 16. */
        public Builder setScaleBits(int group, int column, short bits) {
            if (!scaleType.is16Bit()) {
                throw new IllegalStateException("16 bits were given for a scale of type " + scaleType);
            }
            scales.putShort(element(group, column) * Short.BYTES, bits);
            return this;
        }

        /** Sets the scales of a group, n of them. */
        public Builder setScales(int group, float[] groupScales) {
            checkLength("scales", groupScales.length);
            for (int column = 0; column < groupScales.length; column++) {
                setScale(group, column, groupScales[column]);
            }
            return this;
        }

        /** Sets one zero point, 0..16, of a matrix {@link #withZeroPoints}. */
        public Builder setZeroPoint(int group, int column, int zeroPoint) {
            long element = element(group, column);
            if (zeroPoint < 0 || zeroPoint > MAX_ZERO_POINT) {
                throw badZeroPoint(group, column, zeroPoint);
            }
            zeroPoints().putByte(element, (byte) zeroPoint);
            return this;
        }

        /** Sets the bias of a column of a matrix {@link #withBias}. */
        public Builder setBias(int column, float value) {
            if (bias == null) {
                throw new IllegalStateException("a bias was set without withBias()");
            }
            bias[Objects.checkIndex(column, bias.length)] = value;
            return this;
        }

        /** Sets the whole bias, n values; implies {@link #withBias}. */
        public Builder setBias(float[] values) {
            checkLength("bias", values.length);
            bias = values.clone();
            return this;
        }

        /** The memory of the codes, {@code [k][(n + 1) / 2]} bytes, to be written straight into. */
        public NativeMemory codes() {
            return codes;
        }

        /** The memory of the scales, {@code [groups][n]} of the scale type, to be written straight into. */
        public NativeMemory scales() {
            return scales;
        }

        /** The memory of the zero points, {@code [groups][n]} bytes, to be written straight into. */
        public NativeMemory zeroPoints() {
            if (zeroPoints == null) {
                throw new IllegalStateException("zero points were set without withZeroPoints()");
            }
            return zeroPoints;
        }

        /**
         * The matrix, which now owns the memory.
         *
         * @throws IllegalArgumentException if a scale or bias is not finite or a zero point is above 16
         */
        public QuantizedMatrix build() {
            if (built) {
                throw new IllegalStateException("build() called twice: a builder makes one matrix");
            }
            checkScales();
            checkZeroPoints();
            checkBias();
            built = true;
            return new QuantizedMatrix(this);
        }

        /** Frees what {@link #build} did not take over. A second call does nothing. */
        @Override
        public void close() {
            if (!built) {
                built = true;
                new QuantizedMatrix(this).close();
            }
        }

        private void checkScales() {
            for (int group = 0; group < layout.groups(); group++) {
                var bytes = scales.slice((long) group * layout.n() * scaleType.bytes(), layout.n() * scaleType.bytes());
                if (!scaleType.is16Bit()) {
                    checkFinite(group, bytes.asFloatBuffer());
                    continue;
                }
                var row = bytes.asShortBuffer();
                for (int column = 0; column < layout.n(); column++) {
                    if (!HalfFloats.isFinite(scaleType, row.get(column))) {
                        throw badScale(group, column, "" + HalfFloats.decode(scaleType, row.get(column)));
                    }
                }
            }
        }

        private void checkFinite(int group, FloatBuffer row) {
            for (int column = 0; column < layout.n(); column++) {
                if (!Float.isFinite(row.get(column))) {
                    throw badScale(group, column, "" + row.get(column));
                }
            }
        }

        private void checkZeroPoints() {
            for (int group = 0; zeroPoints != null && group < layout.groups(); group++) {
                var row = zeroPoints.slice((long) group * layout.n(), layout.n());
                for (int column = 0; column < layout.n(); column++) {
                    if ((row.get(column) & 0xff) > MAX_ZERO_POINT) {
                        throw badZeroPoint(group, column, row.get(column) & 0xff);
                    }
                }
            }
        }

        private void checkBias() {
            for (int column = 0; bias != null && column < bias.length; column++) {
                if (!Float.isFinite(bias[column])) {
                    throw new IllegalArgumentException("bias " + bias[column] + " at column " + column + " is not finite");
                }
            }
        }

        private IllegalArgumentException badScale(int group, int column, String value) {
            return new IllegalArgumentException("scale " + value + " at group " + group + ", column " + column
                    + " is not a finite " + scaleType + " number");
        }

        private static IllegalArgumentException badZeroPoint(int group, int column, int zeroPoint) {
            return new IllegalArgumentException("zero point " + zeroPoint + " at group " + group + ", column " + column
                    + " is outside 0..16");
        }

        private void checkLength(String what, int length) {
            if (length != layout.n()) {
                throw new IllegalArgumentException(length + " " + what + " given for " + layout.n() + " columns");
            }
        }

        private long element(int group, int column) {
            Objects.checkIndex(group, layout.groups());
            Objects.checkIndex(column, layout.n());
            return (long) group * layout.n() + column;
        }
    }
}
