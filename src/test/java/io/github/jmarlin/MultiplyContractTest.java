package io.github.jmarlin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.layout.ShiftedScales;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.NumberForms;
import io.github.jmarlin.testing.Numbers;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What every device must do, written once and run for each. A subclass names the device, and smaller {@link #shapes} where the
 * device is slow.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class MultiplyContractTest {
    /** Bytes that a product must not touch, before and after its output. */
    private static final int GUARD = 24;
    private static final byte POISON = (byte) 0xff;

    /** The device to test. */
    protected abstract ComputeDevice device();

    /**
     * The size of a matrix.
     *
     * @param k rows
     * @param n columns
     * @param groupSize as asked for
     */
    public record Shape(int k, int n, int groupSize) {
    }

    /** Sizes of products to check: every group size, odd and tiny extents, partial last groups, groups above k, several tiles. */
    protected List<Shape> shapes() {
        return List.of(
                new Shape(256, 192, 128), new Shape(1, 1, 32), new Shape(63, 65, 32), new Shape(33, 127, 64), new Shape(224, 70, 128),
                new Shape(320, 515, 256), new Shape(224, 33, 256), new Shape(129, 1031, -1), new Shape(160, 64, 32));
    }

    /** Numbers of rows, at and off the tile borders. */
    protected int[] batches() {
        return new int[] {1, 2, 7, 8, 9, 16, 17, 33, 64, 65, 130};
    }

    /** Fewer of them, for weights that differ from others only until their codes are numbers. */
    protected int[] numberFormBatches() {
        return new int[] {1, 3, 8, 17, 65, 130};
    }

    /** A product to check. */
    record Case(Shape shape, DataType computeType, WeightForm form, boolean bias) {
        QuantizedMatrix matrix() {
            return form.isSparse() ? TestMatrices.sparseLayer(shape.k, shape.n, shape.groupSize, computeType, bias, shape.hashCode())
                    : TestMatrices.layer(shape.k, shape.n, form, computeType, bias, shape.hashCode());
        }
    }

    /** Whether the device has the weights of which two of every four rows are stored. */
    protected boolean multipliesSparseWeights() {
        return true;
    }

    /** What weights the device has besides 4-bit integers with integer zero points or none. */
    protected Stream<WeightForm> numberForms(int groupSize) {
        return NumberForms.of(groupSize);
    }

    Stream<Case> cases() {
        List<Case> cases = new ArrayList<>();
        for (Shape shape : shapes()) {
            for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
                cases.add(new Case(shape, type, WeightForm.int4(shape.groupSize, false), true));
                cases.add(new Case(shape, type, WeightForm.int4(shape.groupSize, true), false));
                if (multipliesSparseWeights() && shape.groupSize != 32) {
                    WeightForm sparse = WeightForm.int4(shape.groupSize, false).withSparsity(WeightForm.Sparsity.TWO_OF_FOUR);
                    cases.add(new Case(shape, type, sparse, shape.n % 2 == 0));
                }
                numberForms(shape.groupSize).forEach(form -> cases.add(new Case(shape, type, form, shape.n % 2 == 0)));
                if (shape.groupSize == 32) {
                    numberForms(16).forEach(form -> cases.add(new Case(new Shape(shape.k, shape.n, 16), type, form, true)));
                }
            }
        }
        return cases.stream();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void equalsTheReferenceForEveryBatch(Case test) {
        try (QuantizedMatrix matrix = test.matrix();
                PackedWeights weights = PackedWeights.pack(matrix, test.computeType);
                LinearLayer layer = device().place(weights)) {
            for (int m : NumberForms.of(test.form.groupSize()).anyMatch(test.form::equals) ? numberFormBatches() : batches()) {
                for (DataType type : DataType.values()) {
                    if (layer.supports(type)) {
                        checkProduct(layer, matrix, type, m, errorBound(type, test.form.storesOffsets() || test.form.code() == WeightForm.Code.INT8), test + ", m " + m + ", " + type);
                    }
                }
            }
        }
    }

    /**
     * The accuracy promised against double precision of the same weights: relative, in the Frobenius norm.
     *
     * @param more whether there are zero points or float zeros, or 8-bit codes
     */
    protected double errorBound(DataType type, boolean more) {
        return switch (type) {
            case FP32 -> 1e-6;
            case FP16 -> more ? 4.5e-4 : 3e-4;
            case BF16 -> 3.5e-3;
        };
    }

    /** What so few results may have beyond a bound for many: a handful may all be rounded by half a unit of their last place. */
    protected double allowed(double bound, DataType type, WeightForm form, int results) {
        return results < 16 && type.is16Bit() ? Math.max(bound, ShiftedScales.unitRoundoff(type)) : bound;
    }

    private void checkProduct(LinearLayer layer, QuantizedMatrix matrix, DataType type, int m, double bound, String what) {
        float[] a = Numbers.round(type, TestMatrices.gaussian(m * matrix.k(), 31L * m + matrix.n()));
        double[] expected = ReferenceProduct.multiply(matrix, a, m);
        Errors.assertWithin(allowed(bound, type, matrix.form(), expected.length), expected, multiply(layer, type, a, m), matrix.n(), what);
    }

    /** Multiplies between guard bytes, into a poisoned output, and checks that nothing around it changed. */
    private static float[] multiply(LinearLayer layer, DataType type, float[] a, int m) {
        ByteBuffer activations = Numbers.encode(type, a);
        int bytes = m * layer.n() * type.bytes();
        ByteBuffer guarded = ByteBuffer.allocateDirect(bytes + 2 * GUARD);
        for (int i = 0; i < guarded.capacity(); i++) {
            guarded.put(i, POISON);
        }
        guarded.position(GUARD).limit(GUARD + bytes);
        layer.multiply(type, activations, m, guarded);
        assertEquals(GUARD, guarded.position(), "position of c");
        assertEquals(0, activations.position(), "position of a");
        guarded.clear();
        for (int i = 0; i < GUARD; i++) {
            assertEquals(POISON, guarded.get(i), "byte " + (GUARD - i) + " before the output");
            assertEquals(POISON, guarded.get(GUARD + bytes + i), "byte " + i + " after the output");
        }
        return Numbers.decode(type, guarded.slice(GUARD, bytes));
    }

    @Test
    void inputOrderGathersTheActivations() {
        int k = 130;
        int m = 3;
        int[] order = new int[k];
        for (int i = 0; i < k; i++) {
            order[i] = (i * 7 + 5) % k;
        }
        try (QuantizedMatrix matrix = TestMatrices.layer(k, 70, 64, DataType.FP16, true, true, 5);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16);
                LinearLayer plain = device().place(weights);
                LinearLayer ordered = device().place(weights.withInputOrder(IntBuffer.wrap(order)))) {
            for (DataType type : DataType.values()) {
                if (ordered.supports(type)) {
                    float[] a = Numbers.round(type, TestMatrices.gaussian(m * k, 6));
                    float[] gathered = new float[m * k];
                    for (int i = 0; i < m * k; i++) {
                        gathered[i] = a[i / k * k + order[i % k]];
                    }
                    Errors.assertSameBits(multiply(plain, type, gathered, m), multiply(ordered, type, a, m), 70, "order, " + type);
                }
            }
        }
    }

    @Test
    void extremeZeroPointsAreExactInMeaning() {
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            try (QuantizedMatrix matrix = TestMatrices.random(160, 72, 32, type, true, true, 11);
                    PackedWeights weights = PackedWeights.pack(matrix, type);
                    LinearLayer layer = device().place(weights)) {
                // Zero points of 0 and 16 cost more rounding than those of real layers; a wrong zero point would cost everything.
                checkProduct(layer, matrix, type, 3, type == DataType.FP16 ? 1e-3 : 8e-3, "zero points 0..16, " + type);
            }
        }
    }

    @Test
    void tenRunsGiveTheSameBits() {
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            try (QuantizedMatrix matrix = TestMatrices.layer(448, 200, 128, type, true, true, 5);
                    PackedWeights weights = PackedWeights.pack(matrix, type);
                    LinearLayer layer = device().place(weights)) {
                for (int m : new int[] {1, 17}) {
                    float[] a = Numbers.round(type, TestMatrices.gaussian(m * 448, 6));
                    float[] first = multiply(layer, type, a, m);
                    for (int run = 1; run < 10; run++) {
                        Errors.assertSameBits(first, multiply(layer, type, a, m), 200, type + ", m " + m + ", run " + run);
                    }
                }
            }
        }
    }

    @Test
    void threadsShareALayer() throws Exception {
        try (QuantizedMatrix matrix = TestMatrices.layer(256, 128, 64, DataType.FP16, false, true, 7);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16);
                LinearLayer layer = device().place(weights)) {
            List<Callable<float[]>> calls = new ArrayList<>();
            List<float[]> expected = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                int m = 1 + i;
                float[] a = Numbers.round(DataType.FP16, TestMatrices.gaussian(m * 256, i));
                expected.add(multiply(layer, DataType.FP16, a, m));
                calls.add(() -> multiply(layer, DataType.FP16, a, m));
            }
            ExecutorService threads = Executors.newFixedThreadPool(4);
            try {
                List<Future<float[]>> results = threads.invokeAll(calls);
                for (int i = 0; i < 8; i++) {
                    Errors.assertSameBits(expected.get(i), results.get(i).get(), 128, "thread " + i);
                }
            } finally {
                threads.shutdown();
            }
        }
    }

    /** A NaN stays in its row; it must not leak through padding, tiles or reductions. */
    @Test
    void rowsDoNotSeeEachOther() {
        try (QuantizedMatrix matrix = TestMatrices.layer(100, 70, 32, DataType.FP16, true, true, 8);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16);
                LinearLayer layer = device().place(weights)) {
            int m = 20;
            float[] a = Numbers.round(DataType.FP16, TestMatrices.gaussian(m * 100, 9));
            a[5 * 100 + 99] = Float.NaN;
            a[7 * 100] = Float.POSITIVE_INFINITY;
            float[] clean = a.clone();
            clean[5 * 100 + 99] = 0;
            clean[7 * 100] = 0;
            float[] c = multiply(layer, DataType.FP16, a, m);
            float[] expected = multiply(layer, DataType.FP16, clean, m);
            for (int row = 0; row < m; row++) {
                float[] actualRow = Arrays.copyOfRange(c, row * 70, row * 70 + 70);
                if (row == 5) {
                    for (float value : actualRow) {
                        assertTrue(Float.isNaN(value), "row 5 holds " + value + " where the activations held NaN");
                    }
                } else if (row != 7) {
                    Errors.assertSameBits(Arrays.copyOfRange(expected, row * 70, row * 70 + 70), actualRow, 70, "row " + row);
                }
            }
        }
    }

    /** Infinite with the sign of the weight, NaN where that is 0 or two infinities meet: however a device treats zero points. */
    @Test
    void anInfinityGivesWhatItGivesInDoubles() {
        Stream<WeightForm> integers = Stream.of(WeightForm.int4(32, false), WeightForm.int4(32, true));
        for (WeightForm form : Stream.concat(integers, numberForms(32)).toList()) {
            try (QuantizedMatrix matrix = TestMatrices.layer(100, 70, form, DataType.FP16, true, 8);
                    PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16);
                    LinearLayer layer = device().place(weights)) {
                for (int m : new int[] {3, 20}) {
                    float[] a = Numbers.round(DataType.FP16, TestMatrices.gaussian(m * 100, 9));
                    a[37] = Float.POSITIVE_INFINITY;
                    a[100 + 99] = Float.NEGATIVE_INFINITY;
                    a[2 * 100] = Float.POSITIVE_INFINITY;
                    a[2 * 100 + 1] = Float.NEGATIVE_INFINITY;
                    double[] expected = ReferenceProduct.multiply(matrix, a, m);
                    float[] actual = multiply(layer, DataType.FP16, a, m);
                    for (int i = 0; i < 3 * 70; i++) {
                        assertEquals((float) expected[i], actual[i], form + ", m " + m + ", row " + i / 70
                                + ", column " + i % 70);
                    }
                    Errors.assertWithin(2e-3, Arrays.copyOfRange(expected, 3 * 70, m * 70), Arrays.copyOfRange(actual, 3 * 70, m * 70), 70,
                            "rows without an infinity");
                }
            }
        }
    }

    @Test
    void takesHeapReadOnlyAndBigEndianBuffers() {
        try (QuantizedMatrix matrix = TestMatrices.layer(64, 32, 32, DataType.FP16, false, false, 10);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16);
                LinearLayer layer = device().place(weights)) {
            float[] a = Numbers.round(DataType.FP16, TestMatrices.gaussian(3 * 64, 10));
            float[] expected = multiply(layer, DataType.FP16, a, 3);
            ByteBuffer shifted = ByteBuffer.allocate(3 * 64 * 2 + 7).position(7).put(Numbers.encode(DataType.FP16, a)).position(7);
            ByteBuffer c = ByteBuffer.allocate(3 * 32 * 2 + 3).order(ByteOrder.BIG_ENDIAN).position(3);
            layer.multiply(DataType.FP16, shifted.asReadOnlyBuffer(), 3, c);
            Errors.assertSameBits(expected, Numbers.decode(DataType.FP16, c.slice()), 32, "heap buffers");
            Errors.assertSameBits(layer.multiply(a, 3), layer.multiply(a, 3), 32, "float arrays");
            Errors.assertWithin(1e-3, widen(expected), layer.multiply(a, 3), 32, "float arrays");
        }
    }

    @Test
    void noRowsAreNoWork() {
        new OperandContract(device()).checkNoRows();
    }

    @Test
    void badOperandsAreRejectedBeforeAnythingIsWritten() {
        new OperandContract(device()).checkBadOperands();
    }

    @Test
    void closedLayersSaySo() {
        new OperandContract(device()).checkClosedLayers();
    }

    /** Every combination of an epilogue's steps, on weights with and without pairs of columns. */
    @Test
    void epiloguesEqualTheReference() {
        EpilogueContract contract = new EpilogueContract(device());
        for (Shape shape : epilogueShapes()) {
            for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
                boolean zeroPoints = type == DataType.BF16;
                for (boolean pairs : new boolean[] {false, true}) {
                    contract.check(shape, type, zeroPoints, pairs, epilogueBatches(), of -> errorBound(of, zeroPoints));
                }
            }
        }
    }

    /** Shapes with an even number of columns: partial strips and groups, and more than one tile. */
    protected List<Shape> epilogueShapes() {
        return List.of(new Shape(160, 70, 32), new Shape(256, 1034, -1));
    }

    /** Few rows, and many in units of 16. */
    protected int[] epilogueBatches() {
        return new int[] {1, 2, 9, 33, 130};
    }

    @Test
    void epiloguesOfRowsWithInfinitiesAndNans() {
        new EpilogueContract(device()).checkNonFiniteRows();
    }

    @Test
    void epiloguesTakeHeapAndReadOnlyBuffers() {
        new EpilogueContract(device()).checkBufferKinds();
    }

    @Test
    void badEpiloguesAreRejectedBeforeAnythingIsWritten() {
        new EpilogueContract(device()).checkBadOperands();
    }

    private static double[] widen(float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            wide[i] = values[i];
        }
        return wide;
    }
}
