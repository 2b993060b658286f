package io.github.jmarlin.testing;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.Epilogue;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * A {@link LlamaBlock} on several ranks, as an engine would run it: q, k, v, gate and up cut along n; o and down along k, each rank's
 * sums of them in FP32; these added in the order of the ranks. Every rank works in a thread of its own.
 */
public final class ShardedBlock implements AutoCloseable {
    private static final Epilogue TO_FP32 = Epilogue.NONE.withFloatOutput();

    private final int ranks;
    private final LayerShards q;
    private final LayerShards k;
    private final LayerShards v;
    private final LayerShards o;
    private final LayerShards gateUp;
    private final LayerShards down;
    private final ExecutorService threads;

    /** @param devices those of the ranks, in their order; several may be the same */
    public ShardedBlock(LlamaBlock block, List<? extends ComputeDevice> devices) {
        ranks = devices.size();
        q = LayerShards.columns(block.q(), devices);
        k = LayerShards.columns(block.k(), devices);
        v = LayerShards.columns(block.v(), devices);
        o = LayerShards.rows(block.o(), devices);
        gateUp = LayerShards.columns(block.gateUp(), devices);
        down = LayerShards.rows(block.down(), devices);
        threads = Executors.newFixedThreadPool(ranks);
    }

    /** What comes out for {@code [tokens][HIDDEN]}. */
    public float[] run(float[] x, int tokens) {
        float[] a = LlamaBlock.rmsNorm(x, tokens);
        float[] middle = plus(x, sum(rank -> {
            float[] attended = LlamaBlock.attention(q.multiply(rank, a, tokens, TO_FP32), k.multiply(rank, a, tokens, TO_FP32),
                    v.multiply(rank, a, tokens, TO_FP32), tokens, LlamaBlock.HEADS / ranks);
            return o.multiply(rank, attended, tokens, TO_FP32);
        }));
        float[] b = LlamaBlock.rmsNorm(middle, tokens);
        return plus(middle, sum(rank -> down.multiply(rank, gateUp.multiply(rank, b, tokens, Epilogue.NONE.withSiluMul()), tokens,
                TO_FP32)));
    }

    /** The ranks' work side by side, and its sum in their order, whichever ends first. */
    private float[] sum(IntFunction<float[]> work) {
        List<Future<float[]>> parts = IntStream.range(0, ranks).mapToObj(rank -> threads.submit(() -> work.apply(rank))).toList();
        return sum(parts.stream().map(ShardedBlock::await).toList());
    }

    private static float[] await(Future<float[]> part) {
        try {
            return part.get();
        } catch (InterruptedException | ExecutionException e) {
            throw new AssertionError("a rank failed", e);
        }
    }

    /** In the order of the list, in FP32. */
    public static float[] sum(List<float[]> parts) {
        return parts.stream().reduce(ShardedBlock::plus).orElseThrow();
    }

    private static float[] plus(float[] a, float[] b) {
        float[] sum = new float[a.length];
        for (int i = 0; i < sum.length; i++) {
            sum[i] = a[i] + b[i];
        }
        return sum;
    }

    @Override
    public void close() {
        threads.shutdown();
        List.of(q, k, v, o, gateUp, down).forEach(LayerShards::close);
    }
}
