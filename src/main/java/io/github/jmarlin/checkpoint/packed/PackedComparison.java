package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.ShiftedScales;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;

/**
 * Decodes packed weights and compares them with the matrix they should be: codes, scales, zero points, bias and order, all
 * exactly; FP32 scales and float zeros to the nearest of the compute type. Of a group of zeros the scale may have become 0.
 */
public final class PackedComparison {
    /** A scale that was rounded to 16 bits is a float again when it is decoded. */
    private static final double ROUNDED_TWICE = 1 + 0x1p-10;

    private PackedComparison() {
    }

    /** What differs first, with its place and both values; empty if nothing does. */
    public static Optional<String> firstDifference(QuantizedMatrix expected, PackedWeights packed) {
        if (!expected.layout().equals(packed.layout().withForm(expected.form().withGroupSize(packed.groupSize())))) {
            return Optional.of("shape: source " + expected.layout() + ", packed " + packed.layout());
        }
        if (!Objects.equals(expected.inputOrder(), packed.inputOrder())) {
            return Optional.of("input order differs");
        }
        if (!expected.form().equals(packed.form())) {
            return Optional.of("kind of weight: source " + expected.form() + ", packed " + packed.form());
        }
        try (QuantizedMatrix found = packed.unpack()) {
            return firstDifference(expected, found, packed);
        }
    }

    private static Optional<String> firstDifference(QuantizedMatrix expected, QuantizedMatrix found, PackedWeights packed) {
        DataType type = packed.computeType();
        int n = expected.n();
        int stride = Math.toIntExact(expected.form().codeStride(n));
        for (int row = 0; row < expected.k(); row++) {
            int at = mismatch(expected.codes(), found.codes(), (long) row * stride, stride);
            if (at >= 0) {
                int column = at * expected.form().code().perByte();
                column += expected.code(row, column) == found.code(row, column) ? 1 : 0;
                return Optional.of("code of row " + row + ", column " + column + ": source " + expected.code(row, column)
                        + ", packed " + found.code(row, column));
            }
        }
        for (int group = 0; group < expected.groups(); group++) {
            if (expected.hasZeroPoints()) {
                int bytes = expected.form().zeroPointBytes();
                int at = mismatch(expected.zeroPoints(), found.zeroPoints(), (long) group * n * bytes, n * bytes);
                if (at >= 0) {
                    int column = at / bytes;
                    return Optional.of("zero point of group " + group + ", column " + column + ": source "
                            + expected.zeroPoint(group, column) + ", packed " + found.zeroPoint(group, column));
                }
            }
            for (int column = 0; column < n; column++) {
                String where = " of group " + group + ", column " + column + ": source ";
                double source = (double) expected.scale(group, column) * expected.columnScale(column);
                double scale = (double) found.scale(group, column) * found.columnScale(column);
                if (!isKept(expected, group, column, scale, type) && !(scale == 0 && ShiftedScales.isZero(expected, group, column))) {
                    return Optional.of("scale" + where + source + ", packed " + scale + ", not its nearest " + type);
                }
                if (expected.form().hasFloatZeros()) {
                    float given = expected.scale(group, column);
                    double zero = expected.floatZero(group, column) * (given == 0 ? 1 : (double) found.scale(group, column) / given);
                    double loss = ShiftedScales.unitRoundoff(type) * Math.abs(zero) * ROUNDED_TWICE + zeroStep(packed, column) / 2;
                    if (!(Math.abs(zero - found.floatZero(group, column)) <= loss)) {
                        return Optional.of("float zero" + where + zero + ", packed " + found.floatZero(group, column)
                                + ", not its nearest " + type);
                    }
                }
            }
        }
        return Arrays.equals(expected.bias(), found.bias()) ? Optional.empty() : Optional.of("bias differs");
    }

    /** Whether the packed scale, its column's included, is the source's: the same, or the nearest of a type with fewer bits. */
    private static boolean isKept(QuantizedMatrix expected, int group, int column, double scale, DataType type) {
        float source = expected.scale(group, column);
        if (expected.scaleType() == DataType.FP32) {
            double loss = ShiftedScales.unitRoundoff(type) * Math.abs((double) source * expected.columnScale(column));
            return Math.abs((double) source * expected.columnScale(column) - scale) <= loss * ROUNDED_TWICE;
        }
        boolean rounded = expected.scaleType() == DataType.FP16 && type == DataType.BF16;
        double nearest = rounded ? HalfFloats.fromBf16(HalfFloats.toBf16(source)) : source;
        return nearest * expected.columnScale(column) == scale;
    }

    /** From one to the next of the smallest numbers that a float zero of a column can be rounded to. */
    private static double zeroStep(PackedWeights packed, int column) {
        double smallest = HalfFloats.decode(packed.computeType(), (short) 1);
        return smallest * Math.abs(packed.factors().getFloat((long) column * Float.BYTES));
    }

    private static int mismatch(NativeMemory expected, NativeMemory found, long offset, int length) {
        ByteBuffer a = expected.slice(offset, length);
        return a.mismatch(found.slice(offset, length));
    }
}
