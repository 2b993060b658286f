package io.github.jmarlin.cuda;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.plan.DensePlan;
import io.github.jmarlin.plan.GemmPlan;
import io.github.jmarlin.plan.Kernels;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.Planner;
import io.github.jmarlin.plan.WorkspaceSize;
import java.util.Objects;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;

/**
 * The product {@code C[m][n] = A[m][k] * W[k][n] + bias[n]} on device memory, with an {@link Epilogue} if one is given, for inference
 * engines.
 *
 * <p>{@link #launch} only puts kernels into the workspace's stream: it allocates neither device nor (after the first calls, and but
 * for cuBLAS's arguments) Java memory, synchronises nothing, keeps nothing, and may be captured in a CUDA graph. The first launch for
 * a number of rows looks its kernel up, and that of the product named as next; {@link #workspaceFor} of both does that beforehand.
 * Errors of a running kernel show, as always with CUDA, in a later call.
 *
 * <p>Safe for any number of threads, each with a workspace of its own. The same operands give the same bits on the same kind of
 * device with the same tuning file and cuBLAS, launch after launch; with {@link PlanOptions#batchInvariant} a row's bits depend on that
 * row only.
 */
public final class CudaGemm {
    /** Rows of A must begin at multiples of this many bytes: the kernels copy 16 at a time. */
    private static final int ROW_ALIGNMENT = 16;
    private static final int ELEMENT_BYTES = 2;

    /** A plan, its kernel, and what the kernel before may fetch for it; {@code dense} is null unless the plan goes by way of that. */
    private record PlannedKernel(GemmPlan plan, CUfunction function, WorkspaceSize workspace, Prefetch prefetch, DenseProduct dense) {}

    private final DeviceWeights weights;
    private final Planner planner;
    /** By {@code ceil(m / 8)}, filled on first use. Entries are immutable, so it does not matter which thread's stays. */
    private final PlannedKernel[] kernels;

    CudaGemm(DeviceWeights weights, PlanOptions options) {
        this.weights = weights;
        planner = new Planner(weights.engine().facts(), weights.shape(), options, weights.engine().tuning(),
                family -> weights.engine().missing(new Kernels(family, weights.shape().kernels())), weights.engine().device().checks());
        kernels = new PlannedKernel[planner.rowsPerLaunch() / 8 + 1];
    }

    /** The weights it multiplies with. */
    public DeviceWeights weights() {
        return weights;
    }

    /**
     * How {@code m} rows are multiplied: kernel, tile, grid, workspace and why; print it for a person. Of several launches
     * ({@code m > rowsPerLaunch}) the plan of the first.
     */
    public GemmPlan plan(long m) {
        if (m < 1) {
            throw new IllegalArgumentException("m " + m + ": a plan is made for 1 or more rows");
        }
        return firstKernel(m).plan;
    }

    /** Most rows of one launch; {@link #launch} makes as many as it takes. */
    public int rowsPerLaunch() {
        return planner.rowsPerLaunch();
    }

    /** What launches of up to {@code mostRows} rows need. Also looks up all their kernels, so that no launch has to. */
    public WorkspaceSize workspaceFor(long mostRows) {
        if (mostRows < 0) {
            throw new IllegalArgumentException("most rows " + mostRows + ": 0 or more expected");
        }
        WorkspaceSize size = WorkspaceSize.NONE;
        for (long rows = Math.min(mostRows, planner.rowsPerLaunch()); rows > 0; rows -= 8) {
            size = size.max(kernel((int) rows).workspace);
        }
        return size;
    }

    /** What a launch of exactly m rows needs; looks its kernels up. */
    WorkspaceSize workspaceOf(long m) {
        return firstKernel(m).workspace.max(kernel(rowsOfLastLaunch(m)).workspace);
    }

    /** How {@code m} rows are multiplied, and what becomes of their sums, in words. */
    public String describe(long m, Epilogue epilogue) {
        checkEpilogue(epilogue);
        return plan(m) + System.lineSeparator() + "  " + epilogue;
    }

    /** The product as it is, without a next one. */
    public void launch(long a, long lda, long c, long ldc, long m, Workspace workspace) {
        launch(a, lda, c, ldc, m, Epilogue.NONE, workspace, null);
    }

    /** The product as it is. */
    public void launch(long a, long lda, long c, long ldc, long m, Workspace workspace, CudaGemm next) {
        launch(a, lda, c, ldc, m, Epilogue.NONE, workspace, next);
    }

    /** As {@link #launch(long, long, long, long, long, Epilogue, Workspace, CudaGemm)} with JCuda's pointers. */
    public void launch(CUdeviceptr a, long lda, CUdeviceptr c, long ldc, long m, Workspace workspace, CudaGemm next) {
        Objects.requireNonNull(a, "a");
        Objects.requireNonNull(c, "c");
        launch(Address.of(a), lda, Address.of(c), ldc, m, Epilogue.NONE, workspace, next);
    }

