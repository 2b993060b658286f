package io.github.jmarlin.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DenseProductTest {
    /** Small integers: every sum is exact, so the results must be equal. */
    @ParameterizedTest
    @CsvSource({"1, 1, 1", "1, 4, 512", "3, 7, 513", "2, 9, 1100", "5, 64, 30"})
    void equalsTheTripleLoop(int m, int k, int n) {
        float[] a = integers(m * k, 3);
        float[] w = integers(k * n, 5);
        float[] c = integers(m * n, 7);
        new DenseProduct(w, k, n).multiply(a, m, c);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                float sum = 0;
                for (int row = 0; row < k; row++) {
                    sum += a[i * k + row] * w[row * n + j];
                }
                assertEquals(sum, c[i * n + j], "row " + i + ", column " + j);
            }
        }
    }

    @Test
    void refusesWrongSizes() {
        assertThrows(IllegalArgumentException.class, () -> new DenseProduct(new float[5], 2, 3));
        DenseProduct product = new DenseProduct(new float[6], 2, 3);
        assertThrows(IndexOutOfBoundsException.class, () -> product.multiply(new float[3], 2, new float[6]));
        assertThrows(IndexOutOfBoundsException.class, () -> product.multiply(new float[4], 2, new float[5]));
    }

    private static float[] integers(int length, int seed) {
        float[] values = new float[length];
        for (int i = 0; i < length; i++) {
            values[i] = (i * 31 + seed * 17) % 13 - 6;
        }
        return values;
    }
}
