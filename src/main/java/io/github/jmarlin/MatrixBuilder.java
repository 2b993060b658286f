package io.github.jmarlin;

import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.IntBuffer;
import java.util.Objects;

/** What a {@link QuantizedMatrix.Builder} does: it holds the parts of a matrix and fills them. */
abstract class MatrixBuilder implements AutoCloseable {
    StripedLayout layout;
    final DataType scaleType;
    final NativeMemory codes;
    final NativeMemory scales;
    /** Zero points or float zeros; null if there are none. */
    NativeMemory offsets;
    float[] columnScales;
    float[] bias;
    IntBuffer inputOrder;
    private boolean built;

    MatrixBuilder(StripedLayout layout, DataType scaleType) {
        if (scaleType == null) {
            throw new IllegalArgumentException("scale type null: FP16, BF16 or FP32 expected");
        }
        this.layout = layout;
        this.scaleType = scaleType;
        long codeStride = layout.form().codeStride(layout.n());
        codes = NativeMemory.allocate(layout.k() * codeStride, codeStride);
        NativeMemory made = null;
        try {
            made = allocateRows(scaleType.bytes());
            offsets = layout.form().storesOffsets() ? allocateRows(offsetBytes()) : null;
        } catch (RuntimeException | Error e) {
            codes.close();
            if (made != null) {
                made.close();
            }
            throw e;
        }
        scales = made;
    }

    /** {@code [groups][n]} of so many bytes, at first 0. */
    private NativeMemory allocateRows(int bytes) {
        long stride = (long) layout.n() * bytes;
        return NativeMemory.allocate(layout.groups() * stride, stride);
    }

    private int offsetBytes() {
        return layout.form().hasFloatZeros() ? scaleType.bytes() : layout.form().zeroPointBytes();
    }

    private QuantizedMatrix.Builder self() {
        return (QuantizedMatrix.Builder) this;
    }

    /** Gives every group and column a zero point of its own, at first 0. */
    public QuantizedMatrix.Builder withZeroPoints() {
        return withOffset(WeightForm.Offset.ZERO_POINT);
    }

    /** Gives every group and column an offset of its own, at first 0; or leaves them symmetric as they are. */
    public QuantizedMatrix.Builder withOffset(WeightForm.Offset offset) {
        if (layout.form().offset() == offset) {
            return self();
        }
        if (offsets != null) {
            throw new IllegalStateException(offset + " asked for of a matrix that has " + layout.form().offset() + " already");
        }
        layout = layout.withForm(layout.form().withOffset(offset));
        offsets = allocateRows(offsetBytes());
        return self();
    }

    /** What a weight is, so far. */
    public WeightForm form() {
        return layout.form();
    }

    /** Whether there are zero points. */
    public boolean hasZeroPoints() {
        return layout.form().hasZeroPoints();
    }

    /** Adds a bias, at first 0. */
    public QuantizedMatrix.Builder withBias() {
        if (bias == null) {
            bias = new float[layout.n()];
        }
        return self();
    }

    /** Lets row i multiply activation {@code order[i]}; {@code order} holds each of 0..k-1 once. Null: row i, activation i. */
    public QuantizedMatrix.Builder withInputOrder(IntBuffer order) {
        inputOrder = order == null ? null : MatrixChecks.permutation(order, layout.k());
        return self();
    }

    /** Says in which order the columns lie; it moves nothing. */
    public QuantizedMatrix.Builder withColumns(WeightForm.Columns order) {
        layout = layout.withForm(layout.form().withColumns(order));
        return self();
    }

    /**
     * Says which weights have to be stored; it leaves out nothing. Of {@linkplain WeightForm.Sparsity#TWO_OF_FOUR sparse} weights at
     * most two of every four rows of a column may be other than 0, which packing checks.
     */
    public QuantizedMatrix.Builder withSparsity(WeightForm.Sparsity sparsity) {
        layout = layout.withForm(layout.form().withSparsity(sparsity));
        return self();
    }

    /**
     * Sets what the scales of each column are multiplied with besides, n finite values other than 0, of a form whose scales come from
     * {@link WeightForm.ScaleSource#GROUP_AND_COLUMN}.
     */
    public QuantizedMatrix.Builder withColumnScales(float[] values) {
        if (!layout.form().hasColumnScales()) {
            throw new IllegalStateException("column scales were set of a matrix whose scales come from " + layout.form().scaleSource());
        }
        checkLength("column scales", values.length);
        MatrixChecks.columnScales(values);
        columnScales = values.clone();
        return self();
    }

    /** Sets one code, 0..15 or 0..255. Neighbouring columns may share a byte: one thread per row. */
    public QuantizedMatrix.Builder setCode(int row, int column, int code) {
        Objects.checkIndex(row, layout.k());
        Objects.checkIndex(column, layout.n());
        int max = layout.form().code().max();
        if (code < 0 || code > max) {
            throw new IllegalArgumentException("code " + code + " at row " + row + ", column " + column + " is outside 0.." + max);
        }
        long offset = row * layout.form().codeStride(layout.n()) + column / layout.form().code().perByte();
        int shift = layout.codeShift(column);
        codes.putByte(offset, (byte) (codes.getByte(offset) & ~(max << shift) | code << shift));
        return self();
    }

