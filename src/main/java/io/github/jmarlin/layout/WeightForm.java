package io.github.jmarlin.layout;

import java.util.Arrays;
import java.util.Objects;

/**
 * What a weight is: how a code, an offset and a scale make a number, and how codes lie in their blocks. One value decides the
 * bytes of a block, which instance of a kernel and which routine of the CPU can read it, and what the header of a packed file says;
 * whoever wants to know whether there are zero points asks it too.
 *
 * <pre>
 *   weight = (value of the code - offset) * scale          offset MIDDLE or ZERO_POINT
 *   weight =  value of the code * scale + Z                offset FLOAT_ZERO
 *
 *   code    offset       groups of   kernels' tag     image   comes from
 *   INT4    MIDDLE       32..        sym                      GPTQ, AWQ, compressed-tensors; Q4_0
 *   INT4    ZERO_POINT   32..        zp                       the same, asymmetric
 *   INT4    MIDDLE, 2:4  64..        sp24             sp24    marlin-24
 *   INT4    FLOAT_ZERO   32..        fz               fz      Q4_1, Q4_K, MLX
 *   INT8    MIDDLE       16..        i8               i8      8-bit layers; Q8_0, Q5_0, Q6_K
 *   INT8    ZERO_POINT   32..        i8zp             i8      8-bit layers, asymmetric
 *   INT8    FLOAT_ZERO   32..        i8fz             i8      Q5_1, Q5_K, MLX 8-bit
 *   E2M1    MIDDLE       16..        fp4              fp4     MXFP4, NVFP4
 * </pre>
 *
 * <p>Others are refused by the names of what they combine. What does not know a constant refuses it by its name.
 *
 * @param code what a stored code is
 * @param offset what is taken from a code before it is scaled, or added after
 * @param scaleSource where its scale comes from
 * @param groupSize rows that share a scale, as asked for: 16, 32, 64, 128, 256, or -1 for one group per column
 * @param sparsity which weights are stored at all
 * @param columns in which order columns lie
 */
public record WeightForm(Code code, Offset offset, ScaleSource scaleSource, int groupSize, Sparsity sparsity, Columns columns) {
    /** The group size that means one group per column. */
    public static final int PER_COLUMN = -1;

    private static final int SMALLEST_GROUP = 16;
    private static final int[] GROUP_SIZES = {PER_COLUMN, SMALLEST_GROUP, 32, 64, 128, 256};

    /** What a stored code is. */
    public enum Code {
        /** An integer 0..15. */
        INT4(4, 8),
        /** An integer 0..255. */
        INT8(8, 128),
        /** A float of a sign (8), two bits of exponent (6) and one of mantissa (1): 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives. */
        E2M1(4, 0);

        private final int bits;
        private final int middle;

        Code(int bits, int middle) {
            this.bits = bits;
            this.middle = middle;
        }

        /** Bits of one code. */
        public int bits() {
            return bits;
        }

        /** The largest code. */
        public int max() {
            return (1 << bits) - 1;
        }

        /** The value whose weight is 0 without an offset of its own. */
        public int middle() {
            return middle;
        }

        /** Codes in a byte. */
        public int perByte() {
            return Byte.SIZE / bits;
        }

        /** What a code is worth: itself, if it is an integer. */
        public float value(int code) {
            if (this != E2M1) {
                return code;
            }
            int exponent = code >> 1 & 3;
            float magnitude = exponent == 0 ? (code & 1) * 0.5f : Math.scalb(1 + (code & 1) * 0.5f, exponent - 1);
            return code < 8 ? magnitude : -magnitude;
        }
    }

    /** What is taken from a code before it is scaled, or added after. */
    public enum Offset {
        /** The middle of the code's range, 8 for 4 bits and 128 for 8, nothing of floats: symmetric weights. */
        MIDDLE,
        /** An integer zero point for each group and column, 0..16 or 0..256. */
        ZERO_POINT,
        /** A float for each group and column, added to the scaled code: what a code of 0 is worth. */
        FLOAT_ZERO
    }

