package io.github.jmarlin;

import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.IntBuffer;
import java.util.Objects;

/**
 * The logical weights of a linear layer, {@code [k][n]} with k in-features and n out-features, of codes of 4 or 8 bits, and
 * optionally a bias per column. What a weight is says {@link #form}:
 *
 * <pre>
 *   weight(i, j) = (value of code(i, j) - zeroPoint(group(i), j)) * scale(group(i), j) * columnScale(j)
 *   weight(i, j) =  value of code(i, j) * scale(group(i), j) + floatZero(group(i), j)                     with float zeros
 * </pre>
 *
 * <p>Rows come in groups of {@link #groupSize}; the last group may be partial, and a group size of -1 or not below k means one
 * group. Without zero points the weights are symmetric: the zero point is the middle of the codes everywhere (8 for 4 bits, 128 for
 * 8, none for floats). Zero points are 0..16, or 0..256 of 8-bit codes (the largest are real: one checkpoint format stores them minus
 * one). There are column scales only where the form says so; else they are 1.
 *
 * <p>In memory, off-heap and little-endian:
 *
 * <pre>
 *   codes         [k][(n + 1) / 2] bytes, column j in nibble j % 2 (low first) of byte j / 2; 8-bit codes [k][n] bytes
 *   scales        [groups][n] of the scale type
 *   zero points   [groups][n] bytes; of 8-bit codes [groups][n] of 16 bits
 *   float zeros   [groups][n] of the scale type
 * </pre>
 *
 * <p>Usually row i multiplies activation i. Quantizers that work in another order ("act order") leave rows whose groups are scattered;
 * such a matrix is kept sorted by group, and its {@link #inputOrder} says which activation each row multiplies.
 *
 * <p>Immutable once built, so safe for any number of threads; {@link #close} frees the memory.
 */
public final class QuantizedMatrix implements AutoCloseable {
    /** The zero point of symmetric weights of 4-bit integers. */
    public static final int SYMMETRIC_ZERO_POINT = 8;
    /** The largest 4-bit code. */
    public static final int MAX_CODE = 15;
    /** The largest zero point of 4-bit codes. */
    public static final int MAX_ZERO_POINT = 16;

    private final StripedLayout layout;
    private final DataType scaleType;
    private final NativeMemory codes;
    private final NativeMemory scales;
    /** Zero points or float zeros; null if the weights are symmetric. */
    private final NativeMemory offsets;
    private final float[] columnScales;
    private final float[] bias;
    private final IntBuffer inputOrder;

    QuantizedMatrix(MatrixBuilder parts) {
        layout = parts.layout;
        scaleType = parts.scaleType;
        codes = parts.codes;
        scales = parts.scales;
        offsets = parts.offsets;
        columnScales = parts.columnScales;
        bias = parts.bias;
        inputOrder = parts.inputOrder;
    }

    private QuantizedMatrix(QuantizedMatrix other, IntBuffer inputOrder) {
        layout = other.layout;
        scaleType = other.scaleType;
        codes = other.codes;
        scales = other.scales;
        offsets = other.offsets;
        columnScales = other.columnScales;
        bias = other.bias;
        this.inputOrder = inputOrder;
    }

    /** This matrix, its memory included, with an order that was checked before. */
    QuantizedMatrix withInputOrder(IntBuffer order) {
        return order == null ? this : new QuantizedMatrix(this, order);
    }

    /**
     * Starts a matrix of 4-bit integers whose codes, scales and bias are all zero.
     *
     * @param k rows (in-features)
     * @param n columns (out-features)
     * @param groupSize -1, 32, 64, 128 or 256
     * @param scaleType FP16 or BF16; FP32 for scales that neither holds, which packing rounds
     */
    public static Builder builder(int k, int n, int groupSize, DataType scaleType) {
        return builder(k, n, WeightForm.int4(groupSize, false), scaleType);
    }

    /**
     * Starts a matrix whose codes, scales, zero points or float zeros and bias are all zero, and whose column scales are 1.
     *
     * @param k rows (in-features)
     * @param n columns (out-features)
     * @param form what a weight is
     * @param scaleType of scales and float zeros: FP16 or BF16; FP32 for what neither holds, which packing rounds
     */
    public static Builder builder(int k, int n, WeightForm form, DataType scaleType) {
        return new Builder(new StripedLayout(k, n, form), scaleType);
    }

    /** Rows (in-features). */
    public int k() {
        return layout.k();
    }

    /** Columns (out-features). */
    public int n() {
        return layout.n();
    }

    /** The group size as asked for: -1, 16, 32, 64, 128 or 256. */
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

    /** Whether there are zero points, as {@link #form} says too. */
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

