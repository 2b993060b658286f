package io.github.jmarlin.llama;

import io.github.jmarlin.DataType;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Products with matrices in full precision, against fp64. */
final class CpuDenseProductTest {
    @ParameterizedTest
    @CsvSource({"FP32, 64, 96, 1", "FP32, 257, 33, 3", "BF16, 2048, 70, 2", "BF16, 896, 5, 17", "BF16, 33, 7, 2", "FP16, 512, 100, 4",
        "FP16, 1022, 9, 1", "FP16, 1, 1, 1"})
    void matchesFp64(DataType type, int k, int n, int m) {
        float[] values = TestMatrices.gaussian(n * k, 1);
        float[] bias = TestMatrices.gaussian(n, 2);
        NativeMemory data = NativeMemory.allocate((long) n * k * type.bytes(), (long) k * type.bytes());
        for (int i = 0; i < values.length; i++) {
            // Small ones too: the smallest halves are subnormal.
            values[i] *= i % 3 == 0 ? 1 : i % 3 == 1 ? 1e-3f : 1e-6f;
            if (type == DataType.FP32) {
                data.putFloat(i * 4L, values[i]);
            } else {
                data.putShort(i * 2L, HalfFloats.encode(type, values[i]));
                values[i] = HalfFloats.decode(type, HalfFloats.encode(type, values[i]));
            }
        }
        float[] a = TestMatrices.gaussian(m * k, 3);
        double[] expected = new double[m * n];
        for (int row = 0; row < m; row++) {
            for (int column = 0; column < n; column++) {
                expected[row * n + column] = bias[column];
                for (int i = 0; i < k; i++) {
                    expected[row * n + column] += (double) a[row * k + i] * values[column * k + i];
                }
            }
        }
        try (CpuDevice device = new CpuDevice(3);
                CpuDenseProduct product = new CpuDenseProduct(device, new DenseMatrix(type, data, n, k, bias))) {
            float[] c = new float[m * n];
            Arrays.fill(c, Float.NaN);
            product.multiply(a, m, c);
            Errors.assertWithin(1e-6, expected, c, n, type + " k " + k);
            float[] last = new float[n];
            product.multiply(Arrays.copyOfRange(a, (m - 1) * k, m * k), 1, last);
            Errors.assertSameBits(Arrays.copyOfRange(c, (m - 1) * n, m * n), last, n, "alone");
        }
        data.close();
    }
}
