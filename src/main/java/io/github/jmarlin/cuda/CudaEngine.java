package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuCtxGetCurrent;
import static jcuda.driver.JCudaDriver.cuCtxGetDevice;
import static jcuda.driver.JCudaDriver.cuCtxPopCurrent;
import static jcuda.driver.JCudaDriver.cuCtxPushCurrent;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRelease;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRetain;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DeviceOutOfMemoryException;
import io.github.jmarlin.DeviceUnavailableException;
import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.cuda.cublas.CublasLibrary;
import io.github.jmarlin.cuda.image.ImageStatus;
import io.github.jmarlin.plan.DeviceFacts;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.Kernels;
import io.github.jmarlin.plan.Tuning;
import io.github.jmarlin.plan.TuningFile;
import io.github.jmarlin.plan.WorkspaceSize;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUfunction;
import jcuda.driver.CUstream;

/**
 * The kernels, loaded into one CUDA context. Everything made by an engine belongs to its context and must be closed before the
 * engine.
 *
 * <p>Safe for any number of threads. All methods here and all {@code close} methods may be called with any context current, or
 * none: they switch to the engine's context and back. None of them may run while a stream of the context is being captured, since
 * they allocate and synchronise; {@link CudaGemm#launch} is the call that may.
 */
public final class CudaEngine implements AutoCloseable {
    private final CudaDevice device;
    private final CUcontext context;
    private final CUdevice retained;
    private final Map<String, KernelModule> kernels = new ConcurrentHashMap<>();
    private final Holders holders;
    private final Tuning tuning;

    /** @param retained the device whose primary context this engine holds, or null for a context of the caller's */
    CudaEngine(CudaDevice device, CUcontext context, CUdevice retained) {
        this.device = device;
        this.context = context;
        this.retained = retained;
        holders = new Holders("engine on " + device.name());
        tuning = TuningFile.load(device.facts());
        // What cannot load the first module of the kernels that run everywhere can load none: better now than at the first product.
        inContext(() -> loaded(ImageFamily.STRIPED, ImageFamily.STRIPED.firstModule(KernelSet.INT4)));
    }

    /**
     * Loads the kernels into the context that is current on this thread: for applications that manage contexts themselves.
     *
     * @throws DeviceUnavailableException without a usable driver, or if the context's device is too old
     * @throws IllegalStateException if no context is current
     * @throws KernelImageException if there are no kernels for the device
     */
    public static CudaEngine ofCurrentContext() {
        CudaDriver.require();
        CUcontext current = current();
        if (current.equals(new CUcontext())) {
            throw new IllegalStateException("no CUDA context is current on this thread: make one current, or use"
                    + " ofPrimaryContext");
        }
        CUdevice ofContext = new CUdevice();
        Cuda.call("cuCtxGetDevice", () -> cuCtxGetDevice(ofContext));
        for (CudaDevice device : CudaDriver.devices()) {
            if (CudaDriver.device(device.ordinal()).equals(ofContext)) {
                return new CudaEngine(device, current, null);
            }
        }
        throw new DeviceUnavailableException("the device of the current context cannot run the kernels: "
                + String.join("; ", CudaDriver.unusableDevices()));
    }

    /**
     * Loads the kernels into the device's primary context, the one that the CUDA runtime uses too, and keeps that alive.
     *
     * @throws KernelImageException if there are no kernels for the device
     */
    public static CudaEngine ofPrimaryContext(CudaDevice device) {
        CUdevice handle = CudaDriver.device(device.ordinal());
        CUcontext context = new CUcontext();
        Cuda.call("cuDevicePrimaryCtxRetain", () -> cuDevicePrimaryCtxRetain(context, handle));
        try {
            return new CudaEngine(device, context, handle);
        } catch (Throwable e) {
            Cuda.closeAfter(e, () -> Cuda.call("cuDevicePrimaryCtxRelease", () -> cuDevicePrimaryCtxRelease(handle)));
            throw e;
        }
    }

    /** The device of the context. */
    public CudaDevice device() {
        return device;
    }

    /** What the driver says about the device. */
    public DeviceFacts facts() {
        return device.facts();
    }

    /** What was measured on the device, as its tuning file said when this engine was made. */
    Tuning tuning() {
        return tuning;
    }

    /**
     * Copies weights to the device; they may be closed afterwards.
     *
     * @throws DeviceOutOfMemoryException if they do not fit
     * @throws KernelImageException if the driver takes no image with kernels for such weights: 2:4 sparse ones need one of CUDA 12.5
     */
    public DeviceWeights upload(PackedWeights weights) {
        Kernels kernels = new Kernels(KernelFamily.STRIPED, KernelSet.of(weights.form()));
        ImageStatus status = images(kernels);
        if (!status.isUsable()) {
            throw new KernelImageException(weights + ": " + status.problem() + (weights.form().isSparse()
                    ? "; packed without --sparse24, or after SparseExpansion.dense, the same weights run on the kernels for dense ones" : ""));
        }
        return new DeviceWeights(this, weights);
    }

    /**
     * Device memory for the launches of one stream, ready when this returns.
     *
     * @param stream of this engine's context; null or a new CUstream is the default stream
     * @param size see {@link CudaGemm#workspaceFor}; several layers share a workspace of the {@link WorkspaceSize#max} of theirs
     * @throws DeviceOutOfMemoryException if it does not fit
     * @throws IllegalStateException with the reason, if the size has bytes for cuBLAS and there is none
     */
    public Workspace newWorkspace(CUstream stream, WorkspaceSize size) {
        return new Workspace(this, stream, size);
    }

