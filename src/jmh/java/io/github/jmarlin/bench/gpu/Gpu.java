package io.github.jmarlin.bench.gpu;

import static jcuda.driver.JCudaDriver.cuCtxSetCurrent;
import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRelease;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRetain;
import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleLoadDataEx;
import static jcuda.driver.JCudaDriver.cuModuleUnload;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.cuda.image.KernelImages;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;

/** The device, its primary context made current on this thread, one stream, and the kernels. Used by the thread that made it. */
final class Gpu implements AutoCloseable {
    private final CudaDevice device;
    private final CUdevice handle = new CUdevice();
    private final CUstream stream = new CUstream();
    private final CudaEngine engine;
    private final Map<String, CUmodule> modules = new HashMap<>();

    Gpu(CudaDevice device) {
        this.device = device;
        CUcontext context = new CUcontext();
        check("cuDeviceGet", cuDeviceGet(handle, device.ordinal()));
        check("cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain(context, handle));
        check("cuCtxSetCurrent", cuCtxSetCurrent(context));
        check("cuStreamCreate", cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
        engine = CudaEngine.ofCurrentContext();
    }

    /** Fails unless a call of the driver returned CUDA_SUCCESS. */
    static void check(String call, int code) {
        if (code != CUresult.CUDA_SUCCESS) {
            throw new IllegalStateException(call + " failed with " + code + " " + CUresult.stringFor(code));
        }
    }

    CudaDevice device() {
        return device;
    }

    CUdevice handle() {
        return handle;
    }

    CudaEngine engine() {
        return engine;
    }

    /** The stream of all launches. */
    CUstream stream() {
        return stream;
    }

    /** Waits for the stream; an error of a kernel shows here. */
    void synchronize() {
        check("cuStreamSynchronize", cuStreamSynchronize(stream));
    }

    DeviceBuffer allocate(long bytes, String purpose) {
        return engine.allocate(bytes, purpose);
    }

    /** A kernel of a family that the library itself does not use. */
    CUfunction kernel(String family, String name) {
        CUmodule module = modules.computeIfAbsent(family, this::load);
        CUfunction function = new CUfunction();
        check("cuModuleGetFunction " + name, cuModuleGetFunction(function, module, name));
        return function;
    }

    CUmodule module(String family) {
        return modules.computeIfAbsent(family, this::load);
    }

    /** The first image that the driver takes. */
    private CUmodule load(String family) {
        StringBuilder refused = new StringBuilder();
        for (String file : KernelImages.candidates(family, device.facts())) {
            byte[] image = KernelImages.read(file).bytes();
            ByteBuffer bytes = ByteBuffer.allocateDirect(image.length).put(image).flip();
            CUmodule module = new CUmodule();
            int code = cuModuleLoadDataEx(module, Pointer.to(bytes), 0, new int[0], Pointer.to(new int[0]));
            if (code == CUresult.CUDA_SUCCESS) {
                return module;
            }
            refused.append("; ").append(file).append(": ").append(CUresult.stringFor(code));
        }
        throw new IllegalStateException(refused.isEmpty() ? KernelImages.missing(family, device.facts())
                : "cuModuleLoadDataEx takes no image of family " + family + refused);
    }

    @Override
    public void close() {
        modules.values().forEach(module -> check("cuModuleUnload", cuModuleUnload(module)));
        engine.close();
        check("cuStreamDestroy", cuStreamDestroy(stream));
        check("cuDevicePrimaryCtxRelease", cuDevicePrimaryCtxRelease(handle));
    }
}
