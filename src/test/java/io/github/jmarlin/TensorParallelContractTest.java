package io.github.jmarlin;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.LayerShards;
import io.github.jmarlin.testing.LlamaBlock;
import io.github.jmarlin.testing.ShardedBlock;
import io.github.jmarlin.testing.TestMatrices;
import java.util.List;
import java.util.function.BiFunction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What an engine may count on when it cuts a model along its ranks: row shards' FP32 sums, added in the order of the ranks, are as
 * good as the whole product, and have the same bits whenever there are the same ranks, wherever they are and whoever ends first.
 */
public abstract class TensorParallelContractTest {
    private static final int RUNS = 10;
    private static final int TOKENS = 5;
    private static final int[] BATCHES = {1, TOKENS, 16};

    /** Where that many ranks are. */
    protected abstract List<ComputeDevice> devices(int ranks);

    /** Where they are too: on fewer or other devices. */
    protected abstract List<ComputeDevice> otherDevices(int ranks);

    /**
     * Never worse than the whole product, which rounds to FP16. Of the whole product in FP32 the sums are no better and no worse: they
     * are the same numbers added in another order, which is the hundredth part that they may differ by.
     */
    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void sumsOfRowShardsAreAsGoodAsTheWholeProduct(int ranks) {
        try (LlamaBlock block = new LlamaBlock()) {
            for (QuantizedMatrix matrix : List.of(block.o(), block.down())) {
                try (LayerShards whole = LayerShards.rows(matrix, devices(1));
                        LayerShards shards = LayerShards.rows(matrix, devices(ranks))) {
                    double error = error(matrix, shards::sum);
                    double ofWhole = error(matrix, (a, m) -> whole.multiply(0, a, m, Epilogue.NONE));
                    double ofWholeInFp32 = error(matrix, whole::sum);
                    String what = ranks + " row shards of " + matrix + ": relative error " + error + ", of the whole product " + ofWhole
                            + ", in FP32 " + ofWholeInFp32;
                    assertTrue(error > 0 && error <= ofWhole && error <= 1.01 * ofWholeInFp32, what);
                }
            }
        }
    }

    /** To double precision, over several inputs, so that no single draw decides. */
    private static double error(QuantizedMatrix matrix, BiFunction<float[], Integer, float[]> product) {
        double squares = 0;
        for (int m : BATCHES) {
            float[] a = inputs(m * matrix.k(), m);
            double error = Errors.relativeFrobenius(ReferenceProduct.multiply(matrix, a, m), product.apply(a, m));
            squares += error * error;
        }
        return Math.sqrt(squares / BATCHES.length);
    }

    /** Random numbers that FP16 holds. */
    private static float[] inputs(int count, long seed) {
        float[] values = TestMatrices.gaussian(count, seed);
        for (int i = 0; i < count; i++) {
            values[i] = HalfFloats.decode(DataType.FP16, HalfFloats.encode(DataType.FP16, values[i]));
        }
        return values;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4})
    void wholeBlocksAreRight(int ranks) {
        float[] x = inputs(TOKENS * LlamaBlock.HIDDEN, 11);
        try (LlamaBlock block = new LlamaBlock(); ShardedBlock sharded = new ShardedBlock(block, devices(ranks))) {
            Errors.assertWithin(1e-3, block.reference(x, TOKENS), sharded.run(x, TOKENS), LlamaBlock.HIDDEN, ranks + " ranks");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void theSameRanksGiveTheSameBits(int ranks) {
        float[] x = inputs(TOKENS * LlamaBlock.HIDDEN, 12);
        try (LlamaBlock block = new LlamaBlock(); ShardedBlock sharded = new ShardedBlock(block, devices(ranks));
                ShardedBlock elsewhere = new ShardedBlock(block, otherDevices(ranks))) {
            float[] first = sharded.run(x, TOKENS);
            for (int run = 1; run < RUNS; run++) {
                Errors.assertSameBits(first, sharded.run(x, TOKENS), LlamaBlock.HIDDEN, ranks + " ranks, run " + run);
            }
            Errors.assertSameBits(first, elsewhere.run(x, TOKENS), LlamaBlock.HIDDEN, ranks + " ranks on other devices");
        }
    }

    /** Ranks of one device may add to one another's sums in C, in their order: no bit differs. */
    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void accumulatingInOrderIsAddingInOrder(int ranks) {
        try (LlamaBlock block = new LlamaBlock(); LayerShards shards = LayerShards.rows(block.down(), devices(ranks))) {
            float[] a = inputs(TOKENS * LlamaBlock.INNER, 13);
            Errors.assertSameBits(shards.sum(a, TOKENS), shards.accumulate(a, TOKENS), LlamaBlock.HIDDEN, ranks + " ranks");
        }
    }
}