    /** Shape and group size, and where a packed matrix of that shape has its parts. */
    public StripedLayout layout() {
        return layout;
    }

    /** The code of a row and column, 0..15 or 0..255. */
    public int code(int row, int column) {
        Objects.checkIndex(row, k());
        Objects.checkIndex(column, n());
        var code = form().code();
        return codes.getByte(row * form().codeStride(n()) + column / code.perByte()) >>> layout.codeShift(column) & code.max();
    }

    /** The scale of a group and column. */
    public float scale(int group, int column) {
        return MatrixBuilder.get(scales, scaleType, element(group, column));
    }

    /** The scale of a group and column as stored, if the scale type has 16 bits. */
    public short scaleBits(int group, int column) {
        return scales.getShort(element(group, column) * Short.BYTES);
    }

    /** The zero point of a group and column; the middle of the codes if there are none. */
    public int zeroPoint(int group, int column) {
        long element = element(group, column);
        if (!hasZeroPoints()) {
            return form().code().middle();
        }
        return form().zeroPointBytes() == 1 ? offsets.getByte(element) & 0xff : offsets.getShort(element * Short.BYTES) & 0xffff;
    }

    /** The float zero of a group and column, what a code of 0 is worth, if the matrix has them. */
    public float floatZero(int group, int column) {
        requireFloatZeros();
        return MatrixBuilder.get(offsets, scaleType, element(group, column));
    }

    /** The float zero of a group and column as stored, if the scale type has 16 bits. */
    public short floatZeroBits(int group, int column) {
        requireFloatZeros();
        return offsets.getShort(element(group, column) * Short.BYTES);
    }

    private void requireFloatZeros() {
        if (!form().hasFloatZeros()) {
            throw new IllegalStateException("float zeros were asked for of " + this);
        }
    }

    /** What the scales of a column are multiplied with besides: 1 unless the form has column scales. */
    public float columnScale(int column) {
        Objects.checkIndex(column, n());
        return columnScales == null ? 1 : columnScales[column];
    }

    /** The bias of a column; 0 if there is none. */
    public float bias(int column) {
        Objects.checkIndex(column, n());
        return bias == null ? 0 : bias[column];
    }

    /** The weight of a row and column; exact with 16-bit scales alone, since up to nine bits times such a float fit a float. */
    public float weight(int row, int column) {
        return (float) exactWeight(row, column);
    }

    /** The same, exact: to the precision of a double at least, where float zeros of another size are FP32. */
    public double exactWeight(int row, int column) {
        int group = row / rowsPerGroup();
        double value = form().code().value(code(row, column));
        double scale = scale(group, column);
        if (form().hasFloatZeros()) {
            return value * scale + floatZero(group, column);
        }
        return (value - zeroPoint(group, column)) * scale * columnScale(column);
    }

    /** All codes, {@code [k]} rows of {@link WeightForm#codeStride} bytes. Not to be written to. */
    public NativeMemory codes() {
        return codes;
    }

    /** All scales, {@code [groups][n]} of the scale type. Not to be written to. */
    public NativeMemory scales() {
        return scales;
    }

    /** All zero points, {@code [groups][n]} of {@link WeightForm#zeroPointBytes}, or null if there are none. Not to be written to. */
    public NativeMemory zeroPoints() {
        return hasZeroPoints() ? offsets : null;
    }

    /** All float zeros, {@code [groups][n]} of the scale type, or null if there are none. Not to be written to. */
    public NativeMemory floatZeros() {
        return form().hasFloatZeros() ? offsets : null;
    }

    /** A copy of the column scales, {@code [n]}, or null if there are none. */
    public float[] columnScales() {
        return columnScales == null ? null : columnScales.clone();
    }

    /** A copy of the bias, {@code [n]}, or null if there is none. */
    public float[] bias() {
        return bias == null ? null : bias.clone();
    }

    /** Bytes of one row of 4-bit codes of {@code n} columns; {@link WeightForm#codeStride} of others. */
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
        if (offsets != null) {
            offsets.close();
        }
    }

    @Override
    public String toString() {
        return "QuantizedMatrix[" + layout + ", scales " + scaleType + ", " + form()
                + (hasBias() ? ", bias" : "") + (hasInputOrder() ? ", act order]" : "]");
    }

    /**
     * Collects the parts of a matrix. Elements can be set one by one, by rows, or written straight into the off-heap memory;
     * {@link #build} checks what the setters could not. Several threads may fill disjoint rows. Closing it frees the memory of a
     * matrix that was not built; then no thread may fill it any more.
     */
    public static final class Builder extends MatrixBuilder {
        private Builder(StripedLayout layout, DataType scaleType) {
            super(layout, scaleType);
        }
    }
}
