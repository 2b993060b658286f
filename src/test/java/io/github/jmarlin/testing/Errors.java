package io.github.jmarlin.testing;

import static org.junit.jupiter.api.Assertions.fail;

/** Comparisons that report the first mismatch with coordinates and both values, and that NaN never passes. */
public final class Errors {
    private Errors() {
    }

    /** |actual - expected| / |expected| in the Frobenius norm; NaN if any element is. */
    public static double relativeFrobenius(double[] expected, float[] actual) {
        if (expected.length != actual.length) {
            fail("expected " + expected.length + " elements, got " + actual.length);
        }
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < expected.length; i++) {
            difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
            norm += expected[i] * expected[i];
        }
        return difference == 0 ? 0 : Math.sqrt(difference / norm);
    }

    /**
     * Fails if the matrices {@code [rows][columns]} differ by more than {@code bound}, and names the element that differs most.
     */
    public static void assertWithin(double bound, double[] expected, float[] actual, int columns, String what) {
        double error = relativeFrobenius(expected, actual);
        if (!(error <= bound)) {
            int worst = 0;
            double worstDifference = -1;
            for (int i = 0; i < expected.length; i++) {
                double difference = Math.abs(actual[i] - expected[i]);
                if (!(difference <= worstDifference)) {
                    worst = i;
                    worstDifference = difference;
                    if (Double.isNaN(difference)) {
                        break;
                    }
                }
            }
            fail(what + ": relative error " + error + " exceeds " + bound + "; worst at row " + worst / columns + ", column "
                    + worst % columns + ": expected " + expected[worst] + ", got " + actual[worst]);
        }
    }

    /** Fails at the first element whose bits differ. */
    public static void assertSameBits(float[] expected, float[] actual, int columns, String what) {
        for (int i = 0; i < expected.length; i++) {
            if (Float.floatToRawIntBits(expected[i]) != Float.floatToRawIntBits(actual[i])) {
                fail(what + ": row " + i / columns + ", column " + i % columns + ": expected bits of " + expected[i] + ", got "
                        + actual[i]);
            }
        }
    }

    /** Fails at the first code, scale, zero point or bias in which two matrices of the same shape differ. */
    public static void assertSameMatrix(io.github.jmarlin.QuantizedMatrix expected, io.github.jmarlin.QuantizedMatrix actual) {
        if (!expected.toString().equals(actual.toString())) {
            fail("expected " + expected + ", got " + actual);
        }
        for (int column = 0; column < expected.n(); column++) {
            for (int row = 0; row < expected.k(); row++) {
                same("code at row " + row, column, expected.code(row, column), actual.code(row, column));
            }
            for (int group = 0; group < expected.groups(); group++) {
                same("scale bits at group " + group, column, expected.scaleBits(group, column), actual.scaleBits(group, column));
                same("zero point at group " + group, column, expected.zeroPoint(group, column), actual.zeroPoint(group, column));
            }
            same("bias bits", column, Float.floatToRawIntBits(expected.bias(column)), Float.floatToRawIntBits(actual.bias(column)));
        }
    }

    private static void same(String what, int column, int expected, int actual) {
        if (expected != actual) {
            fail(what + ", column " + column + ": expected " + expected + ", got " + actual);
        }
    }
}