    /**
     * As {@link #newWorkspace(CUstream, WorkspaceSize)}, on a stream of another library, as the number that it has there (a CUstream or
     * cudaStream_t of this engine's context). Launches, decode graphs and captures of it go to that stream; it must stay as long as the
     * workspace.
     *
     * @param stream 0 is the default stream
     */
    public Workspace newWorkspace(long stream, WorkspaceSize size) {
        return new Workspace(this, RawStream.of(stream), size);
    }

    /**
     * Plain device memory, aligned to 256 bytes.
     *
     * @param purpose what for, as messages name it
     * @throws DeviceOutOfMemoryException if it does not fit
     */
    public DeviceBuffer allocate(long bytes, String purpose) {
        return new DeviceBuffer(this, bytes, purpose);
    }

    /**
     * A stream, and host memory that it copies from and to.
     *
     * @param purpose what for, as messages name it
     */
    public HostExchange newHostExchange(int bytes, String purpose) {
        return new HostExchange(this, bytes, purpose);
    }

    /**
     * Runs with the engine's context current, and leaves the thread's context as it was. If it cannot, a resource made is closed.
     */
    <T> T inContext(Supplier<T> action) {
        Cuda.call("cuCtxPushCurrent", () -> cuCtxPushCurrent(context));
        T result;
        try {
            result = action.get();
        } catch (Throwable e) {
            Cuda.closeAfter(e, CudaEngine::pop);
            throw e;
        }
        try {
            pop();
        } catch (CudaCallException e) {
            if (result instanceof AutoCloseable resource) {
                Cuda.closeAfter(e, resource);
            }
            throw e;
        }
        return result;
    }

    /** Runs with the engine's context current on this thread, which afterwards has the one it had before. */
    public void runInContext(Runnable action) {
        inContext(() -> {
            action.run();
            return null;
        });
    }

    private static void pop() {
        Cuda.call("cuCtxPopCurrent", () -> cuCtxPopCurrent(new CUcontext()));
    }

    private boolean isCurrent() {
        return current().equals(context);
    }

    private static CUcontext current() {
        CUcontext current = new CUcontext();
        Cuda.call("cuCtxGetCurrent", () -> cuCtxGetCurrent(current));
        return current;
    }

    /** @throws CudaCallException unless a launch of a kernel returned CUDA_SUCCESS */
    void check(String kernel, int code) {
        check("cuLaunchKernel", code, kernel);
    }

    /** @throws CudaCallException unless a call that needs the context to be current returned CUDA_SUCCESS */
    void check(String call, int code, String what) {
        if (code != 0) {
            throw Cuda.failure(call, code, what + (isCurrent() ? "" : "; the context of " + this
                    + " is not current on this thread"));
        }
    }

    /** @throws IllegalStateException after {@link #close}: what was loaded is no more, and nothing would unload what is loaded now */
    CUfunction kernel(String name) {
        holders.acquire();
        try {
            ImageFamily family = ImageFamily.of(name);
            return inContext(() -> loaded(family, family.module(name)).function(name));
        } finally {
            holders.release();
        }
    }

    /** The kernels of a module, loaded when one is first used. */
    private KernelModule loaded(ImageFamily family, String module) {
        return kernels.computeIfAbsent(module, first -> KernelModule.load(family, first, device.facts()));
    }

    /**
     * Which image serves some kernels. Their first module is loaded for the answer, if it was not used before.
     */
    ImageStatus images(Kernels wanted) {
        ImageFamily family = ImageFamily.of(wanted.family());
        holders.acquire();
        try {
            return inContext(() -> loaded(family, family.firstModule(wanted.set())).status());
        } catch (KernelImageException e) {
            return ImageStatus.unusable(e.getMessage());
        } finally {
            holders.release();
        }
    }

    /** Why products cannot run through some kernels in this context; empty if they can. */
    Optional<String> missing(Kernels kernels) {
        if (!kernels.exist()) {
            return Optional.of("there are no kernels " + kernels);
        }
        return missing(kernels.family(), kernels.family() == KernelFamily.DENSE ? placed(kernels.set()) : images(kernels));
    }

    /** Whoever multiplies, {@link #upload} places only what striped kernels can read: what they say if it is no, else what expanding says. */
    private ImageStatus placed(KernelSet set) {
        ImageStatus striped = images(new Kernels(KernelFamily.STRIPED, set));
        return striped.isUsable() ? images(new Kernels(KernelFamily.DENSE, set)) : striped;
    }

    /** The first question after {@link KernelFamily#DENSE} loads cuBLAS. */
    static Optional<String> missing(KernelFamily family, ImageStatus images) {
        if (!images.isUsable() || family != KernelFamily.DENSE) {
            return Optional.of(images.problem()).filter(why -> !why.isEmpty());
        }
        CublasLibrary library = CublasLibrary.load();
        return library.isAvailable() ? Optional.empty() : Optional.of("no cuBLAS: " + library.description());
    }

    /** Each by itself: what the driver does not let us unload does not keep the others. */
    private void unload() {
        Cuda.closeAll(kernels.values().stream().map(module -> (AutoCloseable) () -> runInContext(module::close))
                .toArray(AutoCloseable[]::new));
    }

    /** Everything that belongs to the engine holds it, so that it outlives them. */
    Holders holders() {
        return holders;
    }

    /**
     * Unloads the kernels. A second call does nothing.
     *
     * @throws IllegalStateException while weights, workspaces or buffers of this engine are open
     */
    @Override
    public void close() {
        if (holders.close()) {
            Cuda.closeAll(this::unload,
                    () -> {
                        if (retained != null) {
                            Cuda.call("cuDevicePrimaryCtxRelease", () -> cuDevicePrimaryCtxRelease(retained));
                        }
                    });
        }
    }

    @Override
    public String toString() {
        return "engine on " + device;
    }
}