    /**
     * Launches the product. The context of the weights must be current on this thread.
     *
     * @param a device address of the activations, {@code [m][lda]} of the compute type, row-major, at a multiple of 16 bytes;
     *     all bytes of a row up to k are read, none beyond
     * @param lda elements from row to row of A: at least k, a multiple of 8
     * @param c device address of the output, {@code [m][ldc]} of the {@linkplain Epilogue#outputType epilogue's output type},
     *     row-major, at a multiple of its size; must not overlap A
     * @param ldc elements from row to row of C: at least its {@linkplain Epilogue#outputColumns columns}; elements beyond stay as
     *     they are
     * @param m rows, 0 or more; 0 does nothing
     * @param epilogue with operands in device memory
     * @param workspace of the same engine, at least {@link #workspaceFor} in size; the launch goes to its stream
     * @param next the product of the same engine that is expected to run next with the same number of rows, or null: finished
     *     blocks fetch into the L2 cache what its blocks read first. A hint; it changes no result
     * @throws IllegalArgumentException with the values and the rule, before anything is launched
     * @throws IllegalStateException if something is closed, or another thread uses the workspace
     * @throws CudaCallException if the driver refuses the launch
     */
    public void launch(long a, long lda, long c, long ldc, long m, Epilogue epilogue, Workspace workspace, CudaGemm next) {
        validate(a, lda, c, ldc, m, epilogue, workspace, next);
        if (m == 0) {
            return;
        }
        DeviceWeights ahead = next == null ? weights : next.weights;    // the kernel touches both
        weights.holders().acquire();
        try {
            ahead.holders().acquire();
            try {
                workspace.enter();
                try {
                    launchAll(a, lda, c, ldc, m, epilogue, workspace, next);
                } finally {
                    workspace.leave();
                }
            } finally {
                ahead.holders().release();
            }
        } finally {
            weights.holders().release();
        }
    }

    // ---- validate ----

    private void validate(long a, long lda, long c, long ldc, long m, Epilogue epilogue, Workspace workspace, CudaGemm next) {
        checkEpilogue(epilogue);
        if (m < 0) {
            throw new IllegalArgumentException("m " + m + " is negative: 0 or more rows expected");
        }
        if (lda < weights.shape().k() || lda % 8 != 0) {
            throw new IllegalArgumentException("lda " + lda + " elements: must be at least k " + weights.shape().k()
                    + " and a multiple of 8");
        }
        int columns = epilogue.outputColumns(weights.shape().n());
        if (ldc < columns) {
            throw new IllegalArgumentException("ldc " + ldc + " elements: must be at least " + (epilogue.siluMul() ? "n / 2 " : "n ")
                    + columns);
        }
        if (m > Long.MAX_VALUE / Float.BYTES / Math.max(lda, ldc)) {
            throw new IllegalArgumentException("m " + m + " rows of lda " + lda + " and ldc " + ldc
                    + " elements: more than 2^63 bytes");
        }
        weights.holders().checkOpen();
        checkEngine("workspace", workspace == null ? null : workspace.engine());
        workspace.holders().checkOpen();
        if (next != null) {
            checkEngine("next product", next.weights.engine());
            next.weights.holders().checkOpen();
        }
        if (m == 0) {
            return;
        }
        if (a == 0 || a % ROW_ALIGNMENT != 0) {
            throw new IllegalArgumentException("a at device address 0x" + Long.toHexString(a) + ": must be a multiple of "
                    + ROW_ALIGNMENT + ", and not 0 (an array that begins behind a header: pad the header to a multiple)");
        }
        int outputBytes = epilogue.outputType(weights.shape().computeType()).bytes();
        if (c == 0 || c % outputBytes != 0) {
            throw new IllegalArgumentException("c at device address 0x" + Long.toHexString(c) + ": must be a multiple of "
                    + outputBytes + ", and not 0");
        }
        checkResidual(epilogue, columns, outputBytes, m);
        checkWorkspace(workspace, (int) Math.min(m, planner.rowsPerLaunch()));
        checkWorkspace(workspace, rowsOfLastLaunch(m));
        if (kernel((int) Math.min(m, planner.rowsPerLaunch())).dense != null || kernel(rowsOfLastLaunch(m)).dense != null) {
            DenseProduct.checkStrides(lda, ldc);
        }
    }

