package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;

/**
 * Scales and zero points as {@link PackedWeights} keeps them: scales shifted by a power of two per column, zero points as numbers
 * of the compute type in the unit of a masked nibble, and the factor per column that undoes both.
 */
public final class ShiftedScales {
    /** The exponent that a column's largest scale gets: the top binade, for BF16 the one below so that it can be doubled. */
    private static final int FP16_TOP = 15;
    private static final int BF16_TOP = 126;
    /** A nibble in the lowest bits of a number of the type is worth q * 2^-UNIT; one in the bits above, q * 2^-(UNIT - 4). */
    private static final int FP16_UNIT = 24;
    private static final int BF16_UNIT = 133;
    private static final int SIGN = 0x8000;

    private ShiftedScales() {
    }

    /** Fills scales, zeros and factors of one strip. */
    static void pack(QuantizedMatrix matrix, PackedWeights packed, int strip) {
        StripedLayout layout = matrix.layout();
        int firstColumn = strip * StripedLayout.BLOCK;
        int end = Math.min(layout.n(), firstColumn + StripedLayout.BLOCK);
        for (int column = firstColumn; column < firstColumn + StripedLayout.BLOCK; column++) {
            packed.factors().putFloat((long) column * Float.BYTES, 1);
        }
        for (int column = firstColumn; column < end; column++) {
            packScales(matrix, packed, column);
            for (int group = 0; packed.form().hasZeroPoints() && group < layout.groups(); group++) {
                short zeroCode = zeroCode(matrix.zeroPoint(group, column), column);
                packed.zeros().putShort(layout.scaleOffset(group, column), zeroCode);
            }
        }
    }

    private static void packScales(QuantizedMatrix matrix, PackedWeights packed, int column) {
        DataType type = packed.computeType();
        float largest = 0;
        for (int group = 0; group < matrix.groups(); group++) {
            largest = Math.max(largest, Math.abs(roundedScale(matrix, type, group, column)));
        }
        // NOTES: scales of FP32 are rounded; dividing by the largest one's mantissa, which the factor takes, keeps that one exact.
        double mantissa = matrix.scaleType() == DataType.FP32 && largest != 0
                ? Math.scalb((double) largest, -Math.getExponent((double) largest)) : 1;
        int shift = largest == 0 ? unit(type, column) : topExponent(type) - Math.getExponent((double) largest);
        int exponent = unit(type, column) - shift;
        if (exponent < Float.MIN_EXPONENT || exponent > Float.MAX_EXPONENT) {
            throw new IllegalArgumentException("column " + column + " cannot be packed for " + type + ": its largest scale "
                    + largest + " gives the factor 2^" + exponent + ", outside the normal floats 2^" + Float.MIN_EXPONENT
                    + "..2^" + Float.MAX_EXPONENT);
        }
        packed.factors().putFloat((long) column * Float.BYTES, (float) Math.scalb(mantissa, exponent));
        for (int group = 0; group < matrix.groups(); group++) {
            double scale = roundedScale(matrix, type, group, column);
            double shifted = Math.scalb(scale / mantissa, shift);
            short bits = HalfFloats.encode(type, shifted);
            if (!isKept(matrix.scaleType(), type, HalfFloats.decode(type, bits), shifted)) {
                throw new IllegalArgumentException("column " + column + " cannot be packed for " + type + ": its scale " + scale
                        + " of group " + group + " is not exact beside its largest scale " + largest
                        + "; pack for " + matrix.scaleType() + " instead");
            }
            packed.scales().putShort(matrix.layout().scaleOffset(group, column), bits);
        }
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
    private static float roundedScale(QuantizedMatrix matrix, DataType type, int group, int column) {
        float scale = matrix.scale(group, column);
        return type == DataType.BF16 && matrix.scaleType() == DataType.FP16 ? HalfFloats.fromBf16(HalfFloats.toBf16(scale)) : scale;
    }

    /** What a code of 1 is worth when its nibble, masked out of a word, is read as a number of the type; a power of two. */
    public static double unitValue(DataType type, int column) {
        return Math.scalb(1.0, -unit(type, column));
    }

    /** A zero point as bits: minus as many units as {@link #unitValue} says. */
    public static short zeroCode(int zeroPoint, int column) {
        return (short) (SIGN | zeroPoint << 4 * StripedLayout.nibble(column));
    }

    /** The zero point of such bits. */
    public static int zeroPoint(short zeroCode, int column) {
        return (zeroCode & ~SIGN & 0xffff) >>> 4 * StripedLayout.nibble(column);
    }

    /** The exponent that a column's largest scale gets. */
    static int topExponent(DataType type) {
        return type == DataType.FP16 ? FP16_TOP : BF16_TOP;
    }

    private static int unit(DataType type, int column) {
        return (type == DataType.FP16 ? FP16_UNIT : BF16_UNIT) - 4 * StripedLayout.nibble(column);
    }

    /** Whether the scales were FP32: then the factor of a column is seldom a power of two. */
    static boolean wereRounded(PackedWeights packed) {
        for (int column = 0; column < packed.n(); column++) {
            float factor = packed.factors().getFloat((long) column * Float.BYTES);
            if (factor != Math.scalb(1f, Math.getExponent(factor))) {
                return true;
            }
        }
        return false;
    }

    /**
     * Sets scales and zero points of the columns of one strip.
     *
     * @param rounded see {@link #wereRounded}; the matrix then has FP32 scales
     */
    static void unpack(PackedWeights packed, QuantizedMatrix.Builder matrix, int strip, boolean rounded) {
        StripedLayout layout = packed.layout();
        int end = Math.min(layout.n(), (strip + 1) * StripedLayout.BLOCK);
        for (int column = strip * StripedLayout.BLOCK; column < end; column++) {
            for (int group = 0; group < layout.groups(); group++) {
                if (rounded) {
                    matrix.setScale(group, column, (float) scale(packed, group, column));
                } else {
                    matrix.setScaleBits(group, column, scaleBits(packed, group, column));
                }
                if (packed.form().hasZeroPoints()) {
                    short zeroCode = packed.zeros().getShort(layout.scaleOffset(group, column));
                    matrix.setZeroPoint(group, column, zeroPoint(zeroCode, column));
                }
            }
        }
    }

    private static double scale(PackedWeights packed, int group, int column) {
        DataType type = packed.computeType();
        double shifted = HalfFloats.decode(type, packed.scales().getShort(packed.layout().scaleOffset(group, column)));
        double factor = packed.factors().getFloat((long) column * Float.BYTES);
        return shifted * factor * unitValue(type, column);
    }

    private static short scaleBits(PackedWeights packed, int group, int column) {
        DataType type = packed.computeType();
        double scale = scale(packed, group, column);
        short bits = HalfFloats.encode(type, scale);
        if (HalfFloats.decode(type, bits) != scale) {
            throw new IllegalArgumentException("column " + column + " cannot be unpacked: its scale " + scale + " of group " + group
                    + " came from another type and is no " + type + " number without the column's shift");
        }
        return bits;
    }
}
