package io.github.jmarlin.cuda;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.PackedWeights;
import jcuda.driver.CUfunction;

/**
 * Puts activations into the order in which act-ordered weights multiply them ({@link PackedWeights#inputOrder}):
 * {@code gathered[i][j] = a[i][order[j]]}. One launch before the product; layers that share their input and its order (q, k and
 * v, gate and up) share the result. Made by {@link DeviceWeights#inputGather}.
 *
 * <p>Safe for any number of threads, each with a workspace of its own. Like {@link CudaGemm#launch} it allocates nothing,
 * synchronises nothing and may be captured in a CUDA graph.
 */
public final class InputGather {
    static final int THREADS = 256;

    private static final String KERNEL = "gather_16bit";
    private static final int ELEMENT_BYTES = 2;
    private static final int COLUMNS_PER_THREAD = 8;
    private static final int BLOCKS_PER_MULTIPROCESSOR = 8;
    /** Pieces of 8 columns of one launch: with the grid added, the kernel's 32-bit counter does not overflow. */
    private static final int MOST_PIECES = 1 << 30;

    private final DeviceWeights weights;
    private final CUfunction function;
    private final int piecesPerRow;
    private final int mostBlocks;

    InputGather(DeviceWeights weights) {
        this.weights = weights;
        function = weights.engine().kernel(KERNEL);
        piecesPerRow = (weights.shape().k() + COLUMNS_PER_THREAD - 1) / COLUMNS_PER_THREAD;
        mostBlocks = weights.engine().facts().multiprocessors() * BLOCKS_PER_MULTIPROCESSOR;
    }

    /** The weights whose order it is. */
    DeviceWeights weights() {
        return weights;
    }

    /**
     * Launches the gather on the workspace's stream. The context of the weights must be current on this thread.
     *
     * @param a device address of the activations, {@code [m][lda]} of 16-bit elements, at a multiple of 2 bytes
     * @param lda elements from row to row of A: at least k
     * @param gathered device address of the result, {@code [m][ldg]}, at a multiple of 16 bytes, ready to be the A of
     *     {@link CudaGemm#launch}; must not overlap A. Columns from k up to the next multiple of 8 become zero
     * @param ldg elements from row to row of the result: at least k, a multiple of 8
     * @param m rows, 0 or more; 0 does nothing
     * @param workspace of the same engine, of any size
     * @throws IllegalArgumentException with the values and the rule, before anything is launched
     * @throws IllegalStateException if something is closed, or another thread uses the workspace
     * @throws CudaCallException if the driver refuses the launch
     */
    public void launch(long a, long lda, long gathered, long ldg, long m, Workspace workspace) {
        validate(a, lda, gathered, ldg, m, workspace);
        weights.holders().acquire();
        try {
            workspace.enter();
            try {
                int rowsPerLaunch = Math.max(1, MOST_PIECES / piecesPerRow);
                for (long row = 0; row < m; row += rowsPerLaunch) {
                    int rows = (int) Math.min(m - row, rowsPerLaunch);
                    workspace.block().gather(a + ELEMENT_BYTES * row * lda, lda, weights.inputOrder(),
                            gathered + ELEMENT_BYTES * row * ldg, ldg, rows, weights.shape().k());
                    launch(rows, workspace);
                }
            } finally {
                workspace.leave();
            }
        } finally {
            weights.holders().release();
        }
    }

    private void validate(long a, long lda, long gathered, long ldg, long m, Workspace workspace) {
        int k = weights.shape().k();
        if (m < 0) {
            throw new IllegalArgumentException("m " + m + " is negative: 0 or more rows expected");
        }
        if (lda < k) {
            throw new IllegalArgumentException("lda " + lda + " elements: must be at least k " + k);
        }
        if (ldg < k || ldg % 8 != 0) {
            throw new IllegalArgumentException("ldg " + ldg + " elements: must be at least k " + k + " and a multiple of 8");
        }
        if (m > Long.MAX_VALUE / ELEMENT_BYTES / Math.max(lda, ldg)) {
            throw new IllegalArgumentException("m " + m + " rows of lda " + lda + " and ldg " + ldg
                    + " elements: more than 2^63 bytes");
        }
        weights.holders().checkOpen();
        if (workspace == null || workspace.engine() != weights.engine()) {
            throw new IllegalArgumentException("workspace " + (workspace == null ? "is null" : "of " + workspace.engine())
                    + ": one of " + weights.engine() + " expected");
        }
        workspace.holders().checkOpen();
        if (m > 0 && (a == 0 || a % ELEMENT_BYTES != 0)) {
            throw new IllegalArgumentException("a at device address 0x" + Long.toHexString(a)
                    + ": must be a multiple of " + ELEMENT_BYTES + ", and not 0");
        }
        if (m > 0 && (gathered == 0 || gathered % 16 != 0)) {
            throw new IllegalArgumentException("gathered at device address 0x" + Long.toHexString(gathered)
                    + ": must be a multiple of 16, and not 0");
        }
    }

    private void launch(int rows, Workspace workspace) {
        long threads = (long) rows * piecesPerRow;
        int grid = (int) Math.min(mostBlocks, (threads + THREADS - 1) / THREADS);
        weights.engine().check(KERNEL, workspace.block().launch(function, grid, THREADS, 0, workspace.stream()));
    }

    @Override
    public String toString() {
        return "gather for " + weights;
    }
}
