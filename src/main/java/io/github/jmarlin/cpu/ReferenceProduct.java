package io.github.jmarlin.cpu;

import io.github.jmarlin.QuantizedMatrix;
import java.nio.IntBuffer;
import java.util.stream.IntStream;

/** The product by its definition, in double precision, from the logical weights: what every other path is compared with. */
public final class ReferenceProduct {
    private static final int COLUMNS_AT_ONCE = 64;

    private ReferenceProduct() {
    }

    /**
     * {@code c[i][j] = sum over l of a[i][l] * weight(l, j), + bias(j)}, on all processors; with an input order, of
     * {@code a[i][inputOrder[l]] * weight(l, j)}.
     *
     * @param a activations {@code [m][k]}
     * @return {@code [m][n]}
     */
    public static double[] multiply(QuantizedMatrix weights, float[] a, int m) {
        int k = weights.k();
        int n = weights.n();
        if (m < 0 || (long) m * k != a.length) {
            throw new IllegalArgumentException("a has " + a.length + " elements, which is not [m " + m + "][k " + k + "]");
        }
        IntBuffer order = weights.inputOrder();
        double[] c = new double[Math.multiplyExact(m, n)];
        IntStream.range(0, (n - 1) / COLUMNS_AT_ONCE + 1).parallel().forEach(part -> {
            int begin = part * COLUMNS_AT_ONCE;
            int end = Math.min(n, begin + COLUMNS_AT_ONCE);
            double[] row = new double[end - begin];
            for (int l = 0; l < k; l++) {
                for (int j = begin; j < end; j++) {
                    row[j - begin] = weights.exactWeight(l, j);
                }
                for (int i = 0; i < m; i++) {
                    double activation = a[i * k + (order == null ? l : order.get(l))];
                    for (int j = begin; j < end; j++) {
                        c[i * n + j] += activation * row[j - begin];
                    }
                }
            }
            for (int i = 0; i < m; i++) {
                for (int j = begin; j < end; j++) {
                    c[i * n + j] += weights.bias(j);
                }
            }
        });
        return c;
    }
}
