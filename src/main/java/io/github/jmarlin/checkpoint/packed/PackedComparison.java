package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;

/**
 * Decodes packed weights and compares them with the matrix they should be: codes, scales, zero points, bias and order, all
 * exactly.
 */
public final class PackedComparison {
    private PackedComparison() {
    }

    /** What differs first, with its place and both values; empty if nothing does. */
    public static Optional<String> firstDifference(QuantizedMatrix expected, PackedWeights packed) {
        if (!expected.layout().equals(packed.layout())) {
            return Optional.of("shape: source " + expected.layout() + ", packed " + packed.layout());
        }
        if (!Objects.equals(expected.inputOrder(), packed.inputOrder())) {
            return Optional.of("input order differs");
        }
        if (!expected.form().equals(packed.form())) {
            return Optional.of("kind of weight: source " + expected.form() + ", packed " + packed.form());
        }
        try (QuantizedMatrix found = packed.unpack()) {
            return firstDifference(expected, found);
        }
    }

    private static Optional<String> firstDifference(QuantizedMatrix expected, QuantizedMatrix found) {
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
