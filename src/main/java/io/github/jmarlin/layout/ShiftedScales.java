package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;

/**
 * Scales, zero points and float zeros as {@link PackedWeights} keeps them: scales shifted by a power of two per column, zero points
 * as numbers of the compute type in the unit of a masked code, float zeros shifted and in that unit, and the factor per column that
 * undoes shift and unit.
 *
 * <pre>
 *   S = s * 2^shift / mantissa         as large as the type allows; the mantissa is 1 unless scales are FP32
 *   Z'= Z * 2^(shift - unit) / mantissa, times what rounding made of s
 *   a code masked out of a word, read as a number of the type, is worth q * 2^-unit
 *   (q * 2^-unit - z * 2^-unit) * S,  or  q * 2^-unit * S + Z',  times the factor 2^(unit - shift) * mantissa * column scale: a weight
 * </pre>
 */
public final class ShiftedScales {
    /** The exponent that a column's largest scale gets: the top binade, for BF16 the one below so that it can be doubled. */
    private static final int FP16_TOP = 15;
    private static final int BF16_TOP = 126;
    /** An integer in the lowest bits of a number of the type is worth q * 2^-UNIT; a nibble in the bits above, q * 2^-(UNIT - 4). */
    private static final int FP16_UNIT = 24;
    private static final int BF16_UNIT = 133;
    /** E2M1 whose exponent and mantissa lie on both sides of the type's border between them is worth value * 2^-FLOAT_UNIT. */
    private static final int FP16_FLOAT_UNIT = 14;
    private static final int BF16_FLOAT_UNIT = 126;
    private static final int SIGN = 0x8000;

    private ShiftedScales() {
    }

    /** Whether all weights of a group and column are 0 whatever its scale is. */
    public static boolean isZero(QuantizedMatrix matrix, int group, int column) {
        WeightForm.Code code = matrix.form().code();
        int end = (int) Math.min(matrix.k(), (group + 1L) * matrix.rowsPerGroup());
        for (int row = group * matrix.rowsPerGroup(); row < end; row++) {
            if (code.value(matrix.code(row, column)) != matrix.zeroPoint(group, column)) {
                return false;
            }
        }
        return !matrix.form().hasFloatZeros();
    }

    /** The largest relative error of rounding to the type. */
    public static double unitRoundoff(DataType type) {
        return type == DataType.FP16 ? 0x1p-11 : 0x1p-8;
    }

    /** What a code worth 1 is when, masked out of a word, it is read as a number of the type; a power of two. */
    public static double unitValue(WeightForm form, DataType type, int column) {
        return Math.scalb(1.0, -unit(form, type, column));
    }

    /** A zero point as bits: minus as many units as {@link #unitValue} says. */
    public static short zeroCode(WeightForm form, int zeroPoint, int column) {
        return (short) (SIGN | zeroPoint << nibbleShift(form, column));
    }

    /** The zero point of such bits. */
    public static int zeroPoint(WeightForm form, short zeroCode, int column) {
        return (zeroCode & ~SIGN & 0xffff) >>> nibbleShift(form, column);
    }

    /** The exponent that a column's largest scale gets. */
    static int topExponent(DataType type) {
        return type == DataType.FP16 ? FP16_TOP : BF16_TOP;
    }

    /** The largest exponent that a float zero gets: one binade is left for rounding up and for the sum with a code. */
    static int topZeroExponent(DataType type) {
        return topExponent(type) - 1;
    }

    static int unit(WeightForm form, DataType type, int column) {
        boolean fp16 = type == DataType.FP16;
        return switch (form.code()) {
            case E2M1 -> fp16 ? FP16_FLOAT_UNIT : BF16_FLOAT_UNIT;
            case INT4, INT8 -> (fp16 ? FP16_UNIT : BF16_UNIT) - nibbleShift(form, column);
        };
    }

    /** Of 4-bit codes that of an odd column lies 4 bits above its neighbour's, and is read there; 8-bit codes are brought down. */
    private static int nibbleShift(WeightForm form, int column) {
        return form.code() == WeightForm.Code.INT8 ? 0 : 4 * (column % 2);
    }
}
