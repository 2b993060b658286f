package io.github.jmarlin;

import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.IntBuffer;

/** What the elements of a {@link QuantizedMatrix} must be, checked where they may have been written straight into its memory. */
final class MatrixChecks {
    private MatrixChecks() {
    }

    /** A read-only copy of {@code order} if it holds each of 0..k-1 once. */
    static IntBuffer permutation(IntBuffer order, int k) {
        if (order.remaining() != k) {
            throw new IllegalArgumentException("input order of " + order.remaining() + " entries given for k " + k);
        }
        int[] copy = new int[k];
        order.duplicate().get(copy);
        boolean[] seen = new boolean[k];
        for (int row = 0; row < k; row++) {
            if (copy[row] < 0 || copy[row] >= k || seen[copy[row]]) {
                throw new IllegalArgumentException("input order has " + copy[row] + " at row " + row
                        + ": each of 0.." + (k - 1) + " expected once");
            }
            seen[copy[row]] = true;
        }
        return IntBuffer.wrap(copy).asReadOnlyBuffer();
    }

    /** {@code values} are {@code [groups][n]} of the type. */
    static void finite(String what, StripedLayout layout, NativeMemory values, DataType type) {
        for (int group = 0; group < layout.groups(); group++) {
            var bytes = values.slice((long) group * layout.n() * type.bytes(), layout.n() * type.bytes());
            if (!type.is16Bit()) {
                var row = bytes.asFloatBuffer();
                for (int column = 0; column < layout.n(); column++) {
                    if (!Float.isFinite(row.get(column))) {
                        throw notFinite(what, group, column, row.get(column), type);
                    }
                }
                continue;
            }
            var row = bytes.asShortBuffer();
            for (int column = 0; column < layout.n(); column++) {
                if (!HalfFloats.isFinite(type, row.get(column))) {
                    throw notFinite(what, group, column, HalfFloats.decode(type, row.get(column)), type);
                }
            }
        }
    }

    static void zeroPoints(StripedLayout layout, NativeMemory zeroPoints) {
        int bytes = layout.form().zeroPointBytes();
        for (int group = 0; group < layout.groups(); group++) {
            var row = zeroPoints.slice((long) group * layout.n() * bytes, layout.n() * bytes);
            for (int column = 0; column < layout.n(); column++) {
                int zeroPoint = bytes == 1 ? row.get(column) & 0xff : row.getShort(column * bytes) & 0xffff;
                if (zeroPoint > layout.form().maxZeroPoint()) {
                    throw badZeroPoint(layout.form(), group, column, zeroPoint);
                }
            }
        }
    }

    /** NOTES: 0 would lose the scales of the groups when the weights are unpacked; a column of no weights has scales of 0 or codes of 0. */
    static void columnScales(float[] values) {
        for (int column = 0; column < values.length; column++) {
            if (!Float.isFinite(values[column]) || values[column] == 0) {
                throw new IllegalArgumentException("column scale " + values[column] + " at column " + column
                        + " is not finite and other than 0");
            }
        }
    }

    static void bias(float[] bias) {
        for (int column = 0; bias != null && column < bias.length; column++) {
            if (!Float.isFinite(bias[column])) {
                throw new IllegalArgumentException("bias " + bias[column] + " at column " + column + " is not finite");
            }
        }
    }

    static IllegalArgumentException notFinite(String what, int group, int column, float value, DataType type) {
        return new IllegalArgumentException(what + " " + value + " at group " + group + ", column " + column
                + " is not a finite " + type + " number");
    }

    static IllegalArgumentException badZeroPoint(WeightForm form, int group, int column, int zeroPoint) {
        return new IllegalArgumentException("zero point " + zeroPoint + " at group " + group + ", column " + column
                + " is outside 0.." + form.maxZeroPoint());
    }
}
