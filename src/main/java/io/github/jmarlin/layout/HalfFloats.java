package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;

/**
 * Conversions between float and the two 16-bit formats, correctly rounded (to nearest, ties to even), with subnormals, signed
 * zeros, infinities and NaN. Java has them for binary16 only from version 20.
 */
public final class HalfFloats {
    /** Bits of the largest finite binary16 number, 65504. */
    public static final short FP16_MAX_BITS = 0x7bff;

    private static final int SIGN = 0x8000;
    private static final int FP32_INFINITY = 0x7f800000;
    private static final int FP16_INFINITY = 0x7c00;
    private static final int FP16_SMALLEST_NORMAL = 0x0400;
    /** 65520, halfway between 65504 and the next step that binary16 does not have, as float bits. */
    private static final int FP16_OVERFLOW = 0x477ff000;
    /** 2^-14, the smallest normal binary16 number, as float bits. */
    private static final int FP16_SMALLEST_NORMAL_AS_FP32 = 0x38800000;
    /** {@code (127 - 15) << 23}: what separates the exponent fields of the two formats, in float's place. */
    private static final int EXPONENT_GAP = 0x38000000;

    private static final int FP64_MANTISSA = 52;
    private static final int FP64_BIAS = 1023;

    private HalfFloats() {
    }

    /** The binary16 number nearest to {@code value}; 65520 and above become infinity, NaN stays a (quiet) NaN. */
    public static short toFp16(float value) {
        int bits = Float.floatToRawIntBits(value);
        int sign = bits >>> 16 & SIGN;
        int magnitude = bits & 0x7fffffff;
        if (magnitude >= FP16_OVERFLOW) {
            boolean isNaN = magnitude > FP32_INFINITY;
            return (short) (sign | (isNaN ? 0x7e00 | magnitude >>> 13 & 0x1ff : FP16_INFINITY));
        }
        if (magnitude >= FP16_SMALLEST_NORMAL_AS_FP32) {
            int tieToEven = magnitude >>> 13 & 1;
            return (short) (sign | magnitude - EXPONENT_GAP + 0xfff + tieToEven >>> 13);
        }
        // 0.5 has the exponent at which a float's last mantissa bit is worth 2^-24, binary16's subnormal step: the addition rounds.
        float rounded = Float.intBitsToFloat(magnitude) + 0.5f;
        return (short) (sign | Float.floatToRawIntBits(rounded) - Float.floatToRawIntBits(0.5f));
    }

    /** The binary16 number nearest to {@code value}, rounded once (not through float). */
    public static short toFp16(double value) {
        double magnitude = Math.abs(value);
        if (magnitude >= 0x1p-14 && magnitude < 65520) {
            return rounded(value, FP64_MANTISSA - 10, 15);
        }
        return toFp16(roundToOdd(value));
    }

    /** The value of a binary16 number, exact. */
    public static float fromFp16(short half) {
        int sign = (half & SIGN) << 16;
        int magnitude = half & 0x7fff;
        if (magnitude >= FP16_INFINITY) {
            return Float.intBitsToFloat(sign | FP32_INFINITY | (magnitude & 0x3ff) << 13);
        }
        if (magnitude >= FP16_SMALLEST_NORMAL) {
            return Float.intBitsToFloat(sign | (magnitude << 13) + EXPONENT_GAP);
        }
        return Float.intBitsToFloat(sign | Float.floatToRawIntBits(magnitude * 0x1p-24f));
    }

    /** The bfloat16 number nearest to {@code value}; overflow becomes infinity, NaN stays a (quiet) NaN. */
    public static short toBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if ((bits & 0x7fffffff) > FP32_INFINITY) {
            return (short) (bits >>> 16 | 0x40);
        }
        int tieToEven = bits >>> 16 & 1;
        return (short) (bits + 0x7fff + tieToEven >>> 16);
    }

    /** The bfloat16 number nearest to {@code value}, rounded once (not through float). */
    public static short toBf16(double value) {
        double magnitude = Math.abs(value);
        if (magnitude >= Float.MIN_NORMAL && magnitude <= Float.MAX_VALUE) {
            return rounded(value, FP64_MANTISSA - 7, 127);
        }
        return toBf16(roundToOdd(value));
    }

    /** The value of a bfloat16 number, exact. */
    public static float fromBf16(short bfloat) {
        return Float.intBitsToFloat(bfloat << 16);
    }

    /** {@code value} rounded to a 16-bit {@code type}. */
    public static short encode(DataType type, float value) {
        return isFp16(type) ? toFp16(value) : toBf16(value);
    }

    /** {@code value} rounded to a 16-bit {@code type}, once. */
    public static short encode(DataType type, double value) {
        return isFp16(type) ? toFp16(value) : toBf16(value);
    }

    /** The value of the bits of a 16-bit {@code type}, exact. */
    public static float decode(DataType type, short bits) {
        return isFp16(type) ? fromFp16(bits) : fromBf16(bits);
    }

    /** Whether the bits of a 16-bit {@code type} are neither infinite nor NaN. */
    public static boolean isFinite(DataType type, short bits) {
        int exponent = isFp16(type) ? FP16_INFINITY : FP32_INFINITY >>> 16;
        return (bits & exponent) != exponent;
    }

    /** The value of the number of a 16-bit {@code type} that is nearest to {@code value}: what {@link #encode} and {@link #decode} give. */
    public static double nearest(DataType type, double value) {
        double magnitude = Math.abs(value);
        if (isFp16(type)) {
            return magnitude >= 0x1p-14 && magnitude < 65520 ? nearest(value, FP64_MANTISSA - 10) : fromFp16(toFp16(value));
        }
        return magnitude >= Float.MIN_NORMAL && magnitude < 0x1p127 ? nearest(value, FP64_MANTISSA - 7) : fromBf16(toBf16(value));
    }

    private static double nearest(double value, int dropped) {
        long bits = Double.doubleToRawLongBits(value);
        return Double.longBitsToDouble(bits + (1L << dropped - 1) - 1 + (bits >>> dropped & 1) & -1L << dropped);
    }

    /** A double inside the normal range of a format whose mantissa is {@code dropped} bits shorter and whose exponent has that bias. */
    private static short rounded(double value, int dropped, int bias) {
        long bits = Double.doubleToRawLongBits(value);
        long tieToEven = bits >>> dropped & 1;
        long kept = (bits & Long.MAX_VALUE) + (1L << dropped - 1) - 1 + tieToEven >>> dropped;
        return (short) (bits >>> 48 & SIGN | kept - ((long) FP64_BIAS - bias << FP64_MANTISSA - dropped));
    }

    /**
     * The float that keeps a later rounding to fewer bits correct: exact values stay, all others become the neighbour towards
     * zero with its last mantissa bit set, which is never a tie and never on the wrong side of one.
     */
    private static float roundToOdd(double value) {
        float nearest = (float) value;
        if (nearest == value || Double.isNaN(value)) {
            return nearest;
        }
        int bits = Float.floatToRawIntBits(nearest);
        if (Math.abs((double) nearest) > Math.abs(value)) {
            bits--;
        }
        return Float.intBitsToFloat(bits | 1);
    }

    /** Which of the two types it is. NOTES: a switch reads a table each time, and loops are not split by it. */
    private static boolean isFp16(DataType type) {
        if (type != DataType.FP16 && type != DataType.BF16) {
            throw new IllegalArgumentException(type + " is not a 16-bit type: FP16 or BF16 expected");
        }
        return type == DataType.FP16;
    }
}
