package io.github.jmarlin.cuda;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.plan.WorkspaceSize;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import jcuda.driver.CUstream;

/**
 * One step of a decoder, the linear layers of a model and the caller's own kernels between them, captured into a CUDA graph per
 * number of rows and replayed with a single call. Every product is told which one comes next, the last one that it is the first:
 * while one kernel ends, what the next one's thread blocks read first is already on its way into the L2 cache.
 *
 * <pre>{@code
 * DecodeGraph step = DecodeGraph.of(workspace)
 *         .product(qkv, hidden, 4096, projected, 6144)
 *         .work((rows, stream) -> attention(rows, stream))
 *         .product(out, attended, 4096, hidden, 4096)
 *         .build();
 * step.launch(rows);      // captured at the first launch for that many rows, or by step.capture(rows)
 * }</pre>
 *
 * <p>The operands' addresses are those given here, in every replay; what they hold may change between replays, and they must stay
 * as long as the graph. Workspace and weights do: closing them before the graph is refused. Parts may share weights.
 *
 * <p>One thread at a time may use it: a second one gets an {@link IllegalStateException}, and so does the step's own work. While a
 * step is being captured no other thread may use the workspace or its stream. Between replays both may be used for other launches,
 * which the stream keeps in order.
 */
public final class DecodeGraph implements AutoCloseable {

    /** The caller's own work on the stream: only what a stream capture allows, so no allocation and no synchronisation. */
    @FunctionalInterface
    public interface Work {
        /** Puts the work of a step for that many rows into the stream. */
        void enqueue(int rows, CUstream stream);
    }

    /** One thing in the step. */
    private sealed interface Part permits Product, Gather, Own {}

    private record Product(CudaGemm gemm, long a, long lda, long c, long ldc, Epilogue epilogue) implements Part {}

    private record Gather(InputGather gather, long a, long lda, long gathered, long ldg) implements Part {}

    private record Own(Work work) implements Part {}

    /** Collects the step in its order. */
    public static final class Builder {
        private final Workspace workspace;
        private final List<Part> step = new ArrayList<>();

        private Builder(Workspace workspace) {
            this.workspace = workspace;
        }

        /** A product as it is. */
        public Builder product(CudaGemm gemm, long a, long lda, long c, long ldc) {
            return product(gemm, a, lda, c, ldc, Epilogue.NONE);
        }

        /** A product, with the operands of {@link CudaGemm#launch(long, long, long, long, long, Epilogue, Workspace, CudaGemm)}. */
        public Builder product(CudaGemm gemm, long a, long lda, long c, long ldc, Epilogue epilogue) {
            checkEngine(Objects.requireNonNull(gemm, "gemm").weights(), "product");
            step.add(new Product(gemm, a, lda, c, ldc, Objects.requireNonNull(epilogue, "epilogue")));
            return this;
        }

        /**
         * Puts activations into the order of act-ordered weights, with the operands of {@link InputGather#launch}; products that
         * follow take the result as their A.
         */
        public Builder gather(InputGather gather, long a, long lda, long gathered, long ldg) {
            checkEngine(Objects.requireNonNull(gather, "gather").weights(), "gather");
            step.add(new Gather(gather, a, lda, gathered, ldg));
            return this;
        }

        /** Something of the caller's between products. */
        public Builder work(Work work) {
            step.add(new Own(Objects.requireNonNull(work, "work")));
            return this;
        }

        private void checkEngine(DeviceWeights weights, String what) {
            if (weights.engine() != workspace.engine()) {
                throw new IllegalArgumentException(what + " with " + weights + " of another engine (" + weights.engine()
                        + ") than the workspace (" + workspace.engine() + ")");
            }
        }

        /**
         * The step so far; the builder may be used on.
         *
         * @throws IllegalArgumentException if there is no product
         * @throws IllegalStateException if the workspace or weights are closed
         */
        public DecodeGraph build() {
            if (step.stream().noneMatch(Product.class::isInstance)) {
                throw new IllegalArgumentException("a step of " + step.size() + " parts and no product: at least one expected");
            }
            return new DecodeGraph(workspace, List.copyOf(step));
        }
    }

    private final Workspace workspace;
    private final List<Part> step;
    private final List<Product> products;
    private final List<Holders> held = new ArrayList<>();
    private final Map<Integer, CapturedGraph> graphs = new HashMap<>();
    private final AtomicBoolean inUse = new AtomicBoolean();
    private boolean closed;

