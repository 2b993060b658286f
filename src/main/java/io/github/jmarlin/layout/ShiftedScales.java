package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import java.util.function.IntPredicate;

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

    /** Fills scales, zeros and factors of one strip. */
    static void pack(StripSource source, StripSource.Strip strip, int index, PackedWeights packed) {
        WeightForm form = packed.form();
        int firstColumn = index * StripedLayout.BLOCK;
        Parts parts = new Parts(source, strip, firstColumn);
        for (int column = firstColumn; column < firstColumn + StripedLayout.BLOCK; column++) {
            packed.factors().putFloat((long) column * Float.BYTES, 1);
        }
        int end = Math.min(packed.n(), firstColumn + StripedLayout.BLOCK);
        for (int column = firstColumn; column < end; column++) {
            String problem = packColumn(source, packed, column, parts, group -> true);
            if (problem != null && form.offset() == WeightForm.Offset.MIDDLE) {
                // A group of nothing but zeros may have any scale: quantizers leave the smallest there are.
                int at = column;
                problem = packColumn(source, packed, column, parts, group -> !strip.isZero(group, at));
            }
            if (problem != null) {
                throw new IllegalArgumentException("column " + column + " cannot be packed for " + packed.computeType() + ": " + problem);
            }
            for (int group = 0; form.hasZeroPoints() && group < packed.groups(); group++) {
                parts.zeroBits[parts.at(group, column)] = zeroCode(form, strip.zeroPoint(group, column), column);
            }
        }
        int bytes = parts.scaleBits.length * Short.BYTES;
        packed.scales().slice(packed.layout().scaleOffset(0, firstColumn), bytes).asShortBuffer().put(parts.scaleBits);
        if (form.storesOffsets()) {
            packed.zeros().slice(packed.layout().scaleOffset(0, firstColumn), bytes).asShortBuffer().put(parts.zeroBits);
        }
    }

    /** The scales and float zeros of a strip, and their packed bits: {@code [groups][64]} each. */
    private static final class Parts {
        final int firstColumn;
        final float[] scales;
        final float[] zeros;
        final short[] scaleBits;
        final short[] zeroBits;

        Parts(StripSource source, StripSource.Strip strip, int firstColumn) {
            this.firstColumn = firstColumn;
            WeightForm form = source.layout().form();
            int elements = Math.multiplyExact(source.layout().groups(), StripedLayout.BLOCK);
            scales = new float[elements];
            zeros = new float[form.hasFloatZeros() ? elements : 0];
            scaleBits = new short[elements];
            zeroBits = new short[form.storesOffsets() ? elements : 0];
            strip.parameters(scales, zeros);
        }

        int at(int group, int column) {
            return group * StripedLayout.BLOCK + column - firstColumn;
        }
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

    /**
     * Packs scales, float zeros and the factor of a column.
     *
     * @param used the groups whose scale matters; the others get 0
     * @return why that cannot be, or null
     */
    private static String packColumn(StripSource source, PackedWeights packed, int column, Parts parts, IntPredicate used) {
        DataType type = packed.computeType();
        DataType scaleType = source.scaleType();
        WeightForm form = packed.form();
        int groups = packed.groups();
        boolean floatZeros = form.hasFloatZeros();
        float largest = 0;
        float largestZero = 0;
        for (int group = 0; group < groups; group++) {
            int at = parts.at(group, column);
            largest = used.test(group) ? Math.max(largest, Math.abs(rounded(scaleType, type, parts.scales[at]))) : largest;
            largestZero = floatZeros ? Math.max(largestZero, Math.abs(parts.zeros[at])) : 0;
        }
        // NOTES: scales of FP32 are rounded; dividing by the largest one's mantissa, which the factor takes, keeps that one exact.
        double mantissa = scaleType == DataType.FP32 && largest != 0
                ? Math.scalb((double) largest, -Math.getExponent((double) largest)) : 1;
        int unit = unit(form, type, column);
        int shift = Math.min(largest == 0 ? unit : topExponent(type) - Math.getExponent((double) largest),
                largestZero == 0 ? Integer.MAX_VALUE : unit + topZeroExponent(type) - Math.getExponent(largestZero / mantissa));
        boolean allZero = largest == 0 && largestZero == 0;
        double factor = allZero ? 1 : Math.scalb(mantissa * source.columnScale(column), unit - shift);
        if (Math.getExponent(factor) < Float.MIN_EXPONENT || Math.getExponent(factor) > Float.MAX_EXPONENT) {
            return "its largest scale " + largest + (floatZeros ? " and float zero " + largestZero : "")
                    + (form.hasColumnScales() ? " and column scale " + source.columnScale(column) : "") + " give the factor 2^"
                    + Math.getExponent(factor) + ", outside the normal floats 2^" + Float.MIN_EXPONENT + "..2^" + Float.MAX_EXPONENT;
        }
        packed.factors().putFloat((long) column * Float.BYTES, (float) factor);
        // Powers of two: multiplying with them is exact, as all of these are far inside double's range.
        double up = Math.scalb(1.0, shift);
        double zeroUp = Math.scalb(1.0, shift - unit);
        for (int group = 0; group < groups; group++) {
            int at = parts.at(group, column);
            double scale = used.test(group) ? rounded(scaleType, type, parts.scales[at]) : 0;
            double shifted = scale / mantissa * up;
            short bits = HalfFloats.encode(type, shifted);
            double kept = HalfFloats.decode(type, bits);
            if (!isKept(scaleType, type, kept, shifted)) {
                return "its scale " + scale + " of group " + group + " is not exact beside its largest scale " + largest
                        + (largestZero != 0 ? " and float zero " + largestZero : "") + "; pack for "
                        + (scaleType.is16Bit() ? scaleType : DataType.BF16) + " instead";
            }
            parts.scaleBits[at] = bits;
            if (floatZeros) {
                // A scale that was rounded takes its float zero along: all weights of the group then keep their proportions.
                double given = parts.scales[at];
                double change = given == 0 ? 1 : kept / (given / mantissa * up);
                parts.zeroBits[at] = HalfFloats.encode(type, parts.zeros[at] * change / mantissa * zeroUp);
            }
        }
        return null;
    }

    /** Whether the packed scale is the one it should be: exactly, or for FP32 to the nearest of the type's normal numbers. */
    private static boolean isKept(DataType scaleType, DataType type, double packed, double shifted) {
        return scaleType == DataType.FP32 ? Math.abs(packed - shifted) <= Math.abs(shifted) * unitRoundoff(type) : packed == shifted;
    }

    /** The largest relative error of rounding to the type. */
    public static double unitRoundoff(DataType type) {
        return type == DataType.FP16 ? 0x1p-11 : 0x1p-8;
    }

    /** The scale as it is packed, before its shift: BF16 rounds the three bits that FP16 scales have more. */
    private static float rounded(DataType scaleType, DataType type, float scale) {
        return type == DataType.BF16 && scaleType == DataType.FP16 ? HalfFloats.fromBf16(HalfFloats.toBf16(scale)) : scale;
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
