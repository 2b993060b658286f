package io.github.jmarlin.llama;

/** A projection on the processor, on floats in Java arrays. A row's bits do not depend on the other rows. One thread at a time. */
interface CpuProduct extends AutoCloseable {
    /** In-features. */
    int k();

    /** Out-features. */
    int n();

    /**
     * Overwrites the first {@code m * n} elements of {@code c}.
     *
     * @param a activations {@code [m][k]}
     * @param c results {@code [m][n]}
     */
    void multiply(float[] a, int m, float[] c);

    @Override
    void close();
}
