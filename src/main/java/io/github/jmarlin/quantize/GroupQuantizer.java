package io.github.jmarlin.quantize;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** One group of rows of some columns: their ranges, the scales and zero points that follow, the errors those make, the codes. */
final class GroupQuantizer {
    /** Ranges tried: all of the range, and narrower in steps of 1/64 of it, down to half. */
    private static final int CLIPPING_STEPS = 32;
    private static final float CLIPPING_STEP = 1f / 64;
    /** Rows whose squared errors are added in floats before they go on in doubles. */
    private static final int ROWS_PER_PARTIAL_SUM = 64;
    /** Adding and subtracting 1.5 * 2^23 rounds a float of small magnitude to the nearest integer, ties to even, on vectors. */
    private static final float ROUNDER = 0x1.8p23f;

    private final float[][] rows;
    private final int firstRow;
    private final int firstColumn;
    private final DataType scaleType;
    private final boolean hasZeroPoints;
    private final int columns;
    private final float[] low;
    private final float[] high;
    private final float[] scales;
    /** Zero points, as floats. */
    private final float[] zeros;

    /** Takes the whole range of each column. */
    GroupQuantizer(float[][] rows, int firstRow, int firstColumn, DataType scaleType, boolean hasZeroPoints) {
        this.rows = rows;
        this.firstRow = firstRow;
        this.firstColumn = firstColumn;
        this.scaleType = scaleType;
        this.hasZeroPoints = hasZeroPoints;
        columns = rows[0].length;
        low = new float[columns];
        high = new float[columns];
        scales = new float[columns];
        zeros = new float[columns];
        for (float[] row : rows) {
            widen(row, low, high);
        }
        checkFinite();
        fitScales(1, scales, zeros);
    }

    private static void widen(float[] row, float[] low, float[] high) {
        for (int j = 0; j < row.length; j++) {
            low[j] = Math.min(low[j], row[j]);
            high[j] = Math.max(high[j], row[j]);
        }
    }

    /** Minimum and maximum hold on to NaN and infinities, so only bad columns are looked through. */
    private void checkFinite() {
        for (int j = 0; j < columns; j++) {
            if (Float.isFinite(low[j]) && Float.isFinite(high[j])) {
                continue;
            }
            for (int i = 0; i < rows.length; i++) {
                if (!Float.isFinite(rows[i][j])) {
                    throw new IllegalArgumentException("weight " + rows[i][j] + " at row " + (firstRow + i) + ", column "
                            + (firstColumn + j) + " is not finite");
                }
            }
        }
    }

    /** Scales and zero points for ranges of {@code part} of their width. */
    private void fitScales(float part, float[] scales, float[] zeros) {
        for (int j = 0; j < columns; j++) {
            // In doubles: the width of a range of floats may be no float.
            double scale = hasZeroPoints ? ((double) high[j] - low[j]) / 15 : Math.max(high[j], -low[j]) / 7.5;
            short bits = HalfFloats.encode(scaleType, scale * part);
            if (!HalfFloats.isFinite(scaleType, bits)) {
                throw new IllegalArgumentException("weights from " + low[j] + " to " + high[j] + " in rows " + firstRow + ".."
                        + (firstRow + rows.length - 1) + ", column " + (firstColumn + j) + " need the scale " + scale
                        + ", which is not a finite " + scaleType + " number");
            }
            scales[j] = HalfFloats.decode(scaleType, bits);
            zeros[j] = hasZeroPoints && scales[j] != 0
                    ? (float) Math.min(QuantizedMatrix.MAX_CODE, Math.rint(-low[j] * (double) part / scales[j]))
                    : QuantizedMatrix.SYMMETRIC_ZERO_POINT;
        }
    }

    /** Replaces scales and zero points by those of the narrower range with the least squared error, if it is below the whole's. */
    void searchClipping() {
        double[] best = squaredErrors(scales, zeros);
        float[] triedScales = new float[columns];
        float[] triedZeros = new float[columns];
        for (int step = 1; step <= CLIPPING_STEPS; step++) {
            fitScales(1 - step * CLIPPING_STEP, triedScales, triedZeros);
            double[] errors = squaredErrors(triedScales, triedZeros);
            for (int j = 0; j < columns; j++) {
                if (errors[j] < best[j]) {
                    best[j] = errors[j];
                    scales[j] = triedScales[j];
                    zeros[j] = triedZeros[j];
                }
            }
        }
    }

    private double[] squaredErrors(float[] scales, float[] zeros) {
        double[] errors = new double[columns];
        float[] partial = new float[columns];
        float[] divisors = divisors(scales);
        for (int i = 0; i < rows.length; i++) {
            addSquaredErrors(rows[i], scales, divisors, zeros, partial);
            if (i % ROWS_PER_PARTIAL_SUM == ROWS_PER_PARTIAL_SUM - 1 || i == rows.length - 1) {
                for (int j = 0; j < columns; j++) {
                    errors[j] += partial[j];
                }
                Arrays.fill(partial, 0);
            }
        }
        return errors;
    }

    private static void addSquaredErrors(float[] row, float[] scales, float[] divisors, float[] zeros, float[] errors) {
        for (int j = 0; j < row.length; j++) {
            float code = Math.max(0f, Math.min(15f, row[j] / divisors[j] + ROUNDER - ROUNDER + zeros[j]));
            float error = row[j] - (code - zeros[j]) * scales[j];
            errors[j] += error * error;
        }
    }

    /** What weights are divided by: the scales, and infinity where the scale is 0, which makes every code the zero point. */
    private static float[] divisors(float[] scales) {
        float[] divisors = scales.clone();
        for (int j = 0; j < divisors.length; j++) {
            divisors[j] = divisors[j] == 0 ? Float.POSITIVE_INFINITY : divisors[j];
        }
        return divisors;
    }

    /** Writes codes, scales and zero points of the group; rows of codes are {@code stride} bytes apart. */
    void write(QuantizedMatrix.Builder matrix, int group, long stride) {
        float[] divisors = divisors(scales);
        byte[] codes = new byte[columns + 1 & ~1];
        byte[] pairs = new byte[codes.length / 2];
        NativeMemory target = matrix.codes();
        for (int i = 0; i < rows.length; i++) {
            for (int j = 0; j < columns; j++) {
                float code = Math.max(0f, Math.min(15f, rows[i][j] / divisors[j] + ROUNDER - ROUNDER + zeros[j]));
                codes[j] = (byte) code;
            }
            for (int j = 0; j < pairs.length; j++) {
                pairs[j] = (byte) (codes[2 * j] | codes[2 * j + 1] << 4);
            }
            target.copyFrom((firstRow + i) * stride + firstColumn / 2, ByteBuffer.wrap(pairs));
        }
        for (int j = 0; j < columns; j++) {
            matrix.setScale(group, firstColumn + j, scales[j]);
            if (hasZeroPoints) {
                matrix.setZeroPoint(group, firstColumn + j, (int) zeros[j]);
            }
        }
    }
}
