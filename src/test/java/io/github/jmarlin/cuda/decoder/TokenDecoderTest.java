package io.github.jmarlin.cuda.decoder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.DeviceOutOfMemoryException;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.testing.Gpu;
import java.util.List;
import jcuda.driver.CUresult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What is refused, and that failures leave nothing behind; what comes out is {@code llama.CudaDecoderTest}'s. */
@Tag("gpu")
class TokenDecoderTest {
    private static final DecoderShape SHAPE = new DecoderShape(DataType.FP16, 16, 8, 16, 2, 1, 8, 1e-5f);
    private static final int POSITIONS = 4;
    private static final float[] ANGLES = new float[POSITIONS * 8];

    private CudaEngine engine;

    @BeforeEach
    void open() {
        engine = CudaEngine.ofPrimaryContext(Gpu.first());
    }

    @AfterEach
    void close() {
        if (engine != null) {
            if (StandIn.isLoaded()) {
                StandIn.reset();
            }
            engine.close();     // refused where something is left
        }
    }

    private static DeviceProjection layer(DecoderWeights weights, int n, int k) {
        return DecoderWeights.projection(matrix(weights, n, k));
    }

    private static DenseWeights matrix(DecoderWeights weights, int n, int k) {
        try (NativeMemory zeros = NativeMemory.allocate(2L * n * k, 2L * k)) {
            return weights.dense(DataType.FP16, zeros, n, k, null);
        }
    }

    private static void fill(DecoderWeights weights) {
        DenseWeights table = matrix(weights, 16, 8);
        weights.ends(table, new float[8], table);
        weights.block(new float[8], List.of(layer(weights, 32, 8)), null, null, layer(weights, 8, 16), new float[8],
                List.of(layer(weights, 16, 8), layer(weights, 16, 8)), layer(weights, 8, 16));
    }

    private static void refused(Class<? extends Throwable> type, Executable action, String... parts) {
        Throwable e = assertThrows(type, action);
        for (String part : parts) {
            assertTrue(e.getMessage().contains(part), e.getMessage());
        }
    }

    @Test
    void weightsOfAnotherShape() {
        try (DecoderWeights weights = new DecoderWeights(engine, SHAPE, PlanOptions.DEFAULT)) {
            DeviceProjection eight = layer(weights, 8, 16);
            refused(IllegalArgumentException.class, () -> weights.ends(matrix(weights, 15, 8), new float[8], matrix(weights, 16, 8)),
                    "embedding of n 15, k 8", "needs n 16, k 8");
            refused(IllegalArgumentException.class,
                    () -> weights.block(new float[8], List.of(layer(weights, 16, 8)), null, null, eight, new float[8],
                            List.of(layer(weights, 32, 8)), eight), "q, k and v of n 16, k 8", "needs n 32, k 8");
            refused(IllegalArgumentException.class,
                    () -> weights.block(new float[8], List.of(layer(weights, 32, 8)), new float[8], null, eight, new float[8],
                            List.of(layer(weights, 32, 8)), eight), "a norm of queries alone");
            refused(IllegalArgumentException.class, () -> matrix(weights, 1, 12), "k must be a multiple of 8");
            refused(IllegalStateException.class, () -> new TokenDecoder(weights, 1, POSITIONS, 1, ANGLES), "without embedding and head");
        }
    }

    @Test
    void badSteps() {
        try (DecoderWeights weights = new DecoderWeights(engine, SHAPE, PlanOptions.DEFAULT)) {
            fill(weights);
            refused(IllegalArgumentException.class, () -> new TokenDecoder(weights, 1, POSITIONS, 1, new float[3]), "angles 3");
            try (TokenDecoder decoder = new TokenDecoder(weights, 1, POSITIONS, 2, ANGLES)) {
                refused(IllegalArgumentException.class, () -> decoder.ids(new int[3], new int[3], new int[3], new int[1]), "3 tokens", "1..2");
                refused(IllegalArgumentException.class, () -> decoder.logits(new int[1], new int[2], new int[1], new int[1]), "2 sequences");
                assertEquals(16, decoder.logits(new int[1], new int[1], new int[1], new int[1]).length);
                refused(IllegalStateException.class, weights::close, "decoder weights closed while in use");
            }
        }
    }

    @Test
    void whicheverAllocationFailsNothingIsLeft() {
        StandIn.assumeLoaded();
        int failures = 0;
        for (String function : List.of("cuMemAlloc", "cuMemHostAlloc", "cuStreamCreate")) {
            int code = function.equals("cuMemAlloc") ? CUresult.CUDA_ERROR_OUT_OF_MEMORY : CUresult.CUDA_ERROR_UNKNOWN;
            boolean failed = true;
            for (int after = 0; failed; after++) {
                StandIn.reset();
                StandIn.inject(function, code, after, 1);
                try (DecoderWeights weights = new DecoderWeights(engine, SHAPE, PlanOptions.DEFAULT)) {
                    fill(weights);
                    new TokenDecoder(weights, 1, POSITIONS, 1, ANGLES).close();
                    failed = false;
                } catch (JMarlinException e) {
                    failures++;
                    assertEquals(function.equals("cuMemAlloc"), e instanceof DeviceOutOfMemoryException, e.toString());
                    assertEquals(0, e.getSuppressed().length, () -> e.getSuppressed()[0].toString());
                }
            }
        }
        assertTrue(failures > 20, failures + " allocations");
    }
}