    /** Where a weight's scale comes from. */
    public enum ScaleSource {
        /** A 16-bit float for each group and column, times a power of two for each column. */
        GROUP,
        /** That, times a float for each column besides; of E2M1. */
        GROUP_AND_COLUMN
    }

    /** Which weights are stored at all. */
    public enum Sparsity {
        /** Every one. */
        DENSE,
        /**
         * Two of every four neighbouring rows of a column, rows 4 i to 4 i + 3, and beside their codes which two; the others are 0. Only
         * of symmetric weights, in groups of 64 rows or more. On GPUs, what is not stored is not multiplied: a product with an infinite
         * activation of an unstored weight may stay finite or give NaN.
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

    /** Checks the group size and that the parts go together. */
    public WeightForm {
        Objects.requireNonNull(code, "code");
        Objects.requireNonNull(offset, "offset");
        Objects.requireNonNull(scaleSource, "scale source");
        Objects.requireNonNull(sparsity, "sparsity");
        Objects.requireNonNull(columns, "columns");
        checkGroupSize(groupSize);
        if (sparsity == Sparsity.TWO_OF_FOUR
                && (code != Code.INT4 || offset != Offset.MIDDLE || groupSize == SMALLEST_GROUP || groupSize == 32)) {
            throw new IllegalArgumentException("weights with 2:4 sparsity are " + Code.INT4 + " without zero points, in groups of 64, 128, "
                    + "256 or -1 rows, not " + code + (offset == Offset.MIDDLE ? "" : " with " + offset) + " in groups of " + groupSize);
        }
        if (code == Code.E2M1 && offset != Offset.MIDDLE) {
            throw new IllegalArgumentException("weights of " + code + " have the offset " + Offset.MIDDLE + ", not " + offset);
        }
        if (scaleSource == ScaleSource.GROUP_AND_COLUMN && code != Code.E2M1) {
            throw new IllegalArgumentException("scales from " + scaleSource + " are of " + Code.E2M1 + ", not of " + code);
        }
        if (groupSize == SMALLEST_GROUP && (code == Code.INT4 || offset != Offset.MIDDLE)) {
            throw new IllegalArgumentException("group size " + groupSize + " is of " + Code.INT8 + " and " + Code.E2M1 + " with the offset "
                    + Offset.MIDDLE + ", not of " + code + " with " + offset);
        }
    }

    /** Codes and an offset with a scale for each group, every weight stored, columns in their order. */
    public static WeightForm of(Code code, Offset offset, int groupSize) {
        return new WeightForm(code, offset, ScaleSource.GROUP, groupSize, Sparsity.DENSE, Columns.NATURAL);
    }

    /** 4-bit integers in groups, every weight stored, columns in their order. */
    public static WeightForm int4(int groupSize, boolean zeroPoints) {
        return of(Code.INT4, zeroPoints ? Offset.ZERO_POINT : Offset.MIDDLE, groupSize);
    }

    /** The same with columns in another order. */
    public WeightForm withColumns(Columns order) {
        return new WeightForm(code, offset, scaleSource, groupSize, sparsity, order);
    }

    /** The same with other weights stored. */
    public WeightForm withSparsity(Sparsity other) {
        return new WeightForm(code, offset, scaleSource, groupSize, other, columns);
    }

    /** The same with another offset. */
    public WeightForm withOffset(Offset other) {
        return new WeightForm(code, other, scaleSource, groupSize, sparsity, columns);
    }

    /** The same with scales from elsewhere. */
    public WeightForm withScaleSource(ScaleSource other) {
        return new WeightForm(code, offset, other, groupSize, sparsity, columns);
    }

