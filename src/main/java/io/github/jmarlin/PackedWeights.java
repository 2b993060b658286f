package io.github.jmarlin;

import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.StripedPacker;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.IntBuffer;
import java.util.Objects;

/**
 * Weights in the striped layout ({@link StripedLayout}), ready for one compute type: what devices multiply with.
 *
 * <p>Besides the codes there are, all off-heap and little-endian, with columns and rows padded to whole blocks of 64 by zeros:
 * <ul>
 *   <li>{@link #scales}: {@code S = s * 2^shift} in the compute type, with one shift per column that puts the column's largest
 *       |S| into [2^15, 2^16) for FP16 and [2^126, 2^127) for BF16, where a kernel's product of a code and S keeps most bits;
 *   <li>{@link #zeros}: zero points as bits {@code 0x8000 | z << 4h}, with h the lowest bit of the column. A nibble masked out of a
 *       code word <i>is</i> a subnormal number of the compute type, worth {@code q * 2^-24} (h = 0) or {@code q * 2^-20} (h = 1)
 *       in FP16, {@code q * 2^-133} or {@code q * 2^-129} in BF16; these bits are {@code -z} in the same unit. Of 8-bit codes, whose
 *       bytes are masked out as those of h = 0, the unit is that of h = 0 in all columns, and the bits are {@code 0x8000 | z};
 *   <li>or float zeros, {@code Z * 2^shift} in the unit of the codes, rounded to the compute type: a kernel adds them to a scaled code;
 *   <li>{@link #factors}: {@code 2^(24 - shift)} and {@code 2^(20 - shift)} in FP16, {@code 2^(133 - shift)} and
 *       {@code 2^(129 - shift)} in BF16, as floats: what the sum over a column has to be multiplied with to undo shift and unit.
 *       The unit of {@linkplain WeightForm.Code#E2M1 floats}, placed where the type has its exponent, is 2^-14 or 2^-126.
 *       Columns whose scales are all zero, and padding, have the factor 1. Where scales were FP32, times the mantissa of the
 *       column's largest scale, which so is kept exactly: a column of one group loses nothing; and times the column's scale, if it has
 *       one.
 * </ul>
 *
 * <p>Rows may multiply activations in another order than their own ({@link #inputOrder}, from act-ordered checkpoints).
 *
 * <p>Immutable and safe to share between threads, devices and layers, as long as it is not closed.
 */
public final class PackedWeights implements AutoCloseable {
    private final StripedLayout layout;
    private final DataType computeType;
    private final NativeMemory codes;
    private final NativeMemory scales;
    private final NativeMemory zeros;
    private final NativeMemory factors;
    private final NativeMemory bias;
    private final IntBuffer inputOrder;

    private PackedWeights(StripedLayout layout, DataType computeType, NativeMemory codes, NativeMemory scales,
            NativeMemory zeros, NativeMemory factors, NativeMemory bias, IntBuffer inputOrder) {
        this.layout = layout;
        this.computeType = computeType;
        this.codes = codes;
        this.scales = scales;
        this.zeros = zeros;
        this.factors = factors;
        this.bias = bias;
        this.inputOrder = inputOrder;
    }

    /**
     * Packs a matrix, on all processors. Scales of another type are rounded to the nearest, FP32 relative to their column's largest.
     *
     * @param computeType FP16 or BF16: the type of activations and outputs on a GPU
     * @throws IllegalArgumentException if a column's scales do not fit the compute type even after its shift
     */
    public static PackedWeights pack(QuantizedMatrix matrix, DataType computeType) {
        return StripedPacker.pack(matrix, computeType);
    }

    /**
     * Weights from regions that already hold packed bytes, for instance of a mapped file; their sizes are checked, their content
     * is not.
     *
     * @param computeType FP16 or BF16
     * @param codes {@link StripedLayout#codeBytes} bytes, each strip contiguous
     * @param scales {@link StripedLayout#scaleBytes} bytes, each strip contiguous
     * @param zeros as many bytes, or null for weights without zero points or float zeros
     * @param factors a float for every padded column
     * @param bias a float for every padded column, or null
     * @return weights that own the regions and close them
     */
    public static PackedWeights of(StripedLayout layout, DataType computeType, NativeMemory codes, NativeMemory scales,
            NativeMemory zeros, NativeMemory factors, NativeMemory bias) {
        Objects.requireNonNull(layout, "layout");
        checkComputeType(computeType);
        long columnBytes = (long) layout.paddedN() * Float.BYTES;
        checkSize("codes", codes, layout.codeBytes(), layout);
        checkSize("scales", scales, layout.scaleBytes(), layout);
        checkSize("factors", factors, columnBytes, layout);
        if ((zeros != null) != layout.form().storesOffsets()) {
            throw new IllegalArgumentException("zeros " + (zeros == null ? "null" : "of " + zeros.size() + " bytes")
                    + " given for weights that are " + layout.form());
        }
        if (zeros != null) {
            checkSize("zeros", zeros, layout.scaleBytes(), layout);
        }
        if (bias != null) {
            checkSize("bias", bias, columnBytes, layout);
        }
        return new PackedWeights(layout, computeType, codes, scales, zeros, factors, bias, null);
    }

