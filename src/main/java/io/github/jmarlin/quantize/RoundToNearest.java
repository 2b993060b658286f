package io.github.jmarlin.quantize;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.memory.Tasks;

/**
 * The quantizer that looks at nothing but the weights: every weight becomes the nearest of 16 evenly spaced values, spaced by its
 * group's scale.
 *
 * <p>Symmetric, a group whose largest magnitude is M has the scale M / 7.5 and the zero point 8. Otherwise a group with weights
 * from lo to hi, widened to hold 0, has the scale (hi - lo) / 15 and the zero point nearest to -lo / scale. Scales are rounded to
 * their type first and the codes chosen for the rounded scale. The error of a weight is at most half a scale, and what rounding
 * the scale moved the ends of the range.
 *
 * <p>With the clipping search, ranges down to half as wide are tried for every group, and the one whose squared error is least is
 * kept: a few weights at the ends move further so that all others move less.
 *
 * <p>The result does not depend on the number of threads.
 *
 * @param groupSize rows that share a scale: 32, 64, 128, 256 or -1 for one group per column
 * @param scaleType FP16 or BF16
 * @param zeroPoints whether every group has a zero point of its own
 * @param clippingSearch whether to look for the best range, which takes about 30 times as long
 */
public record RoundToNearest(int groupSize, DataType scaleType, boolean zeroPoints, boolean clippingSearch) {
    /** Columns of a task. */
    private static final int COLUMNS = 128;

    /** Checks the scale type. */
    public RoundToNearest {
        if (scaleType == null || !scaleType.is16Bit()) {
            throw new IllegalArgumentException("scale type " + scaleType + " is not supported: FP16 or BF16 expected");
        }
    }

    /** Symmetric weights, without clipping search. */
    public static RoundToNearest symmetric(int groupSize, DataType scaleType) {
        return new RoundToNearest(groupSize, scaleType, false, false);
    }

    /** Weights with zero points, without clipping search. */
    public static RoundToNearest asymmetric(int groupSize, DataType scaleType) {
        return new RoundToNearest(groupSize, scaleType, true, false);
    }

    /** The same, with clipping search. */
    public RoundToNearest withClippingSearch() {
        return new RoundToNearest(groupSize, scaleType, zeroPoints, true);
    }

    /** Quantizes weights {@code [k][n]}. */
    public QuantizedMatrix quantize(float[] weights, int k, int n) {
        return quantize(WeightSource.of(weights, k, n));
    }

    /**
     * Quantizes weights, on all processors of the common pool.
     *
     * @throws IllegalArgumentException if a weight is not finite, or so large that its scale is not
     */
    public QuantizedMatrix quantize(WeightSource weights) {
        try (var matrix = QuantizedMatrix.builder(weights.k(), weights.n(), groupSize, scaleType)) {
            if (zeroPoints) {
                matrix.withZeroPoints();
            }
            int n = weights.n();
            Tasks.forEach((n - 1) / COLUMNS + 1, task -> {
                int column = task * COLUMNS;
                quantize(weights, column, Math.min(COLUMNS, n - column), matrix);
            });
            return matrix.build();
        }
    }

    private void quantize(WeightSource weights, int column, int count, QuantizedMatrix.Builder matrix) {
        StripedLayout layout = new StripedLayout(weights.k(), weights.n(), groupSize);
        for (int group = 0; group < layout.groups(); group++) {
            int row = group * layout.rowsPerGroup();
            float[][] rows = new float[Math.min(layout.rowsPerGroup(), layout.k() - row)][count];
            weights.read(row, column, count, rows);
            GroupQuantizer quantizer = new GroupQuantizer(rows, row, column, scaleType, zeroPoints);
            if (clippingSearch) {
                quantizer.searchClipping();
            }
            quantizer.write(matrix, group, QuantizedMatrix.codeStride(layout.n()));
        }
    }
}