    private void checkEpilogue(Epilogue epilogue) {
        if (epilogue == null) {
            throw new IllegalArgumentException("epilogue is null: Epilogue.NONE or another one expected");
        }
        if (epilogue.residual() == Epilogue.Residual.HOST || epilogue.hasRowFactors() && epilogue.rowFactorsAddress() == 0) {
            throw new IllegalArgumentException((epilogue.residual() == Epilogue.Residual.HOST ? "residual" : "row factors")
                    + " in host memory: a launch takes device addresses");
        }
        epilogue.checkColumns(weights.shape().form());
    }

    private static void checkResidual(Epilogue epilogue, int columns, int outputBytes, long m) {
        if (epilogue.residual() != Epilogue.Residual.DEVICE) {
            return;
        }
        if (epilogue.residualAddress() % outputBytes != 0) {
            throw new IllegalArgumentException("residual at device address 0x" + Long.toHexString(epilogue.residualAddress())
                    + ": must be a multiple of " + outputBytes);
        }
        if (epilogue.residualStride() < columns) {
            throw new IllegalArgumentException("residual stride " + epilogue.residualStride() + " elements: must be at least the "
                    + columns + " columns of C");
        }
        if (m > Long.MAX_VALUE / Float.BYTES / epilogue.residualStride()) {
            throw new IllegalArgumentException("m " + m + " rows of residual stride " + epilogue.residualStride()
                    + " elements: more than 2^63 bytes");
        }
    }

    private void checkEngine(String what, CudaEngine other) {
        if (other == null) {
            throw new IllegalArgumentException(what + " is null: one of " + weights.engine() + " expected");
        }
        if (other != weights.engine()) {
            throw new IllegalArgumentException(what + " of another engine (" + other + ") than the weights (" + weights.engine()
                    + ")");
        }
    }

    private void checkWorkspace(Workspace workspace, int rows) {
        WorkspaceSize needed = kernel(rows).workspace;
        if (!workspace.size().covers(needed)) {
            throw new IllegalArgumentException("workspace of " + workspace.size() + " is too small: " + rows
                    + " rows with weights " + weights.shape() + " need " + needed);
        }
    }

    // ---- select ----

    private PlannedKernel firstKernel(long m) {
        return kernel((int) Math.min(m, planner.rowsPerLaunch()));
    }

    private PlannedKernel kernel(int rows) {
        PlannedKernel known = kernels[(rows + 7) / 8];
        return known != null ? known : planned(rows);
    }

    private PlannedKernel planned(int rows) {
        GemmPlan plan = planner.plan(rows);
        boolean isDense = plan instanceof DensePlan;
        PlannedKernel planned = new PlannedKernel(plan, weights.engine().kernel(plan.kernel()), plan.workspace(),
                isDense ? Prefetch.NONE : Prefetch.of(weights.codes(), plan, weights.engine().facts().l2Bytes()),
                isDense ? new DenseProduct(weights) : null);
        kernels[(rows + 7) / 8] = planned;
        return planned;
    }

    private int rowsOfLastLaunch(long m) {
        return (int) ((m - 1) % planner.rowsPerLaunch()) + 1;
    }

    // ---- launch ----

    private void launchAll(long a, long lda, long c, long ldc, long m, Epilogue epilogue, Workspace workspace, CudaGemm next) {
        Prefetch ahead = next == null ? Prefetch.NONE : next.firstKernel(m).prefetch;
        LaunchBlock block = workspace.block();
        int rowsPerLaunch = planner.rowsPerLaunch();
        long outputBytes = epilogue.floatOutput() ? Float.BYTES : ELEMENT_BYTES;
        boolean expanded = false;
        for (long row = 0; row < m; row += rowsPerLaunch) {
            int rows = (int) Math.min(m - row, rowsPerLaunch);
            PlannedKernel kernel = kernel(rows);
            if (kernel.dense != null) {
                if (!expanded) {
                    kernel.dense.expand(workspace);
                    expanded = true;
                }
                kernel.dense.multiply(a, lda, c, ldc, row, rows, epilogue, workspace);
                continue;
            }
            expanded = false;       // partial tiles lie where the dense weights were
            block.weights(weights);
            block.workspace(workspace.scratch(), workspace.counters());
            block.prefetch(row + rows == m ? ahead : Prefetch.NONE);
            block.operands(a + ELEMENT_BYTES * row * lda, lda, c + outputBytes * row * ldc, ldc, rows);
            block.epilogue(epilogue, row, c, ldc);
            launch(kernel, block, workspace);
        }
    }

    private void launch(PlannedKernel kernel, LaunchBlock block, Workspace workspace) {
        block.plan(kernel.plan);
        weights.engine().check(kernel.plan.kernel(), block.launch(kernel.function, kernel.plan, workspace.stream()));
    }

    @Override
    public String toString() {
        return "product with " + weights;
    }
}