    /**
     * These weights with row i multiplying activation {@code order[i]}, see {@link QuantizedMatrix#inputOrder}. They take the memory
     * over: use and close the result instead of this object.
     *
     * @param order each of 0..k-1 once, or null: row i multiplies activation i
     */
    public PackedWeights withInputOrder(IntBuffer order) {
        return new PackedWeights(layout, computeType, codes, scales, zeros, factors, bias,
                order == null ? null : MatrixChecks.permutation(order, k()));
    }

    /**
     * These weights, whose columns lie in this order ({@link #form}): it says what they are and moves nothing. They take the memory
     * over: use and close the result instead of this object.
     *
     * @throws IllegalArgumentException if n columns cannot lie so
     */
    public PackedWeights withColumns(WeightForm.Columns order) {
        return new PackedWeights(layout.withForm(form().withColumns(order)), computeType, codes, scales, zeros, factors, bias, inputOrder);
    }

    /** Rejects what is not FP16 or BF16. */
    public static void checkComputeType(DataType computeType) {
        if (computeType == null || !computeType.is16Bit()) {
            throw new IllegalArgumentException("compute type " + computeType + " is not supported: FP16 or BF16 expected");
        }
    }

    private static void checkSize(String name, NativeMemory region, long bytes, StripedLayout layout) {
        Objects.requireNonNull(region, name);
        if (region.size() != bytes) {
            throw new IllegalArgumentException(name + " of " + region.size() + " bytes given, " + bytes + " expected for " + layout);
        }
    }

    /**
     * The matrix these weights were packed from. Codes and zero points are always the same, scales too if they had the compute
     * type (else they are rounded to its precision, and FP32 if it does not hold them without their column's shift); float zeros too
     * unless they are far below the scales of their column, column scales but for a power of two that the scales have instead.
     */
    public QuantizedMatrix unpack() {
        return StripedPacker.unpack(this).withInputOrder(inputOrder);
    }

    /** Rows (in-features). */
    public int k() {
        return layout.k();
    }

    /** Columns (out-features). */
    public int n() {
        return layout.n();
    }

    /** k rounded up to whole blocks. */
    public int paddedK() {
        return layout.paddedK();
    }

    /** n rounded up to a multiple of 64. */
    public int paddedN() {
        return layout.paddedN();
    }

    /** Strips of 64 columns. */
    public int strips() {
        return layout.strips();
    }

    /** Blocks of a strip, of 64 rows or, of sparse weights, 128. */
    public int kBlocks() {
        return layout.kBlocks();
    }

    /** The group size as asked for: -1, 16, 32, 64, 128 or 256. */
    public int groupSize() {
        return layout.groupSize();
    }

    /** Groups along k. */
    public int groups() {
        return layout.groups();
    }

    /** Rows of scales stored per strip. */
    public int scaleRows() {
        return layout.scaleRows();
    }

    /** FP16 or BF16. */
    public DataType computeType() {
        return computeType;
    }

    /** What a weight is: which kernels and routines can read it. */
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

    /** Whether rows multiply activations in another order than their own: a device then gathers the activations first. */
    public boolean hasInputOrder() {
        return inputOrder != null;
    }

    /** The activation that each row multiplies, {@code [k]}, read-only; null if row i multiplies activation i. */
    public IntBuffer inputOrder() {
        return inputOrder == null ? null : inputOrder.duplicate();
    }

    /** Shape, sizes and the index formula. */
    public StripedLayout layout() {
        return layout;
    }

    /** {@code [strips][kBlocks]} blocks, as {@link StripedLayout} draws them. */
    public NativeMemory codes() {
        return codes;
    }

    /** {@code [strips][scaleRows][64]} shifted scales of 16 bits. */
    public NativeMemory scales() {
        return scales;
    }

    /** {@code [strips][scaleRows][64]} zero codes or float zeros of 16 bits, or null if the weights are symmetric. */
    public NativeMemory zeros() {
        return zeros;
    }

    /** {@code [paddedN]} floats. */
    public NativeMemory factors() {
        return factors;
    }

    /** {@code [paddedN]} floats, or null if there is no bias. */
    public NativeMemory bias() {
        return bias;
    }

    /** Bytes of all regions. */
    public long byteSize() {
        return codes.size() + scales.size() + factors.size() + (zeros == null ? 0 : zeros.size()) + (bias == null ? 0 : bias.size());
    }

    /** Keeps the memory open until {@link #release}; a device does so while it reads. Allocates nothing. */
    public void acquire() {
        codes.acquire();
    }

    /** Ends a use announced by {@link #acquire}. */
    public void release() {
        codes.release();
    }

    /**
     * Frees the memory. A second call does nothing.
     *
     * @throws IllegalStateException while a layer uses it
     */
    @Override
    public void close() {
        codes.close();
        scales.close();
        factors.close();
        if (zeros != null) {
            zeros.close();
        }
        if (bias != null) {
            bias.close();
        }
    }

    @Override
    public String toString() {
        return "PackedWeights[" + layout + ", " + computeType + ", " + form()
                + (hasBias() ? ", bias" : "") + (hasInputOrder() ? ", act order]" : "]");
    }
}
