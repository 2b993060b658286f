package io.github.jmarlin.cpu;

import java.util.Objects;
import java.util.stream.IntStream;

/**
 * What a Java program does without 4-bit weights: a plain multi-threaded fp32 product {@code C[m][n] = A[m][k] * W[k][n]}.
 * The yardstick of the demo and of the benchmarks. Safe for any number of threads.
 */
public final class DenseProduct {
    /** Columns per task: four rows of weights stay in the L1 cache while every row of A uses them. */
    private static final int COLUMNS = 512;

    private final float[] weights;
    private final int k;
    private final int n;

    /**
     * @param weights {@code [k][n]}, kept, not copied
     * @throws IllegalArgumentException if there are not {@code k * n} of them
     */
    public DenseProduct(float[] weights, int k, int n) {
        if (k <= 0 || n <= 0 || weights.length != (long) k * n) {
            throw new IllegalArgumentException("weights must have k * n elements, k and n positive: " + weights.length
                    + " elements, k " + k + ", n " + n);
        }
        this.weights = weights;
        this.k = k;
        this.n = n;
    }

    /**
     * Overwrites the first {@code m * n} elements of {@code c}.
     *
     * @param a activations {@code [m][k]}
     * @param c results {@code [m][n]}
     */
    public void multiply(float[] a, int m, float[] c) {
        Objects.checkFromIndexSize(0, Math.multiplyExact(m, k), a.length);
        Objects.checkFromIndexSize(0, Math.multiplyExact(m, n), c.length);
        int tasks = (n + COLUMNS - 1) / COLUMNS;
        IntStream.range(0, tasks).parallel().forEach(task -> multiplyColumns(a, m, c, task * COLUMNS));
    }

    private void multiplyColumns(float[] a, int m, float[] c, int firstColumn) {
        int columns = Math.min(COLUMNS, n - firstColumn);
        // Sums in a tile of their own: rows of C can lie a multiple of 4096 bytes apart and would evict each other.
        float[] sums = new float[m * columns];
        int row = 0;
        for (; row + 4 <= k; row += 4) {
            for (int i = 0; i < m; i++) {
                addFourRows(a, i * k + row, row * n + firstColumn, sums, i * columns, columns);
            }
        }
        for (; row < k; row++) {
            for (int i = 0; i < m; i++) {
                for (int j = 0; j < columns; j++) {
                    sums[i * columns + j] += a[i * k + row] * weights[row * n + firstColumn + j];
                }
            }
        }
        for (int i = 0; i < m; i++) {
            System.arraycopy(sums, i * columns, c, i * n + firstColumn, columns);
        }
    }

    /** A method of its own, and plain indices: this is the loop that the compiler must vectorize. */
    private void addFourRows(float[] a, int aAt, int wAt, float[] sums, int sumsAt, int columns) {
        float a0 = a[aAt];
        float a1 = a[aAt + 1];
        float a2 = a[aAt + 2];
        float a3 = a[aAt + 3];
        float[] w = weights;
        int w1 = wAt + n;
        int w2 = w1 + n;
        int w3 = w2 + n;
        for (int j = 0; j < columns; j++) {
            sums[sumsAt + j] += a0 * w[wAt + j] + a1 * w[w1 + j] + a2 * w[w2 + j] + a3 * w[w3 + j];
        }
    }
}
