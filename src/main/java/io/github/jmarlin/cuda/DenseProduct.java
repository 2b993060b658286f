package io.github.jmarlin.cuda;

import io.github.jmarlin.DataType;
import io.github.jmarlin.cuda.cublas.CublasLibrary;
import io.github.jmarlin.plan.DensePlan;
import io.github.jmarlin.plan.WeightShape;
import jcuda.driver.CUfunction;

/**
 * A product by way of dense weights: they are expanded into the workspace once, then cuBLAS multiplies chunk after chunk of rows.
 * Without a bias it writes the results; with one it leaves fp32 sums in the workspace, some rows at a time so that they stay in the L2
 * cache, and a kernel adds the bias and rounds, once, as the other kernels do. For a thread that has the weights and the workspace.
 */
final class DenseProduct {
    private static final long ELEMENT_BYTES = 2;

    private final DeviceWeights weights;
    private final Dequantizer dequantizer;
    private final String biasKernel;
    private final CUfunction biasFunction;

    DenseProduct(DeviceWeights weights) {
        this.weights = weights;
        dequantizer = weights.dequantizer();
        biasKernel = "dequantize_bias_" + (weights.shape().computeType() == DataType.FP16 ? "f16" : "bf16");
        biasFunction = weights.bias() == 0 ? null : weights.engine().kernel(biasKernel);
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

    /** Multiplies with the weights that {@link #expand} has left in the workspace. */
    void multiply(long a, long lda, long c, long ldc, int rows, Workspace workspace) {
        if (biasFunction == null) {
            cublas(a, lda, c, ldc, weights.shape().computeType(), rows, workspace);
            return;
        }
        long sums = workspace.scratch() + DensePlan.sumsOffset(weights.shape());
        long lds = DensePlan.sumsStride(weights.shape());
        for (int row = 0; row < rows; row += DensePlan.SUMS_ROWS) {
            int some = Math.min(rows - row, DensePlan.SUMS_ROWS);
            cublas(a + ELEMENT_BYTES * row * lda, lda, sums, lds, DataType.FP32, some, workspace);
            workspace.block().bias(sums, lds, weights.bias(), c + ELEMENT_BYTES * row * ldc, ldc, some, weights.shape().n());
            weights.engine().check(biasKernel, workspace.block().launch(biasFunction, DensePlan.gridOn(weights.engine().facts()),
                    DensePlan.THREADS, 0, workspace.stream()));
        }
    }

    private void cublas(long a, long lda, long c, long ldc, DataType type, int rows, Workspace workspace) {
        WeightShape shape = weights.shape();
        workspace.cublas().multiply(shape.computeType(), rows, shape.n(), shape.k(), workspace.scratch(),
                Math.toIntExact(shape.denseStride()), a, (int) lda, c, (int) ldc, type);
    }
}
