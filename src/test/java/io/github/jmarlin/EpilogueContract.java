package io.github.jmarlin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.layout.MatrixShards;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.Numbers;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** What every device's epilogues must do: the part of {@link MultiplyContractTest} that is about them. */
final class EpilogueContract {
    private static final int GUARD = 24;
    private static final byte POISON = (byte) 0xff;
    private static final ByteBuffer EMPTY = ByteBuffer.allocate(0);

    private final ComputeDevice device;

    EpilogueContract(ComputeDevice device) {
        this.device = device;
    }

    /** Where a residual comes from, and where row factors do. */
    private record Operands(float[] residual, float[] rowFactors) {
        ByteBuffer residualBytes(DataType type) {
            return Numbers.encode(type, residual);
        }

        ByteBuffer factorBytes() {
            return Numbers.encode(DataType.FP32, rowFactors);
        }
    }

    /** Every combination of steps: 24 of weights whose columns lie in pairs, 12 of others. */
    private static List<Epilogue> combinations(boolean pairs) {
        List<Epilogue> all = new ArrayList<>();
        for (int bits = 0; bits < 8; bits++) {
            for (Epilogue.Residual residual : Epilogue.Residual.values()) {
                if (residual == Epilogue.Residual.DEVICE || (bits & 4) != 0 && !pairs) {
                    continue;
                }
                Epilogue epilogue = (bits & 1) != 0 ? Epilogue.NONE.withFloatOutput() : Epilogue.NONE;
                epilogue = (bits & 2) != 0 ? epilogue.withRowFactors(EMPTY) : epilogue;
                epilogue = (bits & 4) != 0 ? epilogue.withSiluMul() : epilogue;
                all.add(residual == Epilogue.Residual.HOST ? epilogue.withResidual(EMPTY)
                        : residual == Epilogue.Residual.OUTPUT ? epilogue.withAccumulation() : epilogue);
            }
        }
        return all;
    }

    /** The same steps with these operands; a residual in place of C is given as C. */
    private static Epilogue with(Epilogue steps, Operands operands, DataType output) {
        Epilogue epilogue = steps.hasRowFactors() ? steps.withRowFactors(operands.factorBytes()) : steps;
        return steps.residual() == Epilogue.Residual.HOST ? epilogue.withResidual(operands.residualBytes(output)) : epilogue;
    }

    /** All steps against double precision, and in place against out of place, for one shape. */
    void check(MultiplyContractTest.Shape shape, DataType computeType, boolean zeroPoints, boolean pairs, int[] batches,
            java.util.function.ToDoubleFunction<DataType> bound) {
        try (QuantizedMatrix matrix = matrix(shape, computeType, zeroPoints, pairs);
                PackedWeights weights = PackedWeights.pack(matrix, computeType);
                LinearLayer layer = device.place(weights)) {
            assertEquals(matrix.form(), layer.form());
            for (int m : batches) {
                for (DataType type : DataType.values()) {
                    if (layer.supports(type)) {
                        checkBatch(layer, matrix, type, m, bound.applyAsDouble(type), shape + ", pairs " + pairs + ", m " + m + ", " + type);
                    }
                }
            }
        }
    }

    static QuantizedMatrix matrix(MultiplyContractTest.Shape shape, DataType type, boolean zeroPoints, boolean pairs) {
        if (!pairs) {
            return TestMatrices.layer(shape.k(), shape.n(), shape.groupSize(), type, zeroPoints, true, shape.hashCode());
        }
        try (QuantizedMatrix gate = TestMatrices.layer(shape.k(), shape.n() / 2, shape.groupSize(), type, zeroPoints, true, 3);
                QuantizedMatrix up = TestMatrices.layer(shape.k(), shape.n() / 2, shape.groupSize(), type, zeroPoints, true, 4)) {
            return MatrixShards.interleave(gate, up);
        }
    }

