package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import java.util.Arrays;

/**
 * The scales of a strip, and their offsets, on their way into {@link PackedWeights}: the arithmetic of {@link ShiftedScales}, a row
 * of groups at a time.
 */
final class ScaleStrip {
    private static final int WIDTH = StripedLayout.BLOCK;

    private final StripSource source;
    private final StripSource.Strip strip;
    private final PackedWeights packed;
    private final WeightForm form;
    private final DataType type;
    private final DataType scaleType;
    private final int groups;
    private final int firstColumn;
    /** Columns that exist. */
    private final int width;
    /** {@code [groups][64]}: what the source has, and the bits it becomes. */
    private final float[] scales;
    private final float[] floatZeros;
    private final short[] scaleBits;
    private final short[] zeroBits;
    /** Of every column: the largest absolute scale and float zero, and what they are multiplied with, 2^shift / mantissa and so on. */
    private final float[] largest = new float[WIDTH];
    private final float[] largestZero = new float[WIDTH];
    private final double[] up = new double[WIDTH];
    private final double[] zeroUp = new double[WIDTH];
    private final double[] factors = new double[WIDTH];

    /** Reads the parameters of strip {@code index}. */
    ScaleStrip(StripSource source, StripSource.Strip strip, int index, PackedWeights packed) {
        this.source = source;
        this.strip = strip;
        this.packed = packed;
        form = packed.form();
        type = packed.computeType();
        scaleType = source.scaleType();
        groups = packed.groups();
        firstColumn = index * WIDTH;
        width = Math.min(packed.n() - firstColumn, WIDTH);
        int elements = Math.multiplyExact(groups, WIDTH);
        scales = new float[elements];
        floatZeros = new float[form.hasFloatZeros() ? elements : 0];
        scaleBits = new short[elements];
        zeroBits = new short[form.storesOffsets() ? elements : 0];
        strip.parameters(scales, floatZeros);
    }

    /** @throws IllegalArgumentException if a column cannot be packed, naming it and the reason */
    void pack() {
        Arrays.fill(factors, 1);
        for (int column = pack(0, width); column < width; column = pack(column, width)) {
            // A group of nothing but zeros may have any scale: quantizers leave the smallest there are.
            if (form.offset() == WeightForm.Offset.MIDDLE) {
                for (int group = 0; group < groups; group++) {
                    if (strip.isZero(group, firstColumn + column)) {
                        scales[group * WIDTH + column] = 0;
                    }
                }
            }
            if (pack(column, column + 1) == column) {
                throw new IllegalArgumentException("column " + (firstColumn + column) + " cannot be packed for " + type + ": "
                        + problem(column));
            }
        }
        for (int group = 0; form.hasZeroPoints() && group < groups; group++) {
            for (int column = 0; column < width; column++) {
                int zeroPoint = strip.zeroPoint(group, firstColumn + column);
                zeroBits[group * WIDTH + column] = ShiftedScales.zeroCode(form, zeroPoint, firstColumn + column);
            }
        }
    }

    /** Packs columns {@code [from, to)}; returns the first that cannot be, or {@code to}. */
    private int pack(int from, int to) {
        findLargest(from, to);
        int end = from;
        while (end < to && setFactor(end)) {
            end++;
        }
        int packed = end;
        for (int group = 0; group < groups; group++) {
            packed = Math.min(packed, packRow(group, from, end));
        }
        return packed;
    }

    /** The same of one group. */
    private int packRow(int group, int from, int to) {
        int failed = to;
        for (int column = from; column < to; column++) {
            int at = group * WIDTH + column;
            double shifted = rounded(scales[at]) * up[column];
            short bits = HalfFloats.encode(type, shifted);
            double kept = HalfFloats.decode(type, bits);
            if (!isKept(kept, shifted)) {
                failed = Math.min(failed, column);
            }
            scaleBits[at] = bits;
            if (floatZeros.length != 0) {
                // A scale that was rounded takes its float zero along: all weights of the group then keep their proportions.
                double change = scales[at] == 0 ? 1 : kept / (scales[at] * up[column]);
                zeroBits[at] = HalfFloats.encode(type, floatZeros[at] * change * zeroUp[column]);
            }
        }
        return failed;
    }

