package io.github.jmarlin.quantize;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class RoundToNearestTest {
    private static final int K = 300;
    private static final int N = 133;

    static Stream<RoundToNearest> quantizers() {
        return Stream.of(-1, 32, 64, 128, 256).flatMap(groupSize -> Stream.of(DataType.FP16, DataType.BF16)
                .flatMap(type -> Stream.of(RoundToNearest.symmetric(groupSize, type), RoundToNearest.asymmetric(groupSize, type))));
    }

    /** Normal numbers, some columns all positive, all negative, zero, constant, tiny, or with one outlier. */
    private static float[] weights() {
        float[] weights = TestMatrices.gaussian(K * N, 1);
        for (int row = 0; row < K; row++) {
            float normal = weights[row * N];
            float[] special = {normal * 0.02f, Math.abs(normal), -Math.abs(normal), 0, 3, normal * 1e-7f, row == 77 ? 40 : normal,
                normal * 1000};
            System.arraycopy(special, 0, weights, row * N, special.length);
        }
        return weights;
    }

    /** By the definition, one weight at a time in doubles: scale, zero point, and the code that no other code beats. */
    @ParameterizedTest
    @MethodSource("quantizers")
    void followsItsDefinition(RoundToNearest quantizer) {
        float[] weights = weights();
        try (QuantizedMatrix matrix = quantizer.quantize(weights, K, N)) {
            int rowsPerGroup = matrix.rowsPerGroup();
            for (int column = 0; column < N; column++) {
                for (int group = 0; group < matrix.groups(); group++) {
                    int end = Math.min(K, (group + 1) * rowsPerGroup);
                    double low = 0;
                    double high = 0;
                    for (int row = group * rowsPerGroup; row < end; row++) {
                        low = Math.min(low, weights[row * N + column]);
                        high = Math.max(high, weights[row * N + column]);
                    }
                    double ideal = quantizer.zeroPoints() ? (high - low) / 15 : Math.max(high, -low) / 7.5;
                    short bits = HalfFloats.encode(quantizer.scaleType(), ideal);
                    assertEquals(bits, matrix.scaleBits(group, column), "scale of group " + group + ", column " + column);
                    double scale = HalfFloats.decode(quantizer.scaleType(), bits);
                    long zero = !quantizer.zeroPoints() || scale == 0 ? 8 : Math.min(15, (long) Math.rint(-low / scale));
                    assertEquals(zero, matrix.zeroPoint(group, column), "zero point of group " + group + ", column " + column);
                    for (int row = group * rowsPerGroup; row < end; row++) {
                        checkNearest(matrix, row, column, weights[row * N + column], scale);
                    }
                }
            }
        }
    }

    private static void checkNearest(QuantizedMatrix matrix, int row, int column, double weight, double scale) {
        double error = Math.abs(weight - matrix.weight(row, column));
        int zero = matrix.zeroPoint(row / matrix.rowsPerGroup(), column);
        for (int code = 0; code < 16; code++) {
            double other = Math.abs(weight - (code - zero) * scale);
            // The quotient is rounded to float before it is rounded to a code: beside a tie, either neighbour may be taken.
            if (!(error <= other + 15 * scale * 0x1p-23)) {
                fail("row " + row + ", column " + column + ": weight " + weight + " became code " + matrix.code(row, column)
                        + " with the error " + error + ", code " + code + " has " + other);
            }
        }
        boolean isFp16 = matrix.scaleType() == DataType.FP16;
        double scaleRounding = Math.max(scale * (isFp16 ? 0x1p-11 : 0x1p-8), isFp16 ? 0x1p-25 : 0);
        double bound = scale / 2 + 15 * scaleRounding;
        if (!(error <= bound)) {
            fail("row " + row + ", column " + column + ": weight " + weight + " has the error " + error + ", above " + bound
                    + " for the scale " + scale);
        }
    }

    @ParameterizedTest
    @MethodSource("quantizers")
    void clippingSearchIsNeverWorseAndUsuallyBetter(RoundToNearest quantizer) {
        float[] weights = weights();
        try (QuantizedMatrix plain = quantizer.quantize(weights, K, N);
                QuantizedMatrix clipped = quantizer.withClippingSearch().quantize(weights, K, N)) {
            int better = 0;
            for (int column = 0; column < N; column++) {
                for (int group = 0; group < plain.groups(); group++) {
                    double before = squaredError(plain, weights, group, column);
                    double after = squaredError(clipped, weights, group, column);
                    if (!(after <= before * (1 + 1e-5))) {
                        fail("group " + group + ", column " + column + ": squared error " + before + " became " + after);
                    }
                    better += after < before * 0.99 ? 1 : 0;
                }
            }
            assertTrue(better > N * plain.groups() / 4, better + " of " + N * plain.groups() + " groups got better by 1 %");
        }
    }

    private static double squaredError(QuantizedMatrix matrix, float[] weights, int group, int column) {
        double sum = 0;
        for (int row = group * matrix.rowsPerGroup(); row < Math.min(K, (group + 1) * matrix.rowsPerGroup()); row++) {
            sum += Math.pow(weights[row * N + column] - (double) matrix.weight(row, column), 2);
        }
        return sum;
    }

    /** The same numbers give the same matrix, however they lie in memory. */
    @ParameterizedTest
    @EnumSource(DataType.class)
    void everySourceGivesTheSame(DataType type) {
        float[] weights = TestMatrices.gaussian(K * N, 2);
        for (int i = 0; i < weights.length; i++) {
            weights[i] = type == DataType.FP32 ? weights[i] : HalfFloats.decode(type, HalfFloats.encode(type, weights[i]));
        }
        RoundToNearest quantizer = RoundToNearest.asymmetric(64, DataType.FP16).withClippingSearch();
        try (QuantizedMatrix expected = quantizer.quantize(weights, K, N)) {
            for (WeightSource.Order order : WeightSource.Order.values()) {
                try (NativeMemory memory = inMemory(weights, type, order);
                        QuantizedMatrix matrix = quantizer.quantize(WeightSource.of(memory, type, order, K, N))) {
                    Errors.assertSameMatrix(expected, matrix);
                }
            }
        }
    }

    private static NativeMemory inMemory(float[] weights, DataType type, WeightSource.Order order) {
        NativeMemory memory = NativeMemory.allocate((long) K * N * type.bytes(), type.bytes());
        for (int row = 0; row < K; row++) {
            for (int column = 0; column < N; column++) {
                long element = order == WeightSource.Order.K_BY_N ? row * N + column : column * K + row;
                if (type == DataType.FP32) {
                    memory.putFloat(Float.BYTES * element, weights[row * N + column]);
                } else {
                    memory.putShort(Short.BYTES * element, HalfFloats.encode(type, weights[row * N + column]));
                }
            }
        }
        return memory;
    }

    @Test
    void badWeightsAreNamed() {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            float[] weights = TestMatrices.gaussian(200 * 150, 3);
            weights[170 * 150 + 140] = bad;
            rejects(() -> RoundToNearest.symmetric(128, DataType.FP16).quantize(weights, 200, 150),
                    "weight " + bad + " at row 170, column 140");
        }
    }

    @Test
    void weightsTooLargeForTheirScaleTypeAreNamed() {
        float[] weights = new float[64];
        Arrays.fill(weights, 1e6f);
        rejects(() -> RoundToNearest.symmetric(32, DataType.FP16).quantize(weights, 64, 1), "1000000.0", "133333.3", "FP16");
        RoundToNearest.symmetric(32, DataType.BF16).quantize(weights, 64, 1).close();
        weights[0] = Float.MAX_VALUE;
        weights[1] = -Float.MAX_VALUE;
        RoundToNearest.asymmetric(32, DataType.BF16).quantize(weights, 64, 1).close();
    }

    @Test
    void badArgumentsAreRejected() {
        rejects(() -> RoundToNearest.symmetric(128, DataType.FP16).quantize(new float[5], 2, 3), "5 weights", "k 2", "n 3");
        rejects(() -> RoundToNearest.symmetric(100, DataType.FP16).quantize(new float[6], 2, 3), "group size 100", "128");
        rejects(() -> RoundToNearest.symmetric(128, DataType.FP32).quantize(new float[6], 2, 3), "scale type FP32");
        try (NativeMemory memory = NativeMemory.allocate(11, 1)) {
            rejects(() -> WeightSource.of(memory, DataType.FP16, WeightSource.Order.K_BY_N, 2, 3), "11 bytes", "k 2", "n 3");
        }
    }

    private static void rejects(Executable call, String... parts) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), "\"" + part + "\" is not in: " + message);
        }
    }
}
