package io.github.jmarlin.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Products with weights in full precision: against fp64, and the same bits whatever computes them natively. */
final class DenseLinearTest {
    /** With the shapes at which a kernel takes another path: no whole vector, a block of k and more, more rows than a call takes. */
    @ParameterizedTest
    @CsvSource({"FP32, 64, 96, 1", "FP32, 257, 33, 3", "FP32, 2049, 6, 2", "BF16, 2048, 70, 2", "BF16, 896, 5, 17", "BF16, 33, 7, 2",
        "BF16, 4100, 9, 5", "FP16, 512, 100, 130", "FP16, 1022, 9, 1", "FP16, 1, 1, 1", "FP16, 15, 3, 65", "FP32, 7, 2, 64"})
    void matchesFp64(DataType type, int k, int n, int m) {
        float[] values = TestMatrices.gaussian(n * k, 1);
        float[] bias = TestMatrices.gaussian(n, 2);
        float[] a = TestMatrices.gaussian(m * k, 3);
        try (NativeMemory weights = weights(type, values, n, k)) {
            double[] expected = new double[m * n];
            for (int row = 0; row < m; row++) {
                for (int column = 0; column < n; column++) {
                    expected[row * n + column] = bias[column];
                    for (int i = 0; i < k; i++) {
                        expected[row * n + column] += (double) a[row * k + i] * values[column * k + i];
                    }
                }
            }
            float[] native0 = null;
            for (InstructionSet set : InstructionSet.available()) {
                try (CpuDevice device = CpuDevice.of(3, set); DenseLinear layer = new DenseLinear(device, type, weights, k, n, bias)) {
                    String what = type + " k " + k + ", " + set;
                    float[] c = multiply(layer, a, m);
                    Errors.assertWithin(1e-6, expected, c, n, what);
                    Errors.assertSameBits(Arrays.copyOfRange(c, (m - 1) * n, m * n),
                            multiply(layer, Arrays.copyOfRange(a, (m - 1) * k, m * k), 1), n, what + ", the last row alone");
                    if (set != InstructionSet.JAVA) {
                        native0 = native0 == null ? c : native0;
                        Errors.assertSameBits(native0, c, n, what);
                    }
                }
            }
        }
    }

    /** Rounds the values, too. Small ones are among them: the smallest halves are subnormal. */
    private static NativeMemory weights(DataType type, float[] values, int n, int k) {
        NativeMemory weights = NativeMemory.allocate((long) n * k * type.bytes(), (long) k * type.bytes());
        for (int i = 0; i < values.length; i++) {
            values[i] *= i % 3 == 0 ? 1 : i % 3 == 1 ? 1e-3f : 1e-6f;
            if (type == DataType.FP32) {
                weights.putFloat(i * 4L, values[i]);
            } else {
                weights.putShort(i * 2L, HalfFloats.encode(type, values[i]));
                values[i] = HalfFloats.decode(type, HalfFloats.encode(type, values[i]));
            }
        }
        return weights;
    }

    private static ByteBuffer buffer(int floats) {
        return ByteBuffer.allocateDirect(floats * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static float[] multiply(DenseLinear layer, float[] a, int m) {
        ByteBuffer activations = buffer(a.length);
        activations.asFloatBuffer().put(a);
        float[] c = new float[m * layer.n()];
        Arrays.fill(c, Float.NaN);
        ByteBuffer results = buffer(c.length + 1);
        results.asFloatBuffer().put(c).put(12345);
        layer.multiply(activations, m, results);
        results.asFloatBuffer().get(c);
        assertEquals(12345, results.getFloat(c.length * Float.BYTES), "behind the results");
        return c;
    }

    @Test
    void badOperands() {
        try (CpuDevice device = new CpuDevice(1); NativeMemory weights = NativeMemory.allocate(60, 20)) {
            assertEquals("weights of 60 bytes given for [n 3][k 4] FP32", assertThrows(IllegalArgumentException.class,
                    () -> new DenseLinear(device, DataType.FP32, weights, 4, 3, null)).getMessage());
            assertEquals("weights of 60 bytes and a bias of 2 given for [n 3][k 5] FP32", assertThrows(IllegalArgumentException.class,
                    () -> new DenseLinear(device, DataType.FP32, weights, 5, 3, new float[2])).getMessage());
            DenseLinear layer = new DenseLinear(device, DataType.FP32, weights, 5, 3, null);
            assertThrows(IllegalStateException.class, weights::close, "in use");
            assertTrue(assertThrows(IllegalArgumentException.class, () -> layer.multiply(buffer(9), 2, buffer(6))).getMessage()
                    .startsWith("a of 36 bytes: a direct buffer for [m 2][5] fp32 expected"));
            assertTrue(assertThrows(IllegalArgumentException.class, () -> layer.multiply(buffer(10), 2, ByteBuffer.allocate(24))).getMessage()
                    .startsWith("c of 24 bytes on the heap: a direct buffer for [m 2][3] fp32 expected"));
            layer.close();
            layer.close();
            assertThrows(IllegalStateException.class, () -> layer.multiply(buffer(10), 2, buffer(6)));
        }
    }
}
