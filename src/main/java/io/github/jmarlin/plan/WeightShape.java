package io.github.jmarlin.plan;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.WeightForm;
import java.util.List;
import java.util.Objects;

/**
 * Shape and form of packed weights, as far as a plan depends on them.
 *
 * @param k in-features (the reduction), unpadded
 * @param n out-features, unpadded
 * @param computeType FP16 or BF16
 * @param form what a weight is
 */
public record WeightShape(int k, int n, DataType computeType, WeightForm form) {

    /** {@link #groupShift()} of weights with one group per column: larger than any block index. */
    public static final int ONE_GROUP = 31;

    public WeightShape {
        Objects.requireNonNull(computeType, "computeType");
        Objects.requireNonNull(form, "form");
        if (k < 1 || n < 1 || k > Integer.MAX_VALUE - 63 || n > Integer.MAX_VALUE - 63) {
            throw new IllegalArgumentException("weights " + k + " x " + n + ": k and n must be in 1.."
                    + (Integer.MAX_VALUE - 63));
        }
        if (computeType == DataType.FP32) {
            throw new IllegalArgumentException("compute type " + computeType + ": tensor cores take FP16 or BF16");
        }
    }

    /** Of 4-bit integers. */
    public WeightShape(int k, int n, int groupSize, DataType computeType, boolean zeroPoints) {
        this(k, n, computeType, WeightForm.int4(groupSize, zeroPoints));
    }

    /** k-rows that share a scale: -1 (one group per column), 16, 32, 64, 128 or 256. */
    public int groupSize() {
        return form.groupSize();
    }

    /** The kernels that read such weights. */
    public KernelSet kernels() {
        return KernelSet.of(form);
    }

    /** The tiles of the Hopper kernel for such weights; none if it does not read them. */
    public List<HopperTile> hopperTiles() {
        return kernels().weights(KernelFamily.HOPPER).contains(kind()) ? kernels().hopperTiles() : List.of();
    }

    /** Strips of 64 columns, the last one padded. */
    public int strips() {
        return (n + 63) / 64;
    }

    /** k-rows of a block: 64, or 128 of sparse weights. */
    public int blockRows() {
        return form.blockRows();
    }

    /** Blocks of {@link #blockRows} k, the last one padded. */
    public int kBlocks() {
        return (int) ((k + (long) blockRows() - 1) / blockRows());
    }

    /** Whether one scale covers a whole column: g = -1, or a group as long as the column. */
    public boolean isOneGroup() {
        return groupSize() == -1 || groupSize() >= k;
    }

    /** Rows of scales of one block: more than 1 where it holds several groups, for which kernels have instances of their own. */
    public int scaleRowsPerBlock() {
        return isOneGroup() ? 1 : form.scaleRowsPerBlock();
    }

    /** Rows of 64 scales in a strip. */
    public int scaleRows() {
        if (isOneGroup()) {
            return 1;
        }
        return scaleRowsPerBlock() > 1 ? scaleRowsPerBlock() * kBlocks()
                : (int) (((long) blockRows() * kBlocks() + groupSize() - 1) / groupSize());
    }

    /** log2 of the blocks under one row of scales; {@link #ONE_GROUP} for one group, unused (0) where a block has several rows. */
    public int groupShift() {
        if (isOneGroup()) {
            return ONE_GROUP;
        }
        return scaleRowsPerBlock() > 1 ? 0 : Integer.numberOfTrailingZeros(groupSize() / blockRows());
    }

    /** Bytes of codes, scales and zero points on the device. */
    public long packedBytes() {
        long parameters = (long) strips() * scaleRows() * TileShape.SCALE_ROW_BYTES * form.parameterWords();
        return (long) strips() * kBlocks() * form.blockBytes() + parameters;
    }

    /** Of these, per block. */
    double bytesPerBlock() {
        return (double) packedBytes() / ((double) strips() * kBlocks());
    }

    /** Elements from column to column of the dense weights: k rounded up to 8, so that columns begin on 16 bytes. */
    public long denseStride() {
        return (k + 7L) / 8 * 8;
    }

    /** Bytes of the dense weights. */
    public long denseBytes() {
        return denseStride() * n * 2;
    }

    /** What every kernel for such weights has in its name: {@code f16_sym_g64}. */
    String instance() {
        return (computeType == DataType.FP16 ? "f16_" : "bf16_") + kind();
    }

    /**
     * What of form and group size kernels tell apart, as their names have it: {@code zp_g32}. Groups that are whole blocks, and whole
     * columns, are one kind.
     */
    public String kind() {
        return form.tag() + "_g" + blockRows() / scaleRowsPerBlock();
    }

    @Override
    public String toString() {
        return k + " x " + n + " " + computeType + (groupSize() == -1 ? ", one group per column" : ", groups of " + groupSize())
                + (form.hasZeroPoints() && form.code() == WeightForm.Code.INT4 ? " with zero points" : ", " + form);
    }
}
