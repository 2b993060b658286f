package io.github.jmarlin;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.MatrixShards;
import io.github.jmarlin.layout.PackedShards;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A Llama block in shards: v and the MLP's gate and up cut along n, o and down along k, whose fp32 partial sums are added in the order of
 * the ranks. Every sequence has one token, so that attention is v itself.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class TensorParallelTest {
    private static final int HIDDEN = 512;
    private static final int INNER = 1024;
    private static final int M = 5;
    private static final DataType TYPE = DataType.FP16;

    /** The device of a rank. */
    protected abstract ComputeDevice device(int rank);

    private final Deque<AutoCloseable> open = new ArrayDeque<>();
    private final QuantizedMatrix v = TestMatrices.layer(HIDDEN, HIDDEN, 128, TYPE, false, false, 1);
    private final QuantizedMatrix o = TestMatrices.layer(HIDDEN, HIDDEN, 128, TYPE, true, true, 2);
    private final QuantizedMatrix gateUp = MatrixShards.interleave(TestMatrices.layer(HIDDEN, INNER, 128, TYPE, false, false, 3),
            TestMatrices.layer(HIDDEN, INNER, 128, TYPE, false, false, 4));
    private final QuantizedMatrix down = TestMatrices.layer(INNER, HIDDEN, 128, TYPE, false, false, 5);
    private final float[] input = TestMatrices.gaussian(M * HIDDEN, 6);

    private <T extends AutoCloseable> T closing(T resource) {
        open.push(resource);
        return resource;
    }

    /** Everything closes without a complaint, last first. */
    @AfterAll
    void closeAll() throws Exception {
        while (!open.isEmpty()) {
            open.pop().close();
        }
    }

    /** A layer in as many parts as there are ranks. */
    private List<LinearLayer> place(QuantizedMatrix matrix, int ranks, boolean alongK) {
        List<LinearLayer> layers = new ArrayList<>();
        PackedWeights whole = closing(PackedWeights.pack(matrix, TYPE));
        int[] cuts = PackedShards.cuts(alongK ? matrix.k() : matrix.n(), ranks, alongK ? matrix.groupSize() : 64);
        for (int rank = 0; rank < ranks; rank++) {
            PackedWeights shard = alongK ? PackedShards.rows(whole, cuts[rank], cuts[rank + 1])
                    : PackedShards.columns(whole, cuts[rank], cuts[rank + 1]);
            layers.add(closing(device(rank).place(closing(shard))));
        }
        return layers;
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void aBlockInShards(int ranks) {
        double[] expected = reference();
        double whole = Errors.relativeFrobenius(expected, new Block(1).run());
        Block block = new Block(ranks);
        float[] first = block.run();
        double error = Errors.relativeFrobenius(expected, first);
        // Intermediate results are fp16 in both, and rounded alike: what differs is the order of fp32 sums.
        assertTrue(error <= 1.02 * whole && whole < 1e-3, "relative error of " + ranks + " shards " + error + ", of the whole " + whole);
        for (int run = 1; run < 10; run++) {
            Errors.assertSameBits(first, block.run(), HIDDEN, "run " + run);
        }
    }

    /** Against the product in one piece, which rounds to the compute type. */
    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void partialSumsOfRowShards(int ranks) {
        float[] a = round(TestMatrices.gaussian(M * INNER, 7));
        double[] expected = ReferenceProduct.multiply(down, a, M);
        ByteBuffer narrow = buffer(2 * M * HIDDEN);
        place(down, 1, true).get(0).multiply(TYPE, encode(a), M, narrow);
        double whole = Errors.relativeFrobenius(expected, decode(narrow, TYPE));
        ByteBuffer sum = buffer(4 * M * HIDDEN);
        addShards(place(down, ranks, true), a, INNER, sum);
        double error = Errors.relativeFrobenius(expected, decode(sum, DataType.FP32));
        assertTrue(error <= whole, "relative error of " + ranks + " partial sums " + error + ", of the whole product " + whole);
    }

    /** One after the other, in the order of the ranks, into fp32 sums. */
    private static void addShards(List<LinearLayer> layers, float[] a, int k, ByteBuffer sums) {
        int at = 0;
        for (LinearLayer layer : layers) {
            float[] part = new float[M * layer.k()];
            for (int row = 0; row < M; row++) {
                System.arraycopy(a, row * k + at, part, row * layer.k(), layer.k());
            }
            layer.multiply(TYPE, encode(part), M, sums, Epilogue.NONE.withFloatOutput().withAccumulation());
            at += layer.k();
        }
    }

    /** The block on some ranks. */
    private final class Block {
        private final List<LinearLayer> values;
        private final List<LinearLayer> outs;
        private final List<LinearLayer> gatesAndUps;
        private final List<LinearLayer> downs;

        Block(int ranks) {
            values = place(v, ranks, false);
            outs = place(o, ranks, true);
            gatesAndUps = place(gateUp, ranks, false);
            downs = place(down, ranks, true);
        }

        float[] run() {
            ByteBuffer hidden = buffer(4 * M * HIDDEN);
            hidden.asFloatBuffer().put(input);
            addShards(outs, columns(values, hidden, HIDDEN, Epilogue.NONE), HIDDEN, hidden);
            addShards(downs, columns(gatesAndUps, hidden, INNER, Epilogue.NONE.withSiluMul()), INNER, hidden);
            return decode(hidden, DataType.FP32);
        }

        /** The outputs of column shards side by side, of the normalised hidden state. */
        private static float[] columns(List<LinearLayer> layers, ByteBuffer hidden, int n, Epilogue epilogue) {
            float[] x = decode(hidden, DataType.FP32);
            ByteBuffer factors = buffer(4 * M);
            for (int row = 0; row < M; row++) {
                factors.putFloat(4 * row, (float) reciprocalRms(x, row));
            }
            float[] all = new float[M * n];
            int at = 0;
            for (LinearLayer layer : layers) {
                int width = epilogue.outputColumns(layer.n());
                ByteBuffer c = buffer(2 * M * width);
                layer.multiply(TYPE, encode(x), M, c, epilogue.withRowFactors(factors));
                float[] part = decode(c, TYPE);
                for (int row = 0; row < M; row++) {
                    System.arraycopy(part, row * width, all, row * n + at, width);
                }
                at += width;
            }
            return all;
        }
    }

    private static double reciprocalRms(float[] x, int row) {
        double squares = 0;
        for (int i = 0; i < HIDDEN; i++) {
            squares += (double) x[row * HIDDEN + i] * x[row * HIDDEN + i];
        }
        return 1 / Math.sqrt(squares / HIDDEN);
    }

    /** In double precision, but for the inputs of products, which are floats here. */
    private double[] reference() {
        double[] hidden = new double[M * HIDDEN];
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = input[i];
        }
        double[] attended = ReferenceProduct.multiply(v, normalised(hidden), M);
        add(hidden, ReferenceProduct.multiply(o, floats(attended), M));
        double[] pairs = ReferenceProduct.multiply(gateUp, normalised(hidden), M);
        double[] inner = new double[M * INNER];
        for (int i = 0; i < inner.length; i++) {
            inner[i] = pairs[2 * i] / (1 + Math.exp(-pairs[2 * i])) * pairs[2 * i + 1];
        }
        add(hidden, ReferenceProduct.multiply(down, floats(inner), M));
        return hidden;
    }

    private static float[] normalised(double[] hidden) {
        float[] x = floats(hidden);
        float[] normal = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            normal[i] = (float) (hidden[i] * reciprocalRms(x, i / HIDDEN));
        }
        return normal;
    }

    private static void add(double[] to, double[] values) {
        for (int i = 0; i < to.length; i++) {
            to[i] += values[i];
        }
    }

    private static float[] floats(double[] values) {
        float[] floats = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            floats[i] = (float) values[i];
        }
        return floats;
    }

    private static float[] round(float[] values) {
        return decode(encode(values), TYPE);
    }

    private static ByteBuffer buffer(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static ByteBuffer encode(float[] values) {
        ByteBuffer bytes = buffer(2 * values.length);
        for (int i = 0; i < values.length; i++) {
            bytes.putShort(2 * i, HalfFloats.encode(TYPE, values[i]));
        }
        return bytes;
    }

    private static float[] decode(ByteBuffer bytes, DataType type) {
        float[] values = new float[bytes.capacity() / type.bytes()];
        for (int i = 0; i < values.length; i++) {
            values[i] = type == DataType.FP32 ? bytes.getFloat(4 * i) : HalfFloats.decode(type, bytes.getShort(2 * i));
        }
        return values;
    }
}
