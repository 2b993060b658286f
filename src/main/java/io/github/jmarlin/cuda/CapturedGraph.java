package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;

import io.github.jmarlin.CudaCallException;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstreamCaptureMode;

/** What a thread puts into a stream, captured and ready to be replayed with one call. The context must be current for all of it. */
final class CapturedGraph implements Cuda.Resource {
    private final CUgraphExec exec;

    private CapturedGraph(CUgraphExec exec) {
        this.exec = exec;
    }

    /**
     * Captures; runs nothing. If that fails, the stream is as it was and nothing is left behind.
     *
     * @param work only what a stream capture allows
     * @throws CudaCallException if the driver refuses; what {@code work} throws goes through
     */
    static CapturedGraph of(CUstream stream, Runnable work) {
        return new CapturedGraph(instantiated(captured(stream, work)));
    }

    private static CUgraph captured(CUstream stream, Runnable work) {
        CUgraph graph = new CUgraph();
        Cuda.call("cuStreamBeginCapture",
                () -> cuStreamBeginCapture(stream, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        try {
            work.run();
            Cuda.call("cuStreamEndCapture", () -> cuStreamEndCapture(stream, graph));
            return graph;
        } catch (Throwable e) {
            abandon(stream, e);
            throw e;
        }
    }

    /** A capture that is no longer valid, or already over, gives no graph but an error: the failure before said why. */
    private static void abandon(CUstream stream, Throwable failure) {
        CUgraph graph = new CUgraph();
        if (Cuda.code(() -> cuStreamEndCapture(stream, graph)) == CUresult.CUDA_SUCCESS) {
            Cuda.closeAfter(failure, () -> destroy(graph));
        }
    }

    /** What the graph becomes; the graph itself is no longer needed then. */
    private static CUgraphExec instantiated(CUgraph graph) {
        CUgraphExec exec = new CUgraphExec();
        try {
            Cuda.call("cuGraphInstantiate", () -> cuGraphInstantiate(exec, graph, 0));
        } catch (Throwable e) {
            Cuda.closeAfter(e, () -> destroy(graph));
            throw e;
        }
        try {
            destroy(graph);
        } catch (Throwable e) {
            Cuda.closeAfter(e, () -> destroy(exec));
            throw e;
        }
        return exec;
    }

    /** Replays it on a stream, does not wait. Returns the result of cuGraphLaunch. */
    int launch(CUstream stream) {
        return Cuda.code(() -> cuGraphLaunch(exec, stream));
    }

    private static void destroy(CUgraph graph) {
        Cuda.call("cuGraphDestroy", () -> cuGraphDestroy(graph));
    }

    private static void destroy(CUgraphExec exec) {
        Cuda.call("cuGraphExecDestroy", () -> cuGraphExecDestroy(exec));
    }

    /** Frees it, once only; replays must have ended. */
    @Override
    public void close() {
        destroy(exec);
    }
}
