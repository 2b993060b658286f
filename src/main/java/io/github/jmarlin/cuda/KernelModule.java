package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuFuncGetAttribute;
import static jcuda.driver.JCudaDriver.cuFuncSetAttribute;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleGetGlobal;
import static jcuda.driver.JCudaDriver.cuModuleLoadDataEx;
import static jcuda.driver.JCudaDriver.cuModuleUnload;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.cuda.image.ImageManifest;
import io.github.jmarlin.cuda.image.ImageStatus;
import io.github.jmarlin.cuda.image.KernelImages;
import io.github.jmarlin.plan.DeviceFacts;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
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
    /** What a driver says of an image that it cannot use, where another may do. A context that a kernel has spoilt says otherwise. */
    private static final Set<Integer> REFUSALS = Set.of(CUresult.CUDA_ERROR_INVALID_IMAGE, CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU,
            CUresult.CUDA_ERROR_INVALID_PTX, CUresult.CUDA_ERROR_JIT_COMPILER_NOT_FOUND, CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
            CUresult.CUDA_ERROR_JIT_COMPILATION_DISABLED, CUresult.CUDA_ERROR_INVALID_SOURCE, CUresult.CUDA_ERROR_NOT_SUPPORTED);

    private final ImageFamily family;
    private final CUmodule module;
    private final KernelImages.Image image;
    private final DeviceFacts device;
    private final List<String> refusals;
    private final Map<String, CUfunction> functions = new ConcurrentHashMap<>();

    private KernelModule(ImageFamily family, CUmodule module, KernelImages.Image image, DeviceFacts device, List<String> refusals) {
        this.family = family;
        this.module = module;
        this.image = image;
        this.device = device;
        this.refusals = refusals;
    }

    /**
     * Loads the first image of a module that the driver takes and that came out as its kernels need it; one that is refused leaves the
     * turn to the next.
     *
     * @param name as {@link ImageFamily#module}
     * @throws KernelImageException if there is no image for the device, all are refused, or one is not of this library
     * @throws CudaCallException if the driver fails for another reason
     */
    static KernelModule load(ImageFamily family, String name, DeviceFacts device) {
        List<String> candidates = KernelImages.candidates(name, device);
        if (candidates.isEmpty()) {
            throw new KernelImageException(KernelImages.missing(name, device));
        }
        List<String> refusals = new ArrayList<>();
        for (String file : candidates) {
            KernelImages.Image image = KernelImages.read(file);
            CUmodule module = new CUmodule();
            int code = open(module, image);
            if (REFUSALS.contains(code)) {
                refusals.add(refusal(file, code));
                continue;
            }
            if (code != CUresult.CUDA_SUCCESS) {
                throw Cuda.failure("cuModuleLoadDataEx", code, "kernel image " + image.origin());
            }
            KernelModule loaded = new KernelModule(family, module, image, device, List.copyOf(refusals));
            Optional<String> unfit = loaded.check(name);
            if (unfit.isEmpty()) {
                return loaded;
            }
            loaded.close();
            refusals.add(unfit.get());
        }
        throw new KernelImageException("the driver of CUDA " + CudaDriver.versionText() + " takes no kernel image of " + name + " in "
                + KernelImages.place() + " for " + device + ": " + String.join("; ", refusals));
    }

    private static int open(CUmodule module, KernelImages.Image image) {
        // Off-heap, so that the garbage collector is not held up while the driver compiles PTX.
        ByteBuffer bytes = ByteBuffer.allocateDirect(image.bytes().length).put(image.bytes()).flip();
        return Cuda.code(() -> cuModuleLoadDataEx(module, Pointer.to(bytes), 0, new int[0], Pointer.to(new int[0])));
    }

    private static String refusal(String file, int code) {
        return file + " (" + ImageManifest.facts(file).description() + "): " + code + ", " + CUresult.stringFor(code);
    }

    /**
     * Why its kernels would not run; empty if they do. Asks for kernels too: a driver that loads lazily refuses only then. Closes the
     * module if it throws.
     */
    private Optional<String> check(String name) {
        try {
            checkAbi(name);
            for (String kernel : family.kernelsToCheck(name)) {
                CUfunction function = function(kernel);
                Optional<String> unfit = family == ImageFamily.HOPPER ? otherRegisters(kernel, function) : Optional.empty();
                if (unfit.isPresent()) {
                    return unfit;
                }
            }
            return Optional.empty();
        } catch (CudaCallException e) {
            if (REFUSALS.contains(e.code())) {
                return Optional.of(refusal(image.file(), e.code()));
            }
            Cuda.closeAfter(e, this);
            throw e;
        } catch (Throwable e) {
            Cuda.closeAfter(e, this);
            throw e;
        }
    }

    /** Another number of registers than a kernel hands on between its warps: with fewer they would wait for each other for ever. */
    private Optional<String> otherRegisters(String kernel, CUfunction function) {
        int[] registers = new int[1];
        Cuda.call("cuFuncGetAttribute", () -> cuFuncGetAttribute(registers, CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS, function));
        return registers[0] == ImageFamily.HOPPER_REGISTERS ? Optional.empty() : Optional.of(image.file() + ": " + kernel + " has "
                + registers[0] + " registers as the driver loaded it, and counts on " + ImageFamily.HOPPER_REGISTERS);
    }

    /** The image that was loaded, and those that were not. */
    ImageStatus status() {
        return new ImageStatus(image.file(), refusals, "");
    }

    private void checkAbi(String name) {
        String abi = ImageFamily.abiName(name);
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
