package io.github.jmarlin.cuda;

import io.github.jmarlin.DataType;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.plan.DensePlan;
import io.github.jmarlin.plan.WeightShape;
import jcuda.driver.CUfunction;

/**
 * A product by way of dense weights: they are expanded into the workspace once, then cuBLAS multiplies chunk after chunk of rows.
 * Without a bias and with nothing more to do it writes the results; else it leaves fp32 sums in the workspace, some rows at a time so
 * that they stay in the L2 cache, and a kernel finishes and rounds them, once, as the other kernels do. For a thread that has the
 * weights and the workspace.
 */
final class DenseProduct {
    private static final long ELEMENT_BYTES = 2;

    private final DeviceWeights weights;
    private final Dequantizer dequantizer;
    private final String finishKernel;
    private final CUfunction finishFunction;

    DenseProduct(DeviceWeights weights) {
        this.weights = weights;
        dequantizer = weights.dequantizer();
        finishKernel = "dequantize_finish_" + (weights.shape().computeType() == DataType.FP16 ? "f16" : "bf16");
        finishFunction = weights.engine().kernel(finishKernel);
    }

    /** @throws IllegalArgumentException if a row stride is more than cuBLAS counts */
    static void checkStrides(long lda, long ldc) {
        if (Math.max(lda, ldc) > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("lda " + lda + ", ldc " + ldc + " elements: cuBLAS counts up to " + Integer.MAX_VALUE);
        }
    }

    void expand(Workspace workspace) {
        dequantizer.enqueue(workspace.scratch(), workspace);
    }

    /**
     * Multiplies rows from {@code first} on with the weights that {@link #expand} has left in the workspace; A and C of the whole
     * product begin at {@code a} and {@code c}.
     */
    void multiply(long a, long lda, long c, long ldc, long first, int rows, Epilogue epilogue, Workspace workspace) {
        if (weights.bias() == 0 && epilogue.isNone()) {
            cublas(a + ELEMENT_BYTES * first * lda, lda, c + ELEMENT_BYTES * first * ldc, ldc, weights.shape().computeType(), rows,
                    workspace);
            return;
        }
        long sums = workspace.scratch() + DensePlan.sumsOffset(weights.shape());
        long lds = DensePlan.sumsStride(weights.shape());
        for (long row = first; row < first + rows; row += DensePlan.SUMS_ROWS) {
            int some = (int) Math.min(first + rows - row, DensePlan.SUMS_ROWS);
            cublas(a + ELEMENT_BYTES * row * lda, lda, sums, lds, DataType.FP32, some, workspace);
            workspace.block().finish(sums, lds, weights.bias(), c, ldc, some, weights.shape().n(), epilogue, row);
            weights.engine().check(finishKernel, workspace.block().launch(finishFunction, DensePlan.gridOn(weights.engine().facts()),
                    DensePlan.THREADS, 0, workspace.stream()));
        }
    }

    private void cublas(long a, long lda, long c, long ldc, DataType type, int rows, Workspace workspace) {
        WeightShape shape = weights.shape();
        workspace.cublas().multiply(shape.computeType(), rows, shape.n(), shape.k(), workspace.scratch(),
                Math.toIntExact(shape.denseStride()), a, (int) lda, c, (int) ldc, type);
    }
}
