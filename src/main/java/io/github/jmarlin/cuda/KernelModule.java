package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuFuncSetAttribute;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleGetGlobal;
import static jcuda.driver.JCudaDriver.cuModuleLoadDataEx;
import static jcuda.driver.JCudaDriver.cuModuleUnload;

import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.plan.DeviceFacts;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;

/**
 * A kernel image loaded into a context, checked to be of this version of the library. The context must be current in every call.
 */
final class KernelModule implements AutoCloseable {
    private final ImageFamily family;
    private final CUmodule module;
    private final KernelImages.Image image;
    private final DeviceFacts device;
    private final Map<String, CUfunction> functions = new ConcurrentHashMap<>();

    private KernelModule(ImageFamily family, CUmodule module, KernelImages.Image image, DeviceFacts device) {
        this.family = family;
        this.module = module;
        this.image = image;
        this.device = device;
    }

    /** @throws KernelImageException if there is no image for the device, the driver refuses it, or it is not of this library */
    static KernelModule load(ImageFamily family, DeviceFacts device) {
        KernelImages.Image image = KernelImages.load(family.folder(), device);
        // Off-heap, so that the garbage collector is not held up while the driver compiles PTX.
        ByteBuffer bytes = ByteBuffer.allocateDirect(image.bytes().length).put(image.bytes()).flip();
        CUmodule module = new CUmodule();
        int code = Cuda.code(() -> cuModuleLoadDataEx(module, Pointer.to(bytes), 0, new int[0], Pointer.to(new int[0])));
        if (code != CUresult.CUDA_SUCCESS) {
            throw new KernelImageException("kernel image " + image.origin() + " (compiled by nvcc " + KernelImages.compiler()
                    + ") is refused by the driver of CUDA " + CudaDriver.version() / 1000 + "." + CudaDriver.version() % 1000 / 10
                    + " for " + device, Cuda.failure("cuModuleLoadDataEx", code, ""));
        }
        KernelModule loaded = new KernelModule(family, module, image, device);
        try {
            loaded.checkAbi();
            return loaded;
        } catch (Throwable e) {
            Cuda.closeAfter(e, loaded);
            throw e;
        }
    }

    private void checkAbi() {
        String abi = family.abiName();
        CUdeviceptr address = new CUdeviceptr();
        long[] size = new long[1];
        int code = Cuda.code(() -> cuModuleGetGlobal(address, size, module, abi));
        if (code == CUresult.CUDA_ERROR_NOT_FOUND) {
            throw new KernelImageException("kernel image " + image.origin() + " is not of this library: it exports no " + abi);
        }
        if (code != CUresult.CUDA_SUCCESS) {
            throw Cuda.failure("cuModuleGetGlobal", code, abi + " of " + image.origin());
        }
        int[] found = new int[Math.toIntExact(size[0] / Integer.BYTES)];
        Cuda.call("cuMemcpyDtoH", () -> cuMemcpyDtoH(Pointer.to(found), address,
                (long) found.length * Integer.BYTES));
        checkAbi(image.origin(), abi, found, family.abi());
    }

    static void checkAbi(String origin, String abi, int[] found, int[] expected) {
        if (!Arrays.equals(found, expected)) {
            throw new KernelImageException("kernel image " + origin + " is of another version of this library: its " + abi
                    + " is " + Arrays.toString(found) + ", expected " + Arrays.toString(expected)
                    + " (version, size and field offsets of the kernels' argument)");
        }
    }

    /** The kernel of that name, allowed to use all the shared memory of a block. Looked up once. */
    CUfunction function(String name) {
        CUfunction known = functions.get(name);
        return known != null ? known : functions.computeIfAbsent(name, this::find);
    }

    private CUfunction find(String name) {
        CUfunction function = new CUfunction();
        int code = Cuda.code(() -> cuModuleGetFunction(function, module, name));
        if (code == CUresult.CUDA_ERROR_NOT_FOUND) {
            throw new KernelImageException("kernel image " + image.origin() + " has no kernel " + name);
        }
        if (code != CUresult.CUDA_SUCCESS) {
            throw Cuda.failure("cuModuleGetFunction", code, name + " of " + image.origin());
        }
        Cuda.call("cuFuncSetAttribute", () -> cuFuncSetAttribute(function,
                CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, device.sharedMemoryPerBlockOptin()));
        return function;
    }

    @Override
    public void close() {
        Cuda.call("cuModuleUnload", () -> cuModuleUnload(module));
    }
}