    /** The same with or without zero points. */
    public WeightForm withZeroPoints(boolean present) {
        return withOffset(present ? Offset.ZERO_POINT : Offset.MIDDLE);
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

    /** Whether every group and column has a float of its own that is added to its scaled codes. */
    public boolean hasFloatZeros() {
        return offset == Offset.FLOAT_ZERO;
    }

    /** Whether an offset of 16 bits is stored for every group and column beside its scale: zero points or float zeros. */
    public boolean storesOffsets() {
        return offset != Offset.MIDDLE;
    }

    /** Whether every column has a factor of its own beside the scales of its groups. */
    public boolean hasColumnScales() {
        return scaleSource == ScaleSource.GROUP_AND_COLUMN;
    }

    /** The largest zero point: one above the largest code, since one checkpoint format stores them minus one. */
    public int maxZeroPoint() {
        return code.max() + 1;
    }

    /** Bytes of a zero point of a matrix: 1, or 2 where 256 is one. */
    public int zeroPointBytes() {
        return maxZeroPoint() > 0xff ? Short.BYTES : Byte.BYTES;
    }

    /** 16-bit words for each group and column: its scale, and its zero point or float zero if there is one. */
    public int parameterWords() {
        return storesOffsets() ? 2 : 1;
    }

    /** Whether only two of every four rows are stored. */
    public boolean isSparse() {
        return sparsity == Sparsity.TWO_OF_FOUR;
    }

    /** Rows of the matrix that one block of 64 x 64 stored codes covers: 64, or 128 of sparse weights. */
    public int blockRows() {
        return isSparse() ? 2 * StripedLayout.BLOCK : StripedLayout.BLOCK;
    }

    /** Rows of scales that lie in one block where groups are shorter than it, 2 or 4; else 1, for one block or several. */
    public int scaleRowsPerBlock() {
        return groupSize == PER_COLUMN ? 1 : Math.max(1, blockRows() / groupSize);
    }

    /** Bytes of the codes of one block of 64 x 64 stored weights: 2048, or 4096 of 8-bit codes. */
    public int blockCodeBytes() {
        return StripedLayout.BLOCK * StripedLayout.BLOCK / code.perByte();
    }

    /** Bytes of one block: its codes and, of sparse weights, behind them four bits for every four rows of a column. */
    public int blockBytes() {
        return blockCodeBytes() + (isSparse() ? blockRows() / 4 * StripedLayout.BLOCK / 2 : 0);
    }

    /** Bytes of one row of the codes of a matrix of {@code n} columns. */
    public long codeStride(int n) {
        return (n - 1L) / code.perByte() + 1;
    }

    /** What instances of a kernel that read such weights have in their name; see the table. */
    public String tag() {
        if (isSparse()) {
            return "sp24";
        }
        return switch (code) {
            case E2M1 -> "fp4";
            case INT4 -> suffix("sym", "zp", "fz");
            case INT8 -> suffix("i8", "i8zp", "i8fz");
        };
    }

    private String suffix(String middle, String zeroPoint, String floatZero) {
        return switch (offset) {
            case MIDDLE -> middle;
            case ZERO_POINT -> zeroPoint;
            case FLOAT_ZERO -> floatZero;
        };
    }

    /** Checks that columns can lie in this order. */
    public void checkColumns(int n) {
        if (columns == Columns.GATE_UP && n % 2 != 0) {
            throw new IllegalArgumentException("n " + n + " with columns " + columns + ": an even number of columns expected");
        }
    }

    /** {@code symmetric}, {@code 8-bit, zero points}, {@code fp4} and so on, and {@code gate and up in turn}, for messages. */
    @Override
    public String toString() {
        String number = isSparse() ? "2:4 sparse" : code == Code.E2M1 ? "fp4" : suffix("symmetric", "zero points", "float zeros");
        return (code == Code.INT8 ? "8-bit, " : "") + number + (hasColumnScales() ? " with column scales" : "")
                + (columns == Columns.GATE_UP ? ", gate and up in turn" : "");
    }
}