    private DecodeGraph(Workspace workspace, List<Part> step) {
        this.workspace = workspace;
        this.step = step;
        products = step.stream().filter(Product.class::isInstance).map(Product.class::cast).toList();
        try {
            hold(workspace.holders());
            for (Part part : step) {
                if (part instanceof Product product) {
                    hold(product.gemm.weights().holders());
                } else if (part instanceof Gather gather) {
                    hold(gather.gather.weights().holders());
                }
            }
        } catch (Throwable e) {
            held.forEach(Holders::release);
            throw e;
        }
    }

    /** Once for every part: what several share has so many holders. */
    private void hold(Holders holders) {
        holders.acquire();
        held.add(holders);
    }

    /**
     * Begins a step whose launches share a workspace and go to its stream.
     *
     * @param workspace large enough for every product at the largest number of rows; on a stream of its own, not the default stream
     * @throws IllegalArgumentException if it is on the default stream, which cannot be captured
     */
    public static Builder of(Workspace workspace) {
        if (workspace.stream().equals(new CUstream())) {
            throw new IllegalArgumentException("workspace on the default stream: a step is captured on a stream of its own");
        }
        return new Builder(workspace);
    }

    /**
     * Captures the step for a number of rows, if that is not done. The context of the weights must be current. A capture that fails
     * leaves the stream as it was, and nothing behind.
     *
     * @throws IllegalArgumentException if rows is not positive, the workspace is too small for them, or a part refuses its operands
     * @throws IllegalStateException if this is closed or in use
     * @throws CudaCallException if the driver refuses the capture
     */
    public void capture(int rows) {
        enter();
        try {
            graph(rows);
        } finally {
            inUse.set(false);
        }
    }

    /**
     * Replays the step for a number of rows on the workspace's stream; captures it first if need be. Does not wait. The context of
     * the weights must be current.
     *
     * @throws IllegalArgumentException as {@link #capture}
     * @throws IllegalStateException if this is closed or in use
     * @throws CudaCallException if the driver refuses the capture or the launch
     */
    public void launch(int rows) {
        enter();
        try {
            CapturedGraph graph = graph(rows);
            workspace.engine().check("cuGraphLaunch", graph.launch(workspace.stream()), "a step for " + rows + " rows");
        } finally {
            inUse.set(false);
        }
    }

    private void enter() {
        if (!inUse.compareAndSet(false, true)) {
            throw new IllegalStateException("decode graph is in use: one thread at a time may use it, and no work of its step");
        }
        if (closed) {
            inUse.set(false);
            throw new IllegalStateException("decode graph used after close");
        }
    }

    // ---- capture ----

    private CapturedGraph graph(int rows) {
        CapturedGraph known = graphs.get(rows);
        if (known != null) {
            return known;
        }
        if (rows < 1) {
            throw new IllegalArgumentException("rows " + rows + ": a step is captured for 1 or more rows");
        }
        // Looks all kernels up, too: that may load an image, which a capture does not allow.
        WorkspaceSize needed = products.stream().map(product -> product.gemm.workspaceOf(rows))
                .reduce(WorkspaceSize.NONE, WorkspaceSize::max);
        if (!workspace.size().covers(needed)) {
            throw new IllegalArgumentException("workspace of " + workspace.size() + " is too small: a step for " + rows
                    + " rows needs " + needed);
        }
        CapturedGraph made = captured(rows);
        graphs.put(rows, made);
        return made;
    }

    private CapturedGraph captured(int rows) {
        workspace.enter();
        try {
            return CapturedGraph.of(workspace.stream(), () -> enqueue(rows));
        } finally {
            workspace.leave();
        }
    }

    private void enqueue(int rows) {
        int done = 0;
        for (Part part : step) {
            if (part instanceof Product product) {
                CudaGemm next = products.get(++done % products.size()).gemm;
                product.gemm.launch(product.a, product.lda, product.c, product.ldc, rows, product.epilogue, workspace,
                        next);
            } else if (part instanceof Gather gather) {
                gather.gather.launch(gather.a, gather.lda, gather.gathered, gather.ldg, rows, workspace);
            } else {
                ((Own) part).work.enqueue(rows, workspace.stream());
            }
        }
    }

    /**
     * Frees the graphs and lets go of workspace and weights; replays must have ended. A second call does nothing.
     *
     * @throws IllegalStateException while it is in use
     */
    @Override
    public void close() {
        if (!inUse.compareAndSet(false, true)) {
            throw new IllegalStateException("decode graph closed while in use");
        }
        try {
            if (!closed) {
                closed = true;
                free();
            }
        } finally {
            inUse.set(false);
        }
    }

    private void free() {
        try {
            workspace.engine().runInContext(() -> Cuda.closeAll(graphs.values().toArray(AutoCloseable[]::new)));
        } finally {
            held.forEach(Holders::release);
        }
    }
}
