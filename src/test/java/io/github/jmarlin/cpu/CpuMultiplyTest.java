package io.github.jmarlin.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.MultiplyContractTest;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.util.Arrays;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The contract on the processor, and what only holds there, written once and run for each instruction set. */
abstract class CpuMultiplyTest extends MultiplyContractTest {
    private final InstructionSet set;
    private CpuDevice device;

    CpuMultiplyTest(InstructionSet set) {
        this.set = set;
    }

    @BeforeAll
    void start() {
        assumeTrue(set.isAvailable(), () -> "no " + set.title() + " here" + NativeCpu.unavailableReason());
        device = CpuDevice.of(Runtime.getRuntime().availableProcessors(), set);
    }

    @AfterAll
    void close() {
        if (device != null) {
            device.close();
        }
    }

    @Override
    protected ComputeDevice device() {
        return device;
    }

    @Test
    void bitsDoNotDependOnThreads() {
        try (QuantizedMatrix matrix = TestMatrices.layer(300, 1500, 128, DataType.FP16, true, true, 1);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16)) {
            float[] a = TestMatrices.gaussian(40 * 300, 2);
            float[] expected = null;
            for (int threads = 1; threads <= 5; threads++) {
                try (CpuDevice some = CpuDevice.of(threads, set); LinearLayer layer = some.place(weights)) {
                    float[] c = layer.multiply(a, 40);
                    expected = expected == null ? c : expected;
                    Errors.assertSameBits(expected, c, 1500, threads + " threads");
                }
            }
        }
    }

    /** The longest k of the promise, where rounding adds up most. */
    @ParameterizedTest
    @ValueSource(ints = {-1, 32, 64, 128, 256})
    void floatsStayAccurateOverLongSums(int groupSize) {
        for (boolean zeroPoints : new boolean[] {false, true}) {
            try (QuantizedMatrix matrix = TestMatrices.layer(28672, 48, groupSize, DataType.FP16, zeroPoints, false, 3);
                    PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16); LinearLayer layer = device.place(weights)) {
                for (int m : new int[] {1, 5}) {
                    float[] a = TestMatrices.gaussian(m * 28672, 4);
                    Errors.assertWithin(1e-6, ReferenceProduct.multiply(matrix, a, m), layer.multiply(a, m), 48,
                            "group size " + groupSize + ", zero points " + zeroPoints + ", m " + m);
                }
            }
        }
    }

    /** The largest sums there can be: all codes at one end, all activations of one size, just below a power of two. */
    @Test
    void sumsOfFewRowsDoNotOverflow() {
        for (int code : new int[] {0, 15}) {
            var builder = QuantizedMatrix.builder(256, 3, 128, DataType.FP16);
            for (int row = 0; row < 256; row++) {
                builder.setCodes(row, new byte[] {(byte) code, (byte) code, (byte) code});
            }
            try (QuantizedMatrix matrix = builder.setScales(0, new float[] {1, 2, 3}).setScales(1, new float[] {1, 1, 1}).build();
                    PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16); LinearLayer layer = device.place(weights)) {
                for (float size : new float[] {1, Math.nextDown(2f), -Math.nextDown(1f), 1e-30f, 3e30f, 1e34f, 1e-42f}) {
                    float[] a = new float[256];
                    Arrays.fill(a, size);
                    Errors.assertWithin(1e-6, ReferenceProduct.multiply(matrix, a, 1), layer.multiply(a, 1), 3,
                            "code " + code + ", activations " + size);
                }
            }
        }
    }

    /** Rows that integers cannot hold go through floats, beside rows that they can. */
    @Test
    void infinitiesAndNaNSpreadOverTheirRowOnly() {
        try (QuantizedMatrix matrix = TestMatrices.layer(128, 70, 64, DataType.FP16, false, false, 6);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16); LinearLayer layer = device.place(weights)) {
            float[] a = TestMatrices.gaussian(3 * 128, 7);
            float[] clean = layer.multiply(a, 3);
            a[128 + 5] = Float.NaN;
            a[2 * 128 + 5] = Float.POSITIVE_INFINITY;
            float[] c = layer.multiply(a, 3);
            Errors.assertSameBits(Arrays.copyOf(clean, 70), Arrays.copyOf(c, 70), 70, "row without");
            for (int column = 0; column < 70; column++) {
                assertTrue(Float.isNaN(c[70 + column]), "column " + column + ": " + c[70 + column]);
                float expected = matrix.weight(5, column) * Float.POSITIVE_INFINITY;
                assertEquals(expected, c[140 + column], "column " + column);
            }
        }
    }

    @Test
    void weightsStayOpenUnderALayer() {
        QuantizedMatrix matrix = TestMatrices.layer(64, 64, 64, DataType.BF16, false, false, 5);
        PackedWeights weights = PackedWeights.pack(matrix, DataType.BF16);
        LinearLayer layer = device.place(weights);
        String message = assertThrows(IllegalStateException.class, weights::close).getMessage();
        assertTrue(message.contains("closed while in use by 1 holder"), message);
        assertEquals(64, layer.multiply(new float[64], 1).length);
        layer.close();
        weights.close();
        message = assertThrows(IllegalStateException.class, () -> device.place(weights)).getMessage();
        assertTrue(message.contains("used after close"), message);
        matrix.close();
    }
}
