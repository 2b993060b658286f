package io.github.jmarlin.llama;

import io.github.jmarlin.PackedWeights;

/** A linear layer of a model on the host, before a device has it: {@code C[m][n] = A[m][k] * W + bias}. */
public sealed interface Projection {
    /** In-features. */
    int k();

    /** Out-features. */
    int n();

    /** In 4 bits, as JMarlin's layers take it. */
    record Packed(PackedWeights weights) implements Projection {
        @Override
        public int k() {
            return weights.k();
        }

        @Override
        public int n() {
            return weights.n();
        }
    }

    /** In full precision. */
    record Dense(DenseMatrix matrix) implements Projection {
        @Override
        public int k() {
            return matrix.k();
        }

        @Override
        public int n() {
            return matrix.n();
        }
    }
}
