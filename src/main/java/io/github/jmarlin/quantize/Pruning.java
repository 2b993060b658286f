package io.github.jmarlin.quantize;

/** 2:4 sparsity: which two of every four neighbouring inputs of an output stay. */
public enum Pruning {
    /** All four. */
    NONE {
        @Override
        double saliency(double weight, double factor) {
            throw new IllegalStateException("nothing is left out");
        }
    },
    /** The two largest. */
    MAGNITUDE {
        @Override
        double saliency(double weight, double factor) {
            return weight * weight;
        }
    },
    /**
     * Those that it would cost most to leave out if all later inputs made up for it, {@code w^2 / U[i][i]^2}: SparseGPT (Frantar and
     * Alistarh, arXiv 2301.00774).
     */
    SPARSE_GPT {
        @Override
        double saliency(double weight, double factor) {
            return weight * weight / (factor * factor);
        }
    };

    /** Neighbouring inputs of which some are left out. */
    static final int QUAD = 4;
    /** How many of them stay. */
    static final int KEPT = 2;

    /**
     * What leaving a weight out would cost.
     *
     * @param factor the input's diagonal element of the inverse Hessian's factor
     */
    abstract double saliency(double weight, double factor);

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
}
