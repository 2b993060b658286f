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
 * exactly; FP32 scales to the nearest of the compute type.
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
            return firstDifference(expected, found, packed.computeType());
        }
    }

    private static Optional<String> firstDifference(QuantizedMatrix expected, QuantizedMatrix found, DataType type) {
        int n = expected.n();
        int stride = Math.toIntExact(QuantizedMatrix.codeStride(n));
        for (int row = 0; row < expected.k(); row++) {
            int at = mismatch(expected.codes(), found.codes(), (long) row * stride, stride);
            if (at >= 0) {
                int column = expected.code(row, 2 * at) == found.code(row, 2 * at) ? 2 * at + 1 : 2 * at;
                return Optional.of("code of row " + row + ", column " + column + ": source " + expected.code(row, column)
                        + ", packed " + found.code(row, column));
            }
        }
        for (int group = 0; group < expected.groups(); group++) {
            if (expected.hasZeroPoints()) {
                int column = mismatch(expected.zeroPoints(), found.zeroPoints(), (long) group * n, n);
                if (column >= 0) {
                    return Optional.of("zero point of group " + group + ", column " + column + ": source "
                            + expected.zeroPoint(group, column) + ", packed " + found.zeroPoint(group, column));
                }
            }
            for (int column = 0; column < n; column++) {
                if (expected.scaleType() == DataType.FP32) {
                    double loss = ShiftedScales.unitRoundoff(type) * Math.abs(expected.scale(group, column));
                    if (!(Math.abs((double) expected.scale(group, column) - found.scale(group, column)) <= loss * ROUNDED_TWICE)) {
                        return Optional.of("scale of group " + group + ", column " + column + ": source "
                                + expected.scale(group, column) + ", packed " + found.scale(group, column) + ", not its nearest " + type);
                    }
                    continue;
                }
                short bits = HalfFloats.encode(found.scaleType(), expected.scale(group, column));
                if (bits != found.scaleBits(group, column)) {
                    return Optional.of("scale of group " + group + ", column " + column + ": source "
                            + expected.scale(group, column) + ", packed " + found.scale(group, column));
                }
            }
        }
        return Arrays.equals(expected.bias(), found.bias()) ? Optional.empty() : Optional.of("bias differs");
    }

    private static int mismatch(NativeMemory expected, NativeMemory found, long offset, int length) {
        ByteBuffer a = expected.slice(offset, length);
        return a.mismatch(found.slice(offset, length));
    }
}
