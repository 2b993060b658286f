package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuMemsetD8Async;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import io.github.jmarlin.cuda.cublas.CublasLibrary;
import io.github.jmarlin.plan.WorkspaceSize;
import java.util.concurrent.atomic.AtomicReference;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUstream;

/**
 * What launches on one stream share: scratch memory, arrival counters, the native memory their arguments are written to and, where
 * one of them needs it, cuBLAS on that stream.
 *
 * <p>Kernels that use the same workspace must not run at the same time. Launches through one workspace go to its stream, which
 * keeps them in order; a graph captured from that stream must not run beside other launches of the workspace. One thread at a
 * time may use it: a second one gets an {@link IllegalStateException}.
 *
 * <p>The counters are zero between launches: the kernels see to that. If a launch was lost (the context survived an error, a
 * process was stopped in a debugger), {@link #reset} makes them zero again.
 */
public final class Workspace implements AutoCloseable {
    private final CudaEngine engine;
    private final CUstream stream;
    private final WorkspaceSize size;
    private final LaunchBlock block;
    private final DeviceBuffer scratch;
    private final DeviceBuffer counters;
    private final Cublas cublas;
    private final long scratchAddress;
    private final long countersAddress;
    private final Holders holders;
    /** The thread that works with it, and how many of its calls do: a capture contains launches. */
    private final AtomicReference<Thread> user = new AtomicReference<>();
    private int calls;

    Workspace(CudaEngine engine, CUstream stream, WorkspaceSize size) {
        this.engine = engine;
        this.stream = stream == null ? new CUstream() : stream;
        this.size = size;
        holders = new Holders("workspace of " + size + " on " + engine.device().name());
        engine.holders().acquire();
        LaunchBlock newBlock = null;
        DeviceBuffer newScratch = null;
        DeviceBuffer newCounters = null;
        Cublas newCublas = null;
        try {
            newBlock = engine.inContext(LaunchBlock::new);
            newScratch = size.scratchBytes() == 0 ? null : new DeviceBuffer(engine, size.scratchBytes(), "scratch");
            newCounters = size.counterBytes() == 0 ? null : new DeviceBuffer(engine, size.counterBytes(), "counters");
            clear(newCounters);
            // Here and not at a launch: while a graph is captured, cuBLAS cannot be opened.
            newCublas = size.cublasBytes() == 0 ? null : openCublas(size.cublasBytes());
        } catch (Throwable e) {
            Cuda.closeAfter(e, newCounters, newScratch, newBlock == null ? null : closing(newBlock));
            engine.holders().release();
            throw e;
        }
        block = newBlock;
        scratch = newScratch;
        counters = newCounters;
        cublas = newCublas;
        scratchAddress = scratch == null ? 0 : scratch.address();
        countersAddress = counters == null ? 0 : counters.address();
    }

    private Cublas openCublas(long bytes) {
        CublasLibrary.load().require();
        return new Cublas(engine, stream, bytes, Cublas.Sums.FP32);
    }

    private AutoCloseable closing(LaunchBlock launchBlock) {
        return () -> engine.runInContext(launchBlock::close);
    }

    private void clear(DeviceBuffer words) {
        if (words != null) {
            CUdeviceptr pointer = words.pointer();
            engine.runInContext(() -> {
                Cuda.call("cuMemsetD8Async", () -> cuMemsetD8Async(pointer, (byte) 0, words.size(), stream));
                Cuda.call("cuStreamSynchronize", () -> cuStreamSynchronize(stream));
            });
        }
    }

    /** The engine it belongs to. */
    public CudaEngine engine() {
        return engine;
    }

    /** The stream its launches go to. */
    public CUstream stream() {
        return stream;
    }

    /** How much there is. */
    public WorkspaceSize size() {
        return size;
    }

    /** Makes the counters zero again and waits for that; not needed between launches. */
    public void reset() {
        enter();
        try {
            clear(counters);
        } finally {
            leave();
        }
    }

    long scratch() {
        return scratchAddress;
    }

    /** Null if the size has no bytes for it. */
    Cublas cublas() {
        return cublas;
    }

    long counters() {
        return countersAddress;
    }

    LaunchBlock block() {
        return block;
    }

    /** What keeps it open: decode graphs, and the thread that works with it. */
    Holders holders() {
        return holders;
    }

    /**
     * This thread works with it until it {@linkplain #leave leaves}.
     *
     * @throws IllegalStateException if it is closed, or another thread works with it
     */
    void enter() {
        holders.acquire();
        Thread self = Thread.currentThread();
        if (user.get() != self && !user.compareAndSet(null, self)) {
            holders.release();
            throw new IllegalStateException(holders + " is in use by another thread: one thread at a time may use it");
        }
        calls++;
    }

    void leave() {
        if (--calls == 0) {
            user.set(null);
        }
        holders.release();
    }

    /**
     * Frees the memory; waits for kernels that use it. A second call does nothing.
     *
     * @throws IllegalStateException while a thread works with it, or a decode graph is open that was captured with it
     */
    @Override
    public void close() {
        if (holders.close()) {
            try {
                Cuda.closeAll(cublas, scratch, counters, closing(block));
            } finally {
                engine.holders().release();
            }
        }
    }
}
