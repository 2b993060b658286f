package io.github.jmarlin.bench.gpu;

import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventDestroy;
import static jcuda.driver.JCudaDriver.cuEventElapsedTime;
import static jcuda.driver.JCudaDriver.cuEventRecord;
import static jcuda.driver.JCudaDriver.cuEventSynchronize;
import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuMemsetD8Async;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;

import io.github.jmarlin.bench.Entrant;
import io.github.jmarlin.bench.TimingMode;
import io.github.jmarlin.cuda.DeviceBuffer;
import jcuda.driver.CUevent;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstreamCaptureMode;

/** Takes times of one contender in one mode, by CUDA events around work on the stream. */
final class Timer implements AutoCloseable, Entrant.Sampler {
    /** Short products get more launches per time, so that the ends of a graph do not show. */
    private static final int LAUNCHES = 20;
    private static final int SHORT_LAUNCHES = 64;
    private static final double SHORT_BYTES = 256e6;

    private final Gpu gpu;
    private final GpuContender contender;
    private final TimingMode mode;
    private final DeviceBuffer flush;
    private final int launches;
    private final CUevent start = new CUevent();
    private final CUevent end = new CUevent();
    private final CUgraphExec graph = new CUgraphExec();
    private int slot;

    /** @param flush what to overwrite in mode FLUSHED; not used in the others */
    Timer(Gpu gpu, GpuContender contender, TimingMode mode, DeviceBuffer flush) {
        this.gpu = gpu;
        this.contender = contender;
        this.mode = mode;
        this.flush = flush;
        int fewest = contender.bytes() < SHORT_BYTES ? SHORT_LAUNCHES : LAUNCHES;
        launches = mode == TimingMode.FLUSHED ? 1 : (fewest + contender.slots() - 1) / contender.slots() * contender.slots();
        Gpu.check("cuEventCreate", cuEventCreate(start, 0));
        Gpu.check("cuEventCreate", cuEventCreate(end, 0));
        if (mode == TimingMode.GRAPH) {
            capture();
        }
    }

    private void capture() {
        CUgraph captured = new CUgraph();
        Gpu.check("cuStreamBeginCapture", cuStreamBeginCapture(gpu.stream(),
                CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        try {
            enqueueAll();
        } finally {
            Gpu.check("cuStreamEndCapture", cuStreamEndCapture(gpu.stream(), captured));
        }
        Gpu.check("cuGraphInstantiate", cuGraphInstantiate(graph, captured, 0));
        Gpu.check("cuGraphDestroy", cuGraphDestroy(captured));
    }

    private void enqueueAll() {
        for (int i = 0; i < launches; i++) {
            contender.enqueue(slot);
            slot = (slot + 1) % contender.slots();
        }
    }

    @Override
    public double sampleMicros() {
        if (mode == TimingMode.FLUSHED) {
            Gpu.check("cuMemsetD8Async", cuMemsetD8Async(flush.pointer(), (byte) slot, flush.size(), gpu.stream()));
        }
        Gpu.check("cuEventRecord", cuEventRecord(start, gpu.stream()));
        if (mode == TimingMode.GRAPH) {
            Gpu.check("cuGraphLaunch", cuGraphLaunch(graph, gpu.stream()));
        } else {
            enqueueAll();
        }
        Gpu.check("cuEventRecord", cuEventRecord(end, gpu.stream()));
        Gpu.check("cuEventSynchronize", cuEventSynchronize(end));
        float[] millis = new float[1];
        Gpu.check("cuEventElapsedTime", cuEventElapsedTime(millis, start, end));
        return millis[0] * 1e3 / launches;
    }

    @Override
    public int products() {
        return launches;
    }

    /** Microseconds the calling thread spends on one launch, while the stream has nothing else to do. */
    double hostMicros() {
        gpu.synchronize();
        long begin = System.nanoTime();
        enqueueAll();
        long nanos = System.nanoTime() - begin;
        gpu.synchronize();
        return nanos / 1e3 / launches;
    }

    @Override
    public void close() {
        gpu.synchronize();
        if (mode == TimingMode.GRAPH) {
            Gpu.check("cuGraphExecDestroy", cuGraphExecDestroy(graph));
        }
        Gpu.check("cuEventDestroy", cuEventDestroy(start));
        Gpu.check("cuEventDestroy", cuEventDestroy(end));
    }
}