    /** Sets a whole row of n codes, one per byte. */
    public QuantizedMatrix.Builder setCodes(int row, byte[] rowCodes) {
        checkLength("codes", rowCodes.length);
        boolean bytes = layout.form().code().perByte() == 1;
        for (int column = 0; column < rowCodes.length; column++) {
            setCode(row, column, bytes ? rowCodes[column] & 0xff : rowCodes[column]);
        }
        return self();
    }

    /** Sets one scale, rounded to the scale type; it must be finite then. */
    public QuantizedMatrix.Builder setScale(int group, int column, float scale) {
        put("scale", scales, group, column, scale);
        return self();
    }

    /** Sets one scale as bits of the scale type, which must have 16. */
    public QuantizedMatrix.Builder setScaleBits(int group, int column, short bits) {
        putBits("scale", scales, group, column, bits);
        return self();
    }

    /** Sets the scales of a group, n of them. */
    public QuantizedMatrix.Builder setScales(int group, float[] groupScales) {
        checkLength("scales", groupScales.length);
        for (int column = 0; column < groupScales.length; column++) {
            setScale(group, column, groupScales[column]);
        }
        return self();
    }

    /** Sets one zero point, 0..16 or 0..256, of a matrix {@link #withZeroPoints}. */
    public QuantizedMatrix.Builder setZeroPoint(int group, int column, int zeroPoint) {
        long element = element(group, column);
        if (zeroPoint < 0 || zeroPoint > layout.form().maxZeroPoint()) {
            throw MatrixChecks.badZeroPoint(layout.form(), group, column, zeroPoint);
        }
        if (layout.form().zeroPointBytes() == 1) {
            zeroPoints().putByte(element, (byte) zeroPoint);
        } else {
            zeroPoints().putShort(element * Short.BYTES, (short) zeroPoint);
        }
        return self();
    }

    /** Sets one float zero, rounded to the scale type; it must be finite then. Of a matrix with {@link WeightForm.Offset#FLOAT_ZERO}. */
    public QuantizedMatrix.Builder setFloatZero(int group, int column, float zero) {
        put("float zero", floatZeros(), group, column, zero);
        return self();
    }

    /** Sets one float zero as bits of the scale type, which must have 16. */
    public QuantizedMatrix.Builder setFloatZeroBits(int group, int column, short bits) {
        putBits("float zero", floatZeros(), group, column, bits);
        return self();
    }

    /** Sets the bias of a column of a matrix {@link #withBias}. */
    public QuantizedMatrix.Builder setBias(int column, float value) {
        if (bias == null) {
            throw new IllegalStateException("a bias was set without withBias()");
        }
        bias[Objects.checkIndex(column, bias.length)] = value;
        return self();
    }

    /** Sets the whole bias, n values; implies {@link #withBias}. */
    public QuantizedMatrix.Builder setBias(float[] values) {
        checkLength("bias", values.length);
        bias = values.clone();
        return self();
    }

    /** The memory of the codes, {@code [k]} rows of {@link WeightForm#codeStride} bytes, to be written straight into. */
    public NativeMemory codes() {
        return codes;
    }

    /** The memory of the scales, {@code [groups][n]} of the scale type, to be written straight into. */
    public NativeMemory scales() {
        return scales;
    }

    /** The memory of the zero points, {@code [groups][n]} of {@link WeightForm#zeroPointBytes}, to be written straight into. */
    public NativeMemory zeroPoints() {
        if (!hasZeroPoints()) {
            throw new IllegalStateException("zero points were set without withZeroPoints()");
        }
        return offsets;
    }

    /** The memory of the float zeros, {@code [groups][n]} of the scale type, to be written straight into. */
    public NativeMemory floatZeros() {
        if (!layout.form().hasFloatZeros()) {
            throw new IllegalStateException("float zeros were set of a matrix with the offset " + layout.form().offset());
        }
        return offsets;
    }

    /**
     * The matrix, which now owns the memory.
     *
     * @throws IllegalArgumentException if a scale, float zero or bias is not finite or a zero point is above the largest
     */
    public QuantizedMatrix build() {
        if (built) {
            throw new IllegalStateException("build() called twice: a builder makes one matrix");
        }
        MatrixChecks.finite("scale", layout, scales, scaleType);
        if (layout.form().hasFloatZeros()) {
            MatrixChecks.finite("float zero", layout, offsets, scaleType);
        } else if (layout.form().hasZeroPoints()) {
            MatrixChecks.zeroPoints(layout, offsets);
        }
        MatrixChecks.bias(bias);
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

    /** An element of scales or float zeros. */
    static float get(NativeMemory memory, DataType type, long element) {
        return type.is16Bit() ? HalfFloats.decode(type, memory.getShort(element * Short.BYTES)) : memory.getFloat(element * Float.BYTES);
    }

    private void put(String what, NativeMemory memory, int group, int column, float value) {
        if (!scaleType.is16Bit()) {
            if (!Float.isFinite(value)) {
                throw MatrixChecks.notFinite(what, group, column, value, scaleType);
            }
            memory.putFloat(element(group, column) * Float.BYTES, value);
            return;
        }
        short bits = HalfFloats.encode(scaleType, value);
        if (!HalfFloats.isFinite(scaleType, bits)) {
            throw MatrixChecks.notFinite(what, group, column, value, scaleType);
        }
        putBits(what, memory, group, column, bits);
    }

    private void putBits(String what, NativeMemory memory, int group, int column, short bits) {
        if (!scaleType.is16Bit()) {
            throw new IllegalStateException("16 bits were given for a " + what + " of type " + scaleType);
        }
        memory.putShort(element(group, column) * Short.BYTES, bits);
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
