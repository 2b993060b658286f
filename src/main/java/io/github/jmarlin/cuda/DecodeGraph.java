package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;

import io.github.jmarlin.CudaCallException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstream;
import jcuda.driver.CUstreamCaptureMode;

/**
 * One step of a decoder, the linear layers of a model and the caller's own kernels between them, captured into a CUDA graph per number
 * of rows and replayed with a single call. Every product is told which one comes next, the last one that it is the first: while one
 * kernel ends, what the next one's thread blocks read first is already on its way into the L2 cache.
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
 * <p>The operands' addresses are those given here, in every replay; what they hold may change between replays. The weights stay open as
 * long as the graph: closing them before is refused. The workspace and the operands must stay as well. One thread at a time.
 */
public final class DecodeGraph implements AutoCloseable {

    /** The caller's own work on the stream: only what a stream capture allows, so no allocation and no synchronisation. */
    @FunctionalInterface
    public interface Work {
        /** Puts the work of a step for that many rows into the stream. */
        void enqueue(int rows, CUstream stream);
    }

    private record Product(CudaGemm gemm, long a, long lda, long c, long ldc) {}

    /** Collects the step in its order. */
    public static final class Builder {
        private final Workspace workspace;
        /** Product or Work. */
        private final List<Object> step = new ArrayList<>();

        private Builder(Workspace workspace) {
            this.workspace = workspace;
        }

        /** A product, with the operands of {@link CudaGemm#launch(long, long, long, long, long, Workspace, CudaGemm)}. */
        public Builder product(CudaGemm gemm, long a, long lda, long c, long ldc) {
            Objects.requireNonNull(gemm, "gemm");
            if (gemm.weights().engine() != workspace.engine()) {
                throw new IllegalArgumentException("product with " + gemm.weights() + " of another engine (" + gemm.weights().engine()
                        + ") than the workspace (" + workspace.engine() + ")");
            }
            step.add(new Product(gemm, a, lda, c, ldc));
            return this;
        }

        /** Something of the caller's between products. */
        public Builder work(Work work) {
            step.add(Objects.requireNonNull(work, "work"));
            return this;
        }

        /** @throws IllegalArgumentException if there is no product */
        public DecodeGraph build() {
            if (step.stream().noneMatch(Product.class::isInstance)) {
                throw new IllegalArgumentException("a step of " + step.size() + " parts and no product: at least one expected");
            }
            return new DecodeGraph(workspace, List.copyOf(step));
        }
    }

    private final Workspace workspace;
    private final List<Object> step;
    private final Set<DeviceWeights> weights = new HashSet<>();
    private final Map<Integer, CUgraphExec> graphs = new HashMap<>();
    private boolean closed;

    private DecodeGraph(Workspace workspace, List<Object> step) {
        this.workspace = workspace;
        this.step = step;
        try {
            for (Object part : step) {
                if (part instanceof Product product && !weights.contains(product.gemm.weights())) {
                    product.gemm.weights().holders().acquire();
                    weights.add(product.gemm.weights());
                }
            }
        } catch (Throwable e) {
            weights.forEach(held -> held.holders().release());
            throw e;
        }
    }

    /**
     * Begins a step whose launches share a workspace and go to its stream.
     *
     * @param workspace large enough for every product at the largest number of rows; on a stream of its own, not the default stream
     */
    public static Builder of(Workspace workspace) {
        return new Builder(Objects.requireNonNull(workspace, "workspace"));
    }

    /**
     * Captures the step for a number of rows, if that is not done. The context of the weights must be current.
     *
     * @throws IllegalArgumentException if rows is not positive, or a product refuses its operands
     * @throws CudaCallException if the driver refuses the capture
     */
    public void capture(int rows) {
        checkOpen();
        if (rows < 1) {
            throw new IllegalArgumentException("rows " + rows + ": a step is captured for 1 or more rows");
        }
        graphs.computeIfAbsent(rows, this::captured);
    }

    /**
     * Replays the step for a number of rows on the workspace's stream; captures it first if need be. Does not wait.
     *
     * @throws IllegalStateException if this or the workspace is closed
     */
    public void launch(int rows) {
        workspace.user().checkOpen();
        CUgraphExec graph = graphs.get(rows);
        if (graph == null || closed) {
            capture(rows);
            graph = graphs.get(rows);
        }
        CUgraphExec captured = graph;
        Cuda.call("cuGraphLaunch", () -> cuGraphLaunch(captured, workspace.stream()));
    }

    private CUgraphExec captured(int rows) {
        // Looking kernels up may load an image, which a capture does not allow.
        products().forEach(product -> product.gemm.workspaceFor(rows));
        CUgraph graph = new CUgraph();
        CUgraphExec exec = new CUgraphExec();
        Cuda.call("cuStreamBeginCapture",
                () -> cuStreamBeginCapture(workspace.stream(), CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        try {
            enqueue(rows);
        } catch (Throwable e) {
            Cuda.closeAfter(e, () -> cuStreamEndCapture(workspace.stream(), graph), () -> cuGraphDestroy(graph));
            throw e;
        }
        Cuda.call("cuStreamEndCapture", () -> cuStreamEndCapture(workspace.stream(), graph));
        try {
            Cuda.call("cuGraphInstantiate", () -> cuGraphInstantiate(exec, graph, 0));
        } finally {
            cuGraphDestroy(graph);
        }
        return exec;
    }

    private void enqueue(int rows) {
        List<Product> products = products();
        int done = 0;
        for (Object part : step) {
            if (part instanceof Product product) {
                CudaGemm next = products.get(++done % products.size()).gemm;
                product.gemm.launch(product.a, product.lda, product.c, product.ldc, rows, workspace, next);
            } else {
                ((Work) part).enqueue(rows, workspace.stream());
            }
        }
    }

    private List<Product> products() {
        return step.stream().filter(Product.class::isInstance).map(Product.class::cast).toList();
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("decode graph used after close");
        }
    }

    /** Frees the graphs and lets go of the weights; replays must have ended. A second call does nothing. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            try {
                workspace.engine().runInContext(() -> Cuda.closeAll(graphs.values().stream()
                        .map(graph -> (AutoCloseable) () -> Cuda.call("cuGraphExecDestroy", () -> cuGraphExecDestroy(graph)))
                        .toArray(AutoCloseable[]::new)));
            } finally {
                weights.forEach(held -> held.holders().release());
            }
        }
    }
}
