package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuMemFreeHost;
import static jcuda.driver.JCudaDriver.cuMemHostAlloc;

import io.github.jmarlin.Epilogue;
import io.github.jmarlin.plan.GemmPlan;
import io.github.jmarlin.plan.WeightShape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jcuda.CudaException;
import jcuda.Pointer;
import jcuda.driver.CUfunction;
import jcuda.driver.CUstream;

/**
 * The arguments of a launch in native memory: writing them and launching allocates nothing and pins no Java array.
 *
 * <pre>
 *   byte 0    address of byte 16: the driver's table of parameters, with a single entry
 *        16   GemmArgs, or the arguments of another kernel, which are shorter
 * </pre>
 *
 * <p>NOTES: JCuda turns a tree of Pointer objects into such a table at every launch, for 7 us and a kilobyte of garbage. A raw
 * address passes through untouched. The driver copies the arguments before cuLaunchKernel returns, so the block can be used again
 * at once.
 */
final class LaunchBlock implements AutoCloseable {
    private static final int ARGS = 16;

    private final Pointer owner = new Pointer();
    private final Pointer params;
    private final ByteBuffer memory;

    /** The engine's context must be current. */
    LaunchBlock() {
        Cuda.call("cuMemHostAlloc", () -> cuMemHostAlloc(owner, ARGS + GemmArgs.SIZE, 0));
        long base = Address.of(owner);
        params = Address.host(base);
        memory = owner.getByteBuffer(0, ARGS + GemmArgs.SIZE).order(ByteOrder.nativeOrder());
        memory.putLong(0, base + ARGS);
    }

    void operands(long a, long lda, long c, long ldc, int m) {
        memory.putLong(ARGS + GemmArgs.A, a);
        memory.putLong(ARGS + GemmArgs.LDA, lda);
        memory.putLong(ARGS + GemmArgs.C, c);
        memory.putLong(ARGS + GemmArgs.LDC, ldc);
        memory.putInt(ARGS + GemmArgs.M, m);
    }

    void weights(DeviceWeights weights) {
        WeightShape shape = weights.shape();
        memory.putLong(ARGS + GemmArgs.CODES, weights.codes());
        memory.putLong(ARGS + GemmArgs.SCALES, weights.scales());
        memory.putLong(ARGS + GemmArgs.ZEROS, weights.zeros());
        memory.putLong(ARGS + GemmArgs.FACTORS, weights.factors());
        memory.putLong(ARGS + GemmArgs.BIAS, weights.bias());
        memory.putInt(ARGS + GemmArgs.N, shape.n());
        memory.putInt(ARGS + GemmArgs.K, shape.k());
        memory.putInt(ARGS + GemmArgs.K_BLOCKS, shape.kBlocks());
        memory.putLong(ARGS + GemmArgs.K_BLOCKS_INVERSE, GemmArgs.inverse(shape.kBlocks()));
        memory.putInt(ARGS + GemmArgs.SCALE_ROWS, shape.scaleRows());
        memory.putInt(ARGS + GemmArgs.GROUP_SHIFT, shape.groupShift());
    }

    void workspace(long partials, long counters) {
        memory.putLong(ARGS + GemmArgs.PARTIALS, partials);
        memory.putLong(ARGS + GemmArgs.COUNTERS, counters);
    }

    void prefetch(Prefetch next) {
        memory.putLong(ARGS + GemmArgs.NEXT_CODES, next.codes());
        memory.putInt(ARGS + GemmArgs.NEXT_K_BLOCKS, next.kBlocks());
        memory.putInt(ARGS + GemmArgs.NEXT_STRIPS, next.strips());
        memory.putInt(ARGS + GemmArgs.NEXT_STRIPS_PER_TILE, next.stripsPerTile());
        memory.putInt(ARGS + GemmArgs.NEXT_M_TILES, next.mTiles());
        memory.putInt(ARGS + GemmArgs.NEXT_UNITS_PER_START, next.unitsPerStart());
        memory.putInt(ARGS + GemmArgs.NEXT_STARTS, next.starts());
        memory.putInt(ARGS + GemmArgs.NEXT_UNITS, next.units());
        memory.putInt(ARGS + GemmArgs.NEXT_BLOCK_BYTES, next.blockBytes());
    }

    /** Of a product's launch, of which {@code row} is the first row; C begins at {@code c}. */
    void epilogue(Epilogue epilogue, long row, long c, long ldc) {
        epilogue(GemmArgs.EPILOGUE, epilogue, row, c, ldc);
    }

