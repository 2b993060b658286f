package io.github.jmarlin.layout;

import java.util.Arrays;
import java.util.Objects;

/**
 * What a weight is: how a code, an offset and a scale make a number, and how codes lie in their blocks. One value decides the
 * bytes of a block, which instance of a kernel and which routine of the CPU can read it, and what the header of a packed file says;
 * whoever wants to know whether there are zero points asks it too.
 *
 * <p>A new kind of number is a new constant below; what does not know the constant refuses it by its name. This version implements
 * 4-bit integers.
 *
 * @param code what a stored code is
 * @param offset what is taken from a code before it is scaled
 * @param scaleSource where its scale comes from
 * @param groupSize rows that share a scale, as asked for: 32, 64, 128, 256, or -1 for one group per column
 * @param sparsity which weights are stored at all
 * @param columns in which order columns lie
 */
public record WeightForm(Code code, Offset offset, ScaleSource scaleSource, int groupSize, Sparsity sparsity, Columns columns) {
    /** The group size that means one group per column. */
    public static final int PER_COLUMN = -1;

    private static final int[] GROUP_SIZES = {PER_COLUMN, 32, 64, 128, 256};

    /** What a stored code is. */
    public enum Code {
        /** An integer 0..15. */
        INT4(4);

        private final int bits;

        Code(int bits) {
            this.bits = bits;
        }

        /** Bits of one code. */
        public int bits() {
            return bits;
        }
    }

    /** What is taken from a code before it is scaled. */
    public enum Offset {
        /** The middle of the code's range, 8 for 4 bits: symmetric weights. */
        MIDDLE,
        /** An integer zero point for each group and column, 0..16. */
        ZERO_POINT
    }

    /** Where a weight's scale comes from. */
    public enum ScaleSource {
        /** A 16-bit float for each group and column, times a power of two for each column. */
        GROUP
    }

    /** Which weights are stored at all. */
    public enum Sparsity {
        /** Every one. */
        DENSE,
        /**
         * Two of every four neighbouring rows of a column, rows 4 i to 4 i + 3, and beside their codes which two; the others are 0. Only
         * of symmetric weights, in groups of 64 rows or more.
         */
        TWO_OF_FOUR
    }

    /** In which order columns lie. */
    public enum Columns {
        /** As in the matrix. */
        NATURAL,
        /**
         * Those of two layers of one shape in turn, the gate and the up projection of an MLP: column 2 j is column j of the gate,
         * column 2 j + 1 of the up projection. There is an even number of them.
         */
        GATE_UP
    }

    /** Checks the group size. */
    public WeightForm {
        Objects.requireNonNull(code, "code");
        Objects.requireNonNull(offset, "offset");
        Objects.requireNonNull(scaleSource, "scale source");
        Objects.requireNonNull(sparsity, "sparsity");
        Objects.requireNonNull(columns, "columns");
        checkGroupSize(groupSize);
        if (sparsity == Sparsity.TWO_OF_FOUR && (offset != Offset.MIDDLE || groupSize == 32)) {
            throw new IllegalArgumentException("weights with 2:4 sparsity have no zero points and groups of 64, 128, 256 or -1 rows, not "
                    + (offset == Offset.MIDDLE ? "" : offset + " and ") + "groups of " + groupSize);
        }
    }

    /** 4-bit integers in groups, every weight stored, columns in their order. */
    public static WeightForm int4(int groupSize, boolean zeroPoints) {
        return new WeightForm(Code.INT4, zeroPoints ? Offset.ZERO_POINT : Offset.MIDDLE, ScaleSource.GROUP, groupSize,
                Sparsity.DENSE, Columns.NATURAL);
    }

    /** The same with columns in another order. */
    public WeightForm withColumns(Columns order) {
        return new WeightForm(code, offset, scaleSource, groupSize, sparsity, order);
    }

    /** The same with other weights stored. */
    public WeightForm withSparsity(Sparsity other) {
        return new WeightForm(code, offset, scaleSource, groupSize, other, columns);
    }

    /** The same with or without zero points. */
    public WeightForm withZeroPoints(boolean present) {
        return new WeightForm(code, present ? Offset.ZERO_POINT : Offset.MIDDLE, scaleSource, groupSize, sparsity, columns);
    }

    /** The same with another group size, for instance of a shard. */
    public WeightForm withGroupSize(int other) {
        return new WeightForm(code, offset, scaleSource, other, sparsity, columns);
    }

    static void checkGroupSize(int groupSize) {
        if (Arrays.stream(GROUP_SIZES).noneMatch(size -> size == groupSize)) {
            throw new IllegalArgumentException("group size " + groupSize + " is not supported: one of "
                    + Arrays.toString(GROUP_SIZES) + " expected (-1: one group per column)");
        }
    }

    /** Whether every group and column has an integer zero point of its own. */
    public boolean hasZeroPoints() {
        return offset == Offset.ZERO_POINT;
    }

    /** 16-bit words for each group and column: its scale, and its zero point if there is one. */
    public int parameterWords() {
        return hasZeroPoints() ? 2 : 1;
    }

    /** Whether only two of every four rows are stored. */
    public boolean isSparse() {
        return sparsity == Sparsity.TWO_OF_FOUR;
    }

    /** Rows of the matrix that one block of 64 x 64 stored codes covers: 64, or 128 of sparse weights. */
    public int blockRows() {
        return isSparse() ? 2 * StripedLayout.BLOCK : StripedLayout.BLOCK;
    }

    /** Bytes of the codes of one block of 64 x 64 stored weights. */
    public int blockCodeBytes() {
        return StripedLayout.BLOCK * StripedLayout.BLOCK * code.bits() / Byte.SIZE;
    }

    /** Bytes of one block: its codes and, of sparse weights, behind them four bits for every four rows of a column. */
    public int blockBytes() {
        return blockCodeBytes() + (isSparse() ? blockRows() / 4 * StripedLayout.BLOCK / 2 : 0);
    }

    /** What instances of a kernel that read such weights have in their name: {@code zp}, {@code sym} or {@code sp24}. */
    public String tag() {
        return isSparse() ? "sp24" : hasZeroPoints() ? "zp" : "sym";
    }

    /** Checks that columns can lie in this order. */
    public void checkColumns(int n) {
        if (columns == Columns.GATE_UP && n % 2 != 0) {
            throw new IllegalArgumentException("n " + n + " with columns " + columns + ": an even number of columns expected");
        }
    }

    /** {@code symmetric}, {@code zero points} or {@code 2:4 sparse}, and {@code gate and up in turn}, for messages. */
    @Override
    public String toString() {
        return (isSparse() ? "2:4 sparse" : hasZeroPoints() ? "zero points" : "symmetric") + (columns == Columns.GATE_UP ? ", gate and up in turn" : "");
    }
}
