package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.StripedLayout;
import java.nio.ByteBuffer;

/**
 * Rows of activations as floats, padded with zeros to whole blocks, and their sums over each segment of k.
 *
 * <p>A segment is the run of rows of the weights over which a product is summed before it is scaled: a group, or 256 rows where
 * one group spans all, so that no sum in floats gets long.
 */
final class Activations {
    private static final int LONGEST_SEGMENT = 256;

    private final int k;
    private final int segmentRows;
    private final float[][] values;
    private final float[][] sums;

    Activations(StripedLayout layout, int rows) {
        k = layout.k();
        segmentRows = segmentRows(layout);
        values = new float[rows][layout.paddedK()];
        sums = new float[rows][(layout.paddedK() - 1) / segmentRows + 1];
    }

    /** Rows of the weights in a segment, a divisor or a multiple of 64. */
    static int segmentRows(StripedLayout layout) {
        return layout.isOneGroup() ? LONGEST_SEGMENT : layout.groupSize();
    }

    /** Converts k elements of {@code source}, from {@code element} on, to the given row. */
    void read(DataType type, ByteBuffer source, long element, int row) {
        float[] target = values[row];
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
        for (int segment = 0; segment < sums[row].length; segment++) {
            double sum = 0;
            int end = Math.min(k, (segment + 1) * segmentRows);
            for (int i = segment * segmentRows; i < end; i++) {
                sum += target[i];
            }
            sums[row][segment] = (float) sum;
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
}
