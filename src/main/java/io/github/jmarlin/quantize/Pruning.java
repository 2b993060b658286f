package io.github.jmarlin.quantize;

import java.util.Arrays;

/** 2:4 sparsity: which two of every four neighbouring inputs of an output stay. */
public enum Pruning {
    /** All four. */
    NONE,
    /** Those that are not 0 already: at most two. */
    GIVEN,
    /** The two largest. */
    MAGNITUDE,
    /**
     * The two that it would cost most to leave out if all later inputs made up for it, {@code w^2 / U[i][i]^2}: SparseGPT (Frantar and
     * Alistarh, arXiv 2301.00774).
     */
    SPARSE_GPT;

    /** Neighbouring inputs of which some are left out. */
    static final int QUAD = 4;
    /** How many of them stay. */
    static final int KEPT = 2;

    /** Whether weights as they are when the first of four comes up decide, and not those that were given. */
    boolean chooses() {
        return this == MAGNITUDE || this == SPARSE_GPT;
    }

    /**
     * Sets {@code kept} for the quads {@code [from, to)} of a row, from a multiple of four on: two of each, of equal ones the first. Of
     * fewer than three inputs at the end all stay.
     *
     * @param factor the inverse Hessian's factor
     */
    void choose(float[] row, int from, int to, float[][] factor, boolean[] kept) {
        for (int quad = from; quad < to; quad += QUAD) {
            int end = Math.min(to, quad + QUAD);
            for (int i = quad; i < end; i++) {
                double own = saliency(row[i], factor[i][i]);
                int ahead = 0;
                for (int j = quad; j < end; j++) {
                    double other = saliency(row[j], factor[j][j]);
                    ahead += other > own || other == own && j < i ? 1 : 0;
                }
                kept[i] = ahead < KEPT;
            }
        }
    }

    private double saliency(double weight, double factor) {
        return this == SPARSE_GPT ? weight * weight / (factor * factor) : weight * weight;
    }

    /**
     * Checks that at most two of every four inputs of each output are not 0.
     *
     * @param weights {@code [n][k]}
     * @param firstOutput the number of the first of the n, for the message
     * @throws IllegalArgumentException with the place of the first that are
     */
    public static void requireGiven(float[] weights, int k, int firstOutput) {
        boolean[] kept = new boolean[k];
        for (int at = 0; at < weights.length; at += k) {
            keepGiven(Arrays.copyOfRange(weights, at, at + k), firstOutput + at / k, kept);
        }
    }

    /**
     * Sets {@code kept} of a whole row where it is not 0.
     *
     * @param output the row's number, for the message
     * @throws IllegalArgumentException if more than two of four are not
     */
    static void keepGiven(float[] row, int output, boolean[] kept) {
        for (int quad = 0; quad < row.length; quad += QUAD) {
            int count = 0;
            for (int i = quad; i < Math.min(row.length, quad + QUAD); i++) {
                kept[i] = row[i] != 0;
                count += kept[i] ? 1 : 0;
            }
            if (count > KEPT) {
                throw new IllegalArgumentException("output " + output + ", inputs " + quad + " to " + (quad + QUAD - 1) + ": " + count
                        + " weights are not 0, 2:4 sparsity stores two of four");
            }
        }
    }
}