    private void checkBatch(LinearLayer layer, QuantizedMatrix matrix, DataType type, int m, double bound, String what) {
        float[] a = Numbers.round(type, TestMatrices.gaussian(m * matrix.k(), 31L * m + matrix.n()));
        double[] product = ReferenceProduct.multiply(matrix, a, m);
        double[] withoutBias = product.clone();
        for (int i = 0; i < withoutBias.length; i++) {
            withoutBias[i] -= matrix.bias(i % matrix.n());
        }
        boolean pairs = matrix.form().columns() == io.github.jmarlin.layout.WeightForm.Columns.GATE_UP;
        for (Epilogue steps : combinations(pairs)) {
            DataType output = steps.outputType(type);
            int columns = steps.outputColumns(matrix.n());
            Operands operands = new Operands(Numbers.round(output, TestMatrices.gaussian(m * columns, 7L * m)), TestMatrices.gaussian(m, 9L * m));
            double[] expected = expected(steps, operands, withoutBias, matrix, m);
            float[] actual = multiply(layer, type, a, m, with(steps, operands, output), columns, output, operands.residual);
            // silu(g) * u has the error of both, and a gate near 0 that of its derivative.
            Errors.assertWithin(steps.siluMul() ? 2 * bound : bound, expected, actual, columns, what + ", " + steps);
            if (steps.residual() == Epilogue.Residual.HOST) {
                float[] inPlace = multiply(layer, type, a, m, with(steps, operands, output).withAccumulation(), columns, output,
                        operands.residual);
                Errors.assertSameBits(actual, inPlace, columns, what + ", in place, " + steps);
            }
        }
        fp32RoundsToTheSameBits(layer, type, a, m, what);
        if (pairs) {
            fusedEqualsUnfused(layer, type, a, m, what);
        }
    }

    private static double[] expected(Epilogue steps, Operands operands, double[] withoutBias, QuantizedMatrix matrix, int m) {
        int n = matrix.n();
        double[] x = new double[m * n];
        for (int i = 0; i < x.length; i++) {
            x[i] = withoutBias[i] * (steps.hasRowFactors() ? operands.rowFactors[i / n] : 1) + matrix.bias(i % n);
        }
        int columns = steps.outputColumns(n);
        double[] y = new double[m * columns];
        for (int i = 0; i < y.length; i++) {
            y[i] = steps.siluMul() ? silu(x[2 * i]) * x[2 * i + 1] : x[i];
            y[i] += steps.residual() == Epilogue.Residual.NONE ? 0 : operands.residual[i];
        }
        return y;
    }

    private static double silu(double gate) {
        return gate / (1 + Math.exp(-gate));
    }

    /** The sums are the same, and there is one rounding. */
    private static void fp32RoundsToTheSameBits(LinearLayer layer, DataType type, float[] a, int m, String what) {
        float[] wide = multiply(layer, type, a, m, Epilogue.NONE.withFloatOutput(), layer.n(), DataType.FP32, null);
        Errors.assertSameBits(multiply(layer, type, a, m, Epilogue.NONE, layer.n(), type, null), Numbers.round(type, wide), layer.n(),
                what + ", fp32 output rounded");
    }

    /** Within one rounding of the output's type, and what fp32 arithmetic on the way adds. */
    private static void fusedEqualsUnfused(LinearLayer layer, DataType type, float[] a, int m, String what) {
        float[] x = multiply(layer, type, a, m, Epilogue.NONE.withFloatOutput(), layer.n(), DataType.FP32, null);
        float[] fused = multiply(layer, type, a, m, Epilogue.NONE.withSiluMul(), layer.n() / 2, type, null);
        for (int i = 0; i < fused.length; i++) {
            double unfused = silu(x[2 * i]) * x[2 * i + 1];
            double rounding = switch (type) {
                case FP16 -> Math.abs(unfused) * 0x1p-11 + 0x1p-25;
                case BF16 -> Math.abs(unfused) * 0x1p-8;
                case FP32 -> 0;
            };
            double arithmetic = Math.abs(unfused) * 0x1p-20;
            assertTrue(Math.abs(fused[i] - unfused) <= rounding + arithmetic + Float.MIN_NORMAL,
                    what + ": silu(" + x[2 * i] + ") * " + x[2 * i + 1] + " is " + unfused + ", fused " + fused[i]);
        }
    }

