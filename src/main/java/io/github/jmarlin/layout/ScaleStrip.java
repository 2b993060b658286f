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
    /** Whether the type has fewer bits than the scales: FP16 or BF16 than FP32, BF16 than FP16. */
    private final boolean rounds;
    private final int groups;
    private final int firstColumn;
    /** Columns that exist. */
    private final int width;
    /** {@code [groups][64]}: what the source has. */
    private final float[] scales;
    private final float[] floatZeros;
    /** {@code [scaleRows][64]}: the bits it becomes, behind the last group zeros. */
    private final short[] scaleBits;
    private final short[] zeroBits;
    /** Of every column: the largest absolute scale and float zero, and what they are multiplied with, 2^shift / mantissa and so on. */
    private final float[] largest = new float[WIDTH];
    private final float[] largestZero = new float[WIDTH];
    private final double[] up = new double[WIDTH];
    private final double[] zeroUp = new double[WIDTH];
    private final double[] factors = new double[WIDTH];
    /** Of a row: what is rounded next, and how much larger rounding made the scales. */
    private final double[] scaled = new double[WIDTH];
    private final double[] change = new double[WIDTH];

    /** Reads the parameters of strip {@code index}. */
    ScaleStrip(StripSource source, StripSource.Strip strip, int index, PackedWeights packed) {
        this.source = source;
        this.strip = strip;
        this.packed = packed;
        form = packed.form();
        type = packed.computeType();
        scaleType = source.scaleType();
        rounds = scaleType == DataType.FP32 || scaleType == DataType.FP16 && type == DataType.BF16;
        groups = packed.groups();
        firstColumn = index * WIDTH;
        width = Math.min(packed.n() - firstColumn, WIDTH);
        int elements = Math.multiplyExact(groups, WIDTH);
        scales = new float[elements];
        floatZeros = new float[form.hasFloatZeros() ? elements : 0];
        int stored = Math.multiplyExact(packed.layout().scaleRows(), WIDTH);
        scaleBits = new short[stored];
        zeroBits = new short[form.storesOffsets() ? stored : 0];
        strip.parameters(scales, floatZeros);
    }

    /**
     * Finds the bits of all of them.
     *
     * @throws IllegalArgumentException if a column cannot be packed, naming it and the reason
     */
    void pack() {
        Arrays.fill(factors, 1);
        for (int column = pack(0, width); column < width; column = pack(column + 1, width)) {
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
        int failed = end;
        for (int group = 0; group < groups; group++) {
            failed = Math.min(failed, packRow(group, from, end));
        }
        return failed;
    }

    /** The same of one group. NOTES: floats become doubles in loops of their own; among other work each would wait for the one before. */
    private int packRow(int group, int from, int to) {
        int row = group * WIDTH;
        for (int column = from; column < to; column++) {
            scaled[column] = scales[row + column] * up[column];
        }
        int failed = to;
        for (int column = from; column < to; column++) {
            double kept = HalfFloats.nearest(type, scaled[column]);
            if (!isKept(kept, scaled[column])) {
                failed = Math.min(failed, column);
            }
            scaleBits[row + column] = HalfFloats.encode(type, kept);
            // A scale that was rounded takes its float zero along: all weights of the group then keep their proportions.
            change[column] = scaled[column] == 0 ? 1 : kept / scaled[column];
        }
        if (floatZeros.length != 0) {
            for (int column = from; column < to; column++) {
                scaled[column] = floatZeros[row + column] * zeroUp[column];
            }
            for (int column = from; column < to; column++) {
                zeroBits[row + column] = HalfFloats.encode(type, scaled[column] * change[column]);
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
            largest[column] = scaleType.is16Bit() && rounds ? (float) HalfFloats.nearest(type, largest[column]) : largest[column];
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

    /** Whether the packed scale is the one it should be: exactly, or if it is rounded to the nearest of the type's normal numbers. */
    private boolean isKept(double kept, double expected) {
        return rounds ? Math.abs(kept - expected) <= Math.abs(expected) * ShiftedScales.unitRoundoff(type) : kept == expected;
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
        while (isKept(HalfFloats.decode(type, scaleBits[group * WIDTH + column]), scales[group * WIDTH + column] * up[column])) {
            group++;
        }
        return "its scale " + (double) scales[group * WIDTH + column] + " of group " + group + " is not exact beside its largest scale "
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
        float[] rounded = new float[WIDTH];
        for (int column = 0; column < WIDTH; column++) {
            rounded[column] = (float) factors[column];
        }
        packed.factors().slice((long) firstColumn * Float.BYTES, WIDTH * Float.BYTES).asFloatBuffer().put(rounded);
    }
}