    private void findLargest(int from, int to) {
        Arrays.fill(largest, from, to, 0);
        Arrays.fill(largestZero, from, to, 0);
        for (int group = 0; group < groups; group++) {
            raise(largest, scales, group, from, to);
            if (floatZeros.length != 0) {
                raise(largestZero, floatZeros, group, from, to);
            }
        }
        for (int column = from; column < to; column++) {
            largest[column] = rounded(largest[column]);
        }
    }

    private static void raise(float[] largest, float[] values, int group, int from, int to) {
        for (int column = from; column < to; column++) {
            largest[column] = Math.max(largest[column], Math.abs(values[group * WIDTH + column]));
        }
    }

    /** Sets what a column is multiplied with. Returns whether its factor is a normal float. */
    private boolean setFactor(int column) {
        double largestScale = largest[column];
        double zero = largestZero[column];
        // NOTES: scales of FP32 are rounded; dividing by the largest one's mantissa, which the factor takes, keeps that one exact.
        double mantissa = scaleType == DataType.FP32 && largestScale != 0 ? Math.scalb(largestScale, -Math.getExponent(largestScale)) : 1;
        int unit = ShiftedScales.unit(form, type, firstColumn + column);
        int shift = Math.min(largestScale == 0 ? unit : ShiftedScales.topExponent(type) - Math.getExponent(largestScale),
                zero == 0 ? Integer.MAX_VALUE : unit + ShiftedScales.topZeroExponent(type) - Math.getExponent(zero / mantissa));
        boolean allZero = largestScale == 0 && zero == 0;
        double factor = allZero ? 1 : Math.scalb(mantissa * source.columnScale(firstColumn + column), unit - shift);
        up[column] = Math.scalb(1.0, shift) / mantissa;
        zeroUp[column] = Math.scalb(1.0, shift - unit) / mantissa;
        factors[column] = factor;
        return isNormal(factor);
    }

    private static boolean isNormal(double factor) {
        return Math.getExponent(factor) >= Float.MIN_EXPONENT && Math.getExponent(factor) <= Float.MAX_EXPONENT;
    }

    /** Whether the packed scale is the one it should be: exactly, or for FP32 to the nearest of the type's normal numbers. */
    private boolean isKept(double kept, double shifted) {
        return scaleType == DataType.FP32 ? Math.abs(kept - shifted) <= Math.abs(shifted) * ShiftedScales.unitRoundoff(type)
                : kept == shifted;
    }

    /** The scale as it is packed, before its shift: BF16 rounds the three bits that FP16 scales have more. */
    private float rounded(float scale) {
        return type == DataType.BF16 && scaleType == DataType.FP16 ? HalfFloats.fromBf16(HalfFloats.toBf16(scale)) : scale;
    }

    /** Why a column cannot be packed. */
    private String problem(int column) {
        if (!isNormal(factors[column])) {
            return "its largest scale " + largest[column] + (form.hasFloatZeros() ? " and float zero " + largestZero[column] : "")
                    + (form.hasColumnScales() ? " and column scale " + source.columnScale(firstColumn + column) : "")
                    + " give the factor 2^" + Math.getExponent(factors[column]) + ", outside the normal floats 2^" + Float.MIN_EXPONENT
                    + "..2^" + Float.MAX_EXPONENT;
        }
        int group = 0;
        while (isKept(HalfFloats.decode(type, scaleBits[group * WIDTH + column]), rounded(scales[group * WIDTH + column]) * up[column])) {
            group++;
        }
        return "its scale " + rounded(scales[group * WIDTH + column]) + " of group " + group + " is not exact beside its largest scale "
                + largest[column] + (largestZero[column] != 0 ? " and float zero " + largestZero[column] : "") + "; pack for "
                + (scaleType.is16Bit() ? scaleType : DataType.BF16) + " instead";
    }

    /** Writes what {@link #pack} made. */
    void write() {
        long at = packed.layout().scaleOffset(0, firstColumn);
        int bytes = scaleBits.length * Short.BYTES;
        packed.scales().slice(at, bytes).asShortBuffer().put(scaleBits);
        if (form.storesOffsets()) {
            packed.zeros().slice(at, bytes).asShortBuffer().put(zeroBits);
        }
        for (int column = 0; column < WIDTH; column++) {
            packed.factors().putFloat((long) (firstColumn + column) * Float.BYTES, (float) factors[column]);
        }
    }
}