    /** Between guard bytes, into a poisoned output, or one with a residual where that is in place. */
    private static float[] multiply(LinearLayer layer, DataType type, float[] a, int m, Epilogue epilogue, int columns, DataType output,
            float[] residual) {
        int bytes = m * columns * output.bytes();
        ByteBuffer guarded = ByteBuffer.allocateDirect(bytes + 2 * GUARD).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < guarded.capacity(); i++) {
            guarded.put(i, POISON);
        }
        if (epilogue.residual() == Epilogue.Residual.OUTPUT) {
            guarded.put(GUARD, Numbers.encode(output, residual), 0, bytes);
        }
        layer.multiply(type, Numbers.encode(type, a), m, guarded.position(GUARD).limit(GUARD + bytes), epilogue);
        guarded.clear();
        for (int i = 0; i < GUARD; i++) {
            assertEquals(POISON, guarded.get(i), "byte " + (GUARD - i) + " before the output");
            assertEquals(POISON, guarded.get(GUARD + bytes + i), "byte " + i + " after the output");
        }
        return Numbers.decode(output, guarded.slice(GUARD, bytes));
    }

    /** A row that holds an infinity or a NaN takes another way on some devices: its residual must still be there. */
    void checkNonFiniteRows() {
        MultiplyContractTest.Shape shape = new MultiplyContractTest.Shape(100, 70, 32);
        try (QuantizedMatrix matrix = matrix(shape, DataType.FP16, true, true);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16);
                LinearLayer layer = device.place(weights)) {
            int m = 12;
            float[] a = Numbers.round(DataType.FP16, TestMatrices.gaussian(m * 100, 9));
            Operands operands = new Operands(Numbers.round(DataType.FP16, TestMatrices.gaussian(m * 70, 3)), null);
            Epilogue add = Epilogue.NONE.withAccumulation();
            float[] clean = multiply(layer, DataType.FP16, a, m, add, 70, DataType.FP16, operands.residual);
            a[5 * 100 + 99] = Float.NaN;
            a[7 * 100 + 3] = Float.POSITIVE_INFINITY;
            double[] product = ReferenceProduct.multiply(matrix, a, m);
            float[] actual = multiply(layer, DataType.FP16, a, m, add, 70, DataType.FP16, operands.residual);
            for (int i = 0; i < m * 70; i++) {
                float expected = i / 70 == 5 || i / 70 == 7 ? (float) (product[i] + operands.residual[i]) : clean[i];
                assertEquals(expected, actual[i], "row " + i / 70 + ", column " + i % 70);
            }
            operands.residual[4 * 70 + 1] = Float.NaN;
            operands.residual[6 * 70 + 2] = Float.NEGATIVE_INFINITY;
            actual = multiply(layer, DataType.FP16, a, m, add, 70, DataType.FP16, operands.residual);
            assertEquals(Float.NaN, actual[4 * 70 + 1], "NaN in the residual");
            assertEquals(Float.NEGATIVE_INFINITY, actual[6 * 70 + 2], "infinity in the residual");
            assertEquals(clean[4 * 70 + 2], actual[4 * 70 + 2], "beside the NaN");
        }
    }

    void checkBufferKinds() {
        try (QuantizedMatrix matrix = TestMatrices.layer(64, 32, 32, DataType.FP16, false, false, 10);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16);
                LinearLayer layer = device.place(weights)) {
            float[] a = Numbers.round(DataType.FP16, TestMatrices.gaussian(3 * 64, 10));
            Operands operands = new Operands(Numbers.round(DataType.FP16, TestMatrices.gaussian(3 * 32, 11)), TestMatrices.gaussian(3, 12));
            Epilogue direct = Epilogue.NONE.withResidual(operands.residualBytes(DataType.FP16)).withRowFactors(operands.factorBytes());
            float[] expected = multiply(layer, DataType.FP16, a, 3, direct, 32, DataType.FP16, null);
            Epilogue heap = Epilogue.NONE.withResidual(heap(operands.residualBytes(DataType.FP16)).asReadOnlyBuffer())
                    .withRowFactors(heap(operands.factorBytes()));
            ByteBuffer c = ByteBuffer.allocate(3 * 32 * 2 + 3).position(3);
            layer.multiply(DataType.FP16, Numbers.encode(DataType.FP16, a), 3, c, heap);
            Errors.assertSameBits(expected, Numbers.decode(DataType.FP16, c.slice()), 32, "heap buffers");
            c.put(3, operands.residualBytes(DataType.FP16), 0, 3 * 32 * 2);
            layer.multiply(DataType.FP16, Numbers.encode(DataType.FP16, a), 3, c, heap.withAccumulation());
            Errors.assertSameBits(expected, Numbers.decode(DataType.FP16, c.slice()), 32, "heap buffer, in place");
            c.put(3, operands.residualBytes(DataType.FP16), 0, 3 * 32 * 2);
            layer.multiply(DataType.FP16, Numbers.encode(DataType.FP16, a), 3, c, heap.withResidual(c));
            Errors.assertSameBits(expected, Numbers.decode(DataType.FP16, c.slice()), 32, "the residual is C");
        }
    }

    /** At a position, and big-endian by its order, which says nothing. */
    private static ByteBuffer heap(ByteBuffer bytes) {
        return ByteBuffer.allocate(bytes.remaining() + 5).position(5).put(bytes).position(5);
    }

    void checkBadOperands() {
        try (QuantizedMatrix natural = matrix(new MultiplyContractTest.Shape(64, 48, 32), DataType.FP16, false, false);
                QuantizedMatrix paired = matrix(new MultiplyContractTest.Shape(64, 48, 32), DataType.FP16, false, true);
                PackedWeights plain = PackedWeights.pack(natural, DataType.FP16);
                PackedWeights pairs = PackedWeights.pack(paired, DataType.FP16);
                LinearLayer layer = device.place(plain);
                LinearLayer mlp = device.place(pairs)) {
            ByteBuffer a = Numbers.encode(DataType.FP16, new float[2 * 64]);
            ByteBuffer c = ByteBuffer.allocateDirect(2 * 48 * 2).put(0, POISON);
            rejects(layer, a, c, null, "epilogue is null");
            rejects(layer, a, c, Epilogue.NONE.withSiluMul(), "silu-mul", "NATURAL", "GATE_UP");
            rejects(layer, a, c, Epilogue.NONE.withFloatOutput(), "c has 192 bytes", "n 48", "FP32", "192 bytes per row");
            rejects(mlp, a, c.duplicate().limit(95), Epilogue.NONE.withSiluMul(), "c has 95 bytes", "n / 2 24", "48 bytes per row");
            rejects(layer, a, c, Epilogue.NONE.withResidual(c.duplicate().limit(191)), "residual has 191 bytes", "columns of C 48");
            rejects(layer, a, c, Epilogue.NONE.withResidual(256, 64), "residual at device address 0x100", "host memory");
            rejects(layer, a, c, Epilogue.NONE.withRowFactors(256), "row factors at device address 0x100", "host memory");
            rejects(layer, a, c, Epilogue.NONE.withRowFactors(ByteBuffer.allocate(7)), "row factors have 7 bytes", "[m 2]");
            assertEquals(POISON, c.get(0), "first byte of c after rejected calls");
        }
        assertThrows(IllegalArgumentException.class, () -> Epilogue.NONE.withResidual(null));
        assertThrows(IllegalArgumentException.class, () -> Epilogue.NONE.withResidual(0, 8));
        assertThrows(IllegalArgumentException.class, () -> Epilogue.NONE.withRowFactors(null));
        assertThrows(IllegalArgumentException.class, () -> Epilogue.NONE.withRowFactors(6));
        assertThrows(IllegalArgumentException.class, () -> Epilogue.NONE.withRowFactors(0));
    }

    private static void rejects(LinearLayer layer, ByteBuffer a, ByteBuffer c, Epilogue epilogue, String... parts) {
        String message = assertThrows(IllegalArgumentException.class, () -> layer.multiply(DataType.FP16, a, 2, c, epilogue)).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), "\"" + part + "\" is not in: " + message);
        }
    }
}
