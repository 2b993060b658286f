package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;

/**
 * Rows of activations as floats, in the order in which the rows of the weights multiply them, padded with zeros to whole blocks,
 * and their sums over each segment of k.
 *
 * <p>A segment is the run of rows of the weights over which a product is summed before it is scaled: a group, or part of one where
 * groups are longer than 128, so that no sum gets long.
 */
final class Activations {
    /** Products of at most so many rows with 4-bit integers take activations as integers, see {@link FixedPointRow}. */
    static final int FEW_ROWS = 3;

    private static final int LONGEST_SEGMENT = 128;

    private final int k;
    private final IntBuffer inputOrder;
    private final int segmentRows;
    private final float[][] values;
    private final float[][] sums;
    private final FixedPointRow[] fixed;
    /** Whether the weights allow {@link FixedPointRow}. */
    private final boolean integers;
    /** See {@link #nonFinite}. */
    private final int[][] nonFinite;

    Activations(PackedWeights weights, int rows) {
        k = weights.k();
        inputOrder = weights.inputOrder();
        segmentRows = segmentRows(weights.layout());
        values = new float[rows][weights.paddedK()];
        sums = new float[rows][(weights.paddedK() - 1) / segmentRows + 1];
        fixed = new FixedPointRow[rows];
        integers = weights.form().code() == WeightForm.Code.INT4;
        nonFinite = weights.form().storesOffsets() ? new int[rows][] : null;
    }

    /** Rows of the weights in a segment, a divisor or a multiple of 64. */
    static int segmentRows(StripedLayout layout) {
        return layout.isOneGroup() ? LONGEST_SEGMENT : Math.min(layout.groupSize(), LONGEST_SEGMENT);
    }

    /** Converts k elements of {@code source}, from {@code element} on, to the given row. */
    void read(DataType type, ByteBuffer source, long element, int row) {
        float[] target = values[row];
        convert(type, source, element, target);
        if (inputOrder != null) {
            reorder(target);
        }
        boolean finite = true;
        for (int segment = 0; segment < sums[row].length; segment++) {
            double sum = 0;
            int end = Math.min(k, (segment + 1) * segmentRows);
            for (int i = segment * segmentRows; i < end; i++) {
                sum += target[i];
            }
            sums[row][segment] = (float) sum;
            finite &= Double.isFinite(sum);     // floats do not overflow it
        }
        if (nonFinite != null) {
            nonFinite[row] = finite ? null : NonFinite.places(target);
        }
        fixed[row] = integers && values.length <= FEW_ROWS ? FixedPointRow.of(target, segmentRows) : null;
    }

    private void convert(DataType type, ByteBuffer source, long element, float[] target) {
        int at = Math.toIntExact(element * type.bytes());
        switch (type) {
            case FP32 -> source.slice(at, k * Float.BYTES).order(source.order()).asFloatBuffer().get(target, 0, k);
            case FP16 -> {
                for (int i = 0; i < k; i++) {
                    target[i] = HalfFloats.fromFp16(source.getShort(at + i * Short.BYTES));
                }
            }
            case BF16 -> {
                for (int i = 0; i < k; i++) {
                    target[i] = HalfFloats.fromBf16(source.getShort(at + i * Short.BYTES));
                }
            }
        }
    }

    private void reorder(float[] target) {
        float[] given = target.clone();
        for (int i = 0; i < k; i++) {
            target[i] = given[inputOrder.get(i)];
        }
    }

    /** The activations of a row, {@code [paddedK]}. */
    float[] row(int row) {
        return values[row];
    }

    /** The sum of a row's activations over a segment. */
    float sum(int row, int segment) {
        return sums[row][segment];
    }

    /** The row as integers; null if there are too many rows for that to pay or the row does not allow it. */
    FixedPointRow fixed(int row) {
        return fixed[row];
    }

    /** Where a row holds infinities or NaN that need a {@linkplain NonFinite product of their own}; null if none do. */
    int[] nonFinite(int row) {
        return nonFinite == null ? null : nonFinite[row];
    }
}
