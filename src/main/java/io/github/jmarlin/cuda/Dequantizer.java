package io.github.jmarlin.cuda;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.plan.DensePlan;
import io.github.jmarlin.plan.WeightShape;
import jcuda.driver.CUfunction;

/**
 * Expands packed weights into dense ones, {@code [n][denseStride]} in their compute type: a row for each column of W, as the
 * transposed operand of a dense product wants it. Made by {@link DeviceWeights#dequantizer}.
 *
 * <p>Safe for any number of threads, each with a workspace of its own. Like {@link CudaGemm#launch} it allocates nothing,
 * synchronises nothing and may be captured in a CUDA graph.
 */
public final class Dequantizer {
    private final DeviceWeights weights;
    private final String kernel;
    private final CUfunction function;
    private final int grid;

    Dequantizer(DeviceWeights weights) {
        this.weights = weights;
        kernel = DensePlan.kernelName(weights.shape());
        function = weights.engine().kernel(kernel);
        grid = DensePlan.gridOn(weights.engine().facts());
    }

    /**
     * Launches the expansion on the workspace's stream. The context of the weights must be current on this thread.
     *
     * @param dense device address of {@link WeightShape#denseBytes} bytes, at a multiple of 16
     * @param workspace of the same engine, of any size
     * @throws IllegalArgumentException with the values and the rule, before anything is launched
     * @throws IllegalStateException if something is closed, or another thread uses the workspace
     * @throws CudaCallException if the driver refuses the launch
     */
    public void launch(long dense, Workspace workspace) {
        if (workspace == null || workspace.engine() != weights.engine()) {
            throw new IllegalArgumentException("workspace " + (workspace == null ? "is null" : "of " + workspace.engine())
                    + ": one of " + weights.engine() + " expected");
        }
        if (dense == 0 || dense % 16 != 0) {
            throw new IllegalArgumentException("dense weights at device address 0x" + Long.toHexString(dense)
                    + ": must be a multiple of 16, and not 0");
        }
        weights.holders().acquire();
        try {
            workspace.enter();
            try {
                enqueue(dense, workspace);
            } finally {
                workspace.leave();
            }
        } finally {
            weights.holders().release();
        }
    }

    /** For a thread that has the weights and the workspace already. */
    void enqueue(long dense, Workspace workspace) {
        workspace.block().dequantize(weights, dense);
        weights.engine().check(kernel,
                workspace.block().launch(function, grid, DensePlan.THREADS, 0, workspace.stream()));
    }

    @Override
    public String toString() {
        return "expansion of " + weights;
    }
}