    private void epilogue(int at, Epilogue epilogue, long row, long c, long ldc) {
        int steps = EpilogueArgs.steps(epilogue);
        memory.putInt(ARGS + at + EpilogueArgs.STEPS, steps);
        if (steps != 0) {
            boolean inPlace = epilogue.residual() == Epilogue.Residual.OUTPUT;
            long stride = inPlace ? ldc : epilogue.residualStride();
            long rows = inPlace ? c : epilogue.residualAddress();
            long bytes = epilogue.floatOutput() ? Float.BYTES : Short.BYTES;
            memory.putLong(ARGS + at + EpilogueArgs.RESIDUAL, rows + row * stride * bytes);
            memory.putLong(ARGS + at + EpilogueArgs.LDR, stride);
            memory.putLong(ARGS + at + EpilogueArgs.ROW_FACTORS, epilogue.rowFactorsAddress() + row * Float.BYTES);
        }
    }

    void plan(GemmPlan plan) {
        memory.putInt(ARGS + GemmArgs.N_TILES, plan.nTiles());
        memory.putInt(ARGS + GemmArgs.M_TILES, plan.mTiles());
        memory.putLong(ARGS + GemmArgs.M_TILES_INVERSE, GemmArgs.inverse(plan.mTiles()));
        memory.putInt(ARGS + GemmArgs.UNITS_PER_BLOCK, plan.unitsPerBlock());
        memory.putLong(ARGS + GemmArgs.UNITS_INVERSE, GemmArgs.inverse(plan.unitsPerBlock()));
        memory.putInt(ARGS + GemmArgs.STAGES, plan.stages());
    }

    /** Writes GatherArgs, over the GemmArgs; a product's launch writes all of those again. */
    void gather(long a, long lda, long order, long gathered, long ldg, int m, int k) {
        memory.putLong(ARGS + GatherArgs.A, a);
        memory.putLong(ARGS + GatherArgs.ORDER, order);
        memory.putLong(ARGS + GatherArgs.GATHERED, gathered);
        memory.putLong(ARGS + GatherArgs.LDA, lda);
        memory.putLong(ARGS + GatherArgs.LDG, ldg);
        memory.putInt(ARGS + GatherArgs.M, m);
        memory.putInt(ARGS + GatherArgs.K, k);
    }

    /** Writes DequantizeArgs, over the GemmArgs. */
    void dequantize(DeviceWeights weights, long dense) {
        WeightShape shape = weights.shape();
        memory.putLong(ARGS + DequantizeArgs.CODES, weights.codes());
        memory.putLong(ARGS + DequantizeArgs.SCALES, weights.scales());
        memory.putLong(ARGS + DequantizeArgs.ZEROS, weights.zeros());
        memory.putLong(ARGS + DequantizeArgs.FACTORS, weights.factors());
        memory.putLong(ARGS + DequantizeArgs.W, dense);
        memory.putLong(ARGS + DequantizeArgs.LDW, shape.denseStride());
        memory.putInt(ARGS + DequantizeArgs.N, shape.n());
        memory.putInt(ARGS + DequantizeArgs.K, shape.k());
        memory.putInt(ARGS + DequantizeArgs.K_BLOCKS, shape.kBlocks());
        memory.putInt(ARGS + DequantizeArgs.SCALE_ROWS, shape.scaleRows());
        memory.putInt(ARGS + DequantizeArgs.GROUP_SHIFT, shape.groupShift());
    }

    /** Writes FinishArgs, over the GemmArgs; C of the whole product begins at {@code c}. */
    void finish(long sums, long lds, long bias, long c, long ldc, int m, int n, Epilogue epilogue, long row) {
        long bytes = epilogue.floatOutput() ? Float.BYTES : Short.BYTES;
        memory.putLong(ARGS + FinishArgs.SUMS, sums);
        memory.putLong(ARGS + FinishArgs.LDS, lds);
        memory.putLong(ARGS + FinishArgs.BIAS, bias);
        memory.putLong(ARGS + FinishArgs.C, c + row * ldc * bytes);
        memory.putLong(ARGS + FinishArgs.LDC, ldc);
        memory.putInt(ARGS + FinishArgs.M, m);
        memory.putInt(ARGS + FinishArgs.N, n);
        epilogue(FinishArgs.EPILOGUE, epilogue, row, c, ldc);
    }

    /** Writes another kernel's arguments, over the GemmArgs. */
    void arguments(ArgumentLayout layout, long[] values) {
        layout.write(memory, ARGS, values);
    }

    /** @return the result of cuLaunchKernel */
    int launch(CUfunction function, GemmPlan plan, CUstream stream) {
        return launch(function, plan.grid(), plan.threads(), plan.sharedBytes(), stream);
    }

    /** @return the result of cuLaunchKernel */
    int launch(CUfunction function, int grid, int threads, int sharedBytes, CUstream stream) {
        try {
            return cuLaunchKernel(function, grid, 1, 1, threads, 1, 1, sharedBytes, stream, params, null);
        } catch (CudaException e) {
            return Cuda.code(e);
        }
    }

    /** The engine's context must be current. */
    @Override
    public void close() {
        Cuda.call("cuMemFreeHost", () -> cuMemFreeHost(owner));
    }
}
