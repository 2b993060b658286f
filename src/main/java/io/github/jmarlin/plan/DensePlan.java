package io.github.jmarlin.plan;

import java.util.Locale;
import java.util.Objects;

/**
 * A product by way of dense weights: a kernel expands the packed ones into the workspace, then cuBLAS multiplies. Where there is a bias
 * or an epilogue, fp32 sums go through the workspace too, and a second kernel finishes them.
 *
 * @param kernel entry point of the expansion in the kernel image
 * @param rows the rows the plan was made for: it serves every m in {@code (rows - 8, rows]}
 * @param weights shape and form of the weights
 * @param grid thread blocks of the expansion
 * @param cublasBytes device memory that cuBLAS gets for itself
 * @param prediction where the time is expected to go
 * @param reason why this plan, in words
 */
public record DensePlan(String kernel, int rows, WeightShape weights, int grid, long cublasBytes, Prediction prediction, String reason)
        implements GemmPlan {

    /** The family whose image holds the kernel. */
    public static final String IMAGE = "dequantize";
    /** Threads of a thread block. */
    public static final int THREADS = 256;

    /** Rows of fp32 sums that are in the workspace at a time: enough for full speed, few enough for the L2 cache. */
    public static final int SUMS_ROWS = 512;

    private static final int SUMS_ALIGNMENT = 256;
    /** All that fit at once: 2048 threads. */
    private static final int BLOCKS_PER_MULTIPROCESSOR = 8;

    public DensePlan {
        Objects.requireNonNull(kernel, "kernel");
        Objects.requireNonNull(reason, "reason");
        if (rows < 1 || grid < 1 || cublasBytes < 1) {
            throw new IllegalArgumentException("plan for " + rows + " rows with " + grid + " blocks and " + cublasBytes
                    + " bytes for cuBLAS: all must be positive");
        }
    }

    /** Entry point of the expansion of such weights. */
    public static String kernelName(WeightShape weights) {
        return IMAGE + "_" + weights.instance();
    }

    /** Thread blocks of the expansion on a device: it is bound by memory, whatever the shape. */
    public static int gridOn(DeviceFacts device) {
        return device.multiprocessors() * BLOCKS_PER_MULTIPROCESSOR;
    }

    /** Where the fp32 sums of a product with a bias or an epilogue lie in the scratch memory: behind the dense weights. */
    public static long sumsOffset(WeightShape weights) {
        return (weights.denseBytes() + SUMS_ALIGNMENT - 1) / SUMS_ALIGNMENT * SUMS_ALIGNMENT;
    }

    /** Elements from row to row of the fp32 sums: n rounded up to 8. */
    public static long sumsStride(WeightShape weights) {
        return (weights.n() + 7L) / 8 * 8;
    }

    @Override
    public int threads() {
        return THREADS;
    }

    /** {@inheritDoc} None: cuBLAS has its own. */
    @Override
    public int stages() {
        return 0;
    }

    @Override
    public int sharedBytes() {
        return 0;
    }

    @Override
    public int nTiles() {
        return 0;
    }

    @Override
    public int mTiles() {
        return 0;
    }

    @Override
    public int unitsPerBlock() {
        return 0;
    }

    @Override
    public int stripsPerTile() {
        return 0;
    }

    @Override
    public int unitsPerStart() {
        return 0;
    }

    @Override
    public int starts() {
        return 0;
    }

    /** The dense weights, fp32 sums of some rows for a bias or an epilogue, and what cuBLAS gets for itself. */
    @Override
    public WorkspaceSize workspace() {
        long sums = Math.min(rows, SUMS_ROWS) * sumsStride(weights) * Float.BYTES;
        return new WorkspaceSize(sumsOffset(weights) + sums, 0, cublasBytes);
    }

    @Override
    public DensePlan withReason(String words) {
        return new DensePlan(kernel, rows, weights, grid, cublasBytes, prediction, words);
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s, then cuBLAS, for %s, m <= %d%n"
                        + "  %d blocks x %d threads expand the weights once a call; a bias or an epilogue follows every %d rows%n"
                        + "  workspace %s%n  %s%n  %s",
                kernel, weights, rows, grid, THREADS, SUMS_ROWS, workspace(),
                prediction, reason);
    }
}
