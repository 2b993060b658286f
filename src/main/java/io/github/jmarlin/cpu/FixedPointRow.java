package io.github.jmarlin.cpu;

/**
 * A row of activations as integers, for products of few rows: an integer times a 4-bit code needs no conversion of the code to a
 * float, and sums of integers are exact.
 *
 * <p>Each segment of the row has a unit of its own, a power of two such that the magnitudes of its values add up to less than 2^28.
 * Times the at most 8 that a code is away from the middle, every sum over the segment fits 31 bits, whatever the codes are. The
 * rounding, half a unit per value, is at most 2^-21 of the segment's root mean square (128 values of the same magnitude) and for
 * normally distributed values 2^-22: as fine as a float sum over the segment.
 */
final class FixedPointRow {
    private static final int SUM_BITS = 28;
    /** Segments whose magnitudes add up to less than 2^SMALLEST_EXPONENT are left to floats: their scale would be none. */
    private static final int SMALLEST_EXPONENT = SUM_BITS - 1 - Float.MAX_EXPONENT;
    /** Keeps a sum just below a power of two from rounding up to it, half a unit per value. */
    private static final double ROUNDING_MARGIN = 1 + 0x1p-20;

    private final int[] values;
    private final int[] sums;
    private final float[] units;

    private FixedPointRow(int length, int segments) {
        values = new int[length];
        sums = new int[segments];
        units = new float[segments];
    }

    /**
     * @param row whole segments, at most 128 values each
     * @return null if the row holds infinities or NaN or is close to the smallest floats
     */
    static FixedPointRow of(float[] row, int segmentRows) {
        FixedPointRow fixed = new FixedPointRow(row.length, (row.length - 1) / segmentRows + 1);
        for (int segment = 0; segment < fixed.sums.length; segment++) {
            if (!fixed.read(row, segment, segment * segmentRows, Math.min(row.length, (segment + 1) * segmentRows))) {
                return null;
            }
        }
        return fixed;
    }

    private boolean read(float[] row, int segment, int begin, int end) {
        double magnitude = 0;
        for (int i = begin; i < end; i++) {
            magnitude += Math.abs(row[i]);
        }
        int exponent = magnitude == 0 ? 0 : Math.getExponent(magnitude * ROUNDING_MARGIN);
        if (!(magnitude < Double.POSITIVE_INFINITY) || exponent <= SMALLEST_EXPONENT) {
            return false;
        }
        int shift = SUM_BITS - 1 - exponent;
        float scale = Math.scalb(1f, shift);
        int sum = 0;
        for (int i = begin; i < end; i++) {
            // A float times a power of two is exact, and rounds to an integer as a float does: ties to even.
            values[i] = (int) Math.rint((double) (row[i] * scale));
            sum += values[i];
        }
        sums[segment] = sum;
        units[segment] = Math.scalb(1f, -shift);
        return true;
    }

    /** The activation at k in units of its segment. */
    int value(int k) {
        return values[k];
    }

    /** The sum of a segment's activations in units. */
    int sum(int segment) {
        return sums[segment];
    }

    /** What an activation of 1 is worth in a segment. */
    float unit(int segment) {
        return units[segment];
    }
}
