package io.github.jmarlin.emulator;

import static jcuda.driver.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_CONTEXT;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_HANDLE;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_IMAGE;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_VALUE;
import static jcuda.driver.CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
import static jcuda.driver.CUresult.CUDA_ERROR_NOT_FOUND;
import static jcuda.driver.CUresult.CUDA_ERROR_NOT_SUPPORTED;
import static jcuda.driver.CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU;
import static jcuda.driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY;
import static jcuda.driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
import static jcuda.driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
import static jcuda.driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
import static jcuda.driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
import static jcuda.driver.CUresult.CUDA_SUCCESS;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import jcuda.Pointer;
import jcuda.Sizeof;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUmemAllocationProp;
import jcuda.driver.CUmemGenericAllocationHandle;
import jcuda.driver.CUmodule;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The stand-in driver keeps the rules of the real one, through JCuda's own natives. */
@Tag("gpu-on-stand-in")
class StandInTest {
    private static final int GLOBAL = 0;
    private final CUcontext context = new CUcontext();

    @BeforeEach
    void context() {
        assumeTrue(StandIn.isLoaded(), "the driver is not the stand-in");
        JCudaDriver.setExceptionsEnabled(false);
        StandIn.reset();
        ok(JCudaDriver.cuInit(0));
        ok(JCudaDriver.cuCtxCreate(context, 0, device(0)));
    }

    @AfterEach
    void noContext() {
        if (StandIn.isLoaded()) {
            StandIn.reset();
            JCudaDriver.cuCtxDestroy(context);
        }
    }

    @Test
    void devicesLookAsTheyAreSet() {
        StandIn.set("devices", 3);
        StandIn.set("capability", 90);
        StandIn.set("multiprocessors", 7);
        StandIn.set("shared", 227 * 1024);
        int[] value = new int[1];
        ok(JCudaDriver.cuDeviceGetCount(value));
        assertEquals(3, value[0]);
        assertEquals(9, attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR));
        assertEquals(0, attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
        assertEquals(7, attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
        assertEquals(227 * 1024, attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
        byte[] name = new byte[64];
        ok(JCudaDriver.cuDeviceGetName(name, name.length, device(2)));
        assertTrue(new String(name, StandardCharsets.UTF_8).startsWith("Emulated "));
    }

    @Test
    void injectedErrorsComeWhenTheyShould() {
        StandIn.inject("cuMemAlloc", CUDA_ERROR_OUT_OF_MEMORY, 1, 2);
        ok(JCudaDriver.cuMemAlloc(new CUdeviceptr(), 64));
        assertEquals(CUDA_ERROR_OUT_OF_MEMORY, JCudaDriver.cuMemAlloc(new CUdeviceptr(), 64));
        assertEquals(CUDA_ERROR_OUT_OF_MEMORY, JCudaDriver.cuMemAlloc(new CUdeviceptr(), 64));
        ok(JCudaDriver.cuMemAlloc(new CUdeviceptr(), 64));
        assertEquals(4, StandIn.count("cuMemAlloc"));
    }

    @Test
    void memoryKnowsItsBoundsAndItsEnd() {
        CUdeviceptr memory = allocate(100);
        byte[] bytes = new byte[100];
        ok(JCudaDriver.cuMemsetD8(memory, (byte) 5, 100));
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(bytes), memory, 100));
        assertEquals(5, bytes[99]);
        assertEquals(CUDA_ERROR_INVALID_VALUE, JCudaDriver.cuMemcpyDtoH(Pointer.to(new byte[200]), memory, 101));
        assertEquals(CUDA_ERROR_INVALID_VALUE, JCudaDriver.cuMemsetD32(memory, 0, 26));
        ok(JCudaDriver.cuMemFree(memory));
        assertEquals(CUDA_ERROR_INVALID_VALUE, JCudaDriver.cuMemcpyDtoH(Pointer.to(bytes), memory, 1), "use after free");
        assertEquals(CUDA_ERROR_INVALID_VALUE, JCudaDriver.cuMemFree(memory), "free twice");
    }

    @Test
    void memoryIsLimited() {
        StandIn.set("memory", 1 << 20);
        long[] free = new long[1];
        long[] total = new long[1];
        CUdeviceptr half = allocate(1 << 19);
        ok(JCudaDriver.cuMemGetInfo(free, total));
        assertEquals(1 << 19, free[0]);
        assertEquals(1 << 20, total[0]);
        assertEquals(CUDA_ERROR_OUT_OF_MEMORY, JCudaDriver.cuMemAlloc(new CUdeviceptr(), (1 << 19) + 1));
        ok(JCudaDriver.cuMemFree(half));
        ok(JCudaDriver.cuMemAlloc(new CUdeviceptr(), (1 << 19) + 1));
    }

    @Test
    void freshMemoryIsNotZero() {
        int[] word = new int[1];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(word), allocate(4), 4));
        assertEquals(-1, word[0]);
    }

    @Test
    void handlesDieWithTheirContext() {
        CUstream stream = stream();
        CUdeviceptr memory = allocate(64);
        CUcontext other = new CUcontext();
        ok(JCudaDriver.cuCtxCreate(other, 0, device(0)));
        assertEquals(CUDA_ERROR_INVALID_HANDLE, JCudaDriver.cuStreamSynchronize(stream), "a stream of another context");
        ok(JCudaDriver.cuCtxDestroy(other));
        ok(JCudaDriver.cuCtxSetCurrent(context));
        ok(JCudaDriver.cuStreamSynchronize(stream));
        ok(JCudaDriver.cuStreamDestroy(stream));
        assertEquals(CUDA_ERROR_INVALID_HANDLE, JCudaDriver.cuStreamSynchronize(stream), "a destroyed stream");
        ok(JCudaDriver.cuCtxDestroy(context));
        assertEquals(CUDA_ERROR_INVALID_CONTEXT, JCudaDriver.cuMemFree(memory), "no context");
        ok(JCudaDriver.cuCtxCreate(context, 0, device(0)));
        assertEquals(CUDA_ERROR_INVALID_VALUE, JCudaDriver.cuMemFree(memory), "memory of a destroyed context");
    }

    @Test
    void onlyEmulatedImagesOfThisDeviceLoad() {
        assertEquals(CUDA_ERROR_INVALID_IMAGE, JCudaDriver.cuModuleLoadData(new CUmodule(), text("something else\n")));
        assertEquals(CUDA_ERROR_NO_BINARY_FOR_GPU, JCudaDriver.cuModuleLoadData(new CUmodule(), text("\177ELF and so on\n")));
        assertEquals(CUDA_ERROR_NO_BINARY_FOR_GPU, JCudaDriver.cuModuleLoadData(new CUmodule(), image("sm_90a")));
        StandIn.set("capability", 90);
        assertEquals(CUDA_ERROR_NO_BINARY_FOR_GPU, JCudaDriver.cuModuleLoadData(new CUmodule(), image("sm_80")));
        ok(JCudaDriver.cuModuleLoadData(new CUmodule(), image("sm_90a")));
        ok(JCudaDriver.cuModuleLoadData(new CUmodule(), image("compute_80")));
        CUmodule module = module();
        assertEquals(CUDA_ERROR_NOT_FOUND, JCudaDriver.cuModuleGetFunction(new CUfunction(), module, "striped_nothing"));
        assertEquals(CUDA_ERROR_NOT_FOUND, JCudaDriver.cuModuleGetFunction(new CUfunction(), module, "cuInit"));
        CUdeviceptr abi = new CUdeviceptr();
        long[] size = new long[1];
        ok(JCudaDriver.cuModuleGetGlobal(abi, size, module, "jmarlin_striped_abi"));
        int[] words = new int[(int) size[0] / 4];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(words), abi, size[0]));
        assertEquals(0, words[2], "offset of the first argument");
        ok(JCudaDriver.cuModuleUnload(module));
        assertEquals(CUDA_ERROR_INVALID_HANDLE,
                JCudaDriver.cuModuleGetFunction(new CUfunction(), module, "striped_f16_sym_g64_m8_n64"));
    }

    @Test
    void launchesAreChecked() {
        CUfunction function = function();
        assertEquals(CUDA_ERROR_INVALID_VALUE, launch(function, 0, 256, 0, null));
        assertEquals(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, launch(function, 1, 512, 0, null));
        assertEquals(CUDA_ERROR_INVALID_VALUE, launch(function, 1, 256, 50_000, null), "more than 48 KB without opting in");
        assertEquals(CUDA_ERROR_INVALID_VALUE, JCudaDriver.cuFuncSetAttribute(function,
                CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 164 * 1024), "more than the device has");
        ok(JCudaDriver.cuFuncSetAttribute(function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                163 * 1024));
        assertEquals(CUDA_ERROR_INVALID_VALUE, JCudaDriver.cuLaunchKernel(function, 1, 1, 1, 256, 1, 1, 0, null, null, null));
        assertEquals(0, StandIn.count("kernels"));
        StandIn.set("fast", 1);
        ok(launch(function, 1, 256, 0, null));
        assertEquals(0, StandIn.count("kernels"));
    }

    @Test
    void kernelErrorsComeBackFromTheNextCall() {
        CUfunction function = function();
        ok(JCudaDriver.cuFuncSetAttribute(function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                163 * 1024));
        byte[] arguments = new byte[512];   // operands at address 0x10
        java.nio.ByteBuffer buffer = java.nio.ByteBuffer.wrap(arguments).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at < 72; at += 8) {
            buffer.putLong(at, 16);
        }
        buffer.putLong(112, 64).putLong(120, 64);
        int[] sizes = {1, 64, 64, 1, 1, 0, 1, 1, 1, 2};
        for (int i = 0; i < sizes.length; i++) {
            buffer.putInt(128 + 4 * i, sizes[i]);
        }
        ok(JCudaDriver.cuLaunchKernel(function, 1, 1, 1, 256, 1, 1, 163 * 1024, null, Pointer.to(Pointer.to(arguments)), null));
        assertEquals(CUDA_ERROR_ILLEGAL_ADDRESS, JCudaDriver.cuCtxSynchronize());
        assertEquals(CUDA_ERROR_ILLEGAL_ADDRESS, JCudaDriver.cuMemAlloc(new CUdeviceptr(), 64), "the context is spoilt");
        assertEquals(1, StandIn.count("kernels"));
        CUcontext other = new CUcontext();
        ok(JCudaDriver.cuCtxCreate(other, 0, device(0)));
        assertTrue(StandIn.errors().contains("OUT OF BOUNDS"), StandIn.errors());
        ok(JCudaDriver.cuCtxDestroy(other));
    }

    @Test
    void captureRecordsAndReplays() {
        CUstream stream = stream();
        CUdeviceptr a = allocate(16);
        CUdeviceptr b = allocate(16);
        ok(JCudaDriver.cuMemsetD32(b, 1, 4));
        ok(JCudaDriver.cuStreamBeginCapture(stream, GLOBAL));
        ok(JCudaDriver.cuMemsetD32Async(a, 7, 4, stream));
        ok(JCudaDriver.cuMemcpyDtoDAsync(b, a, 16, stream));
        CUgraph graph = new CUgraph();
        ok(JCudaDriver.cuStreamEndCapture(stream, graph));
        assertArrayEquals(new int[] {1, 1, 1, 1}, ints(b), "nothing ran while capturing");
        long[] nodes = new long[1];
        ok(JCudaDriver.cuGraphGetNodes(graph, null, nodes));
        assertEquals(2, nodes[0]);
        CUgraphExec exec = new CUgraphExec();
        ok(JCudaDriver.cuGraphInstantiate(exec, graph, 0));
        ok(JCudaDriver.cuGraphDestroy(graph));
        ok(JCudaDriver.cuGraphLaunch(exec, stream));
        assertArrayEquals(new int[] {7, 7, 7, 7}, ints(b));
        ok(JCudaDriver.cuMemsetD32(b, 1, 4));
        ok(JCudaDriver.cuGraphLaunch(exec, stream));
        assertArrayEquals(new int[] {7, 7, 7, 7}, ints(b), "a second time");
        ok(JCudaDriver.cuGraphExecDestroy(exec));
        assertEquals(CUDA_ERROR_INVALID_VALUE, JCudaDriver.cuGraphLaunch(exec, stream));
    }

    @Test
    void captureForbidsWhatTheDriverForbids() {
        CUstream stream = stream();
        CUfunction function = function();
        for (Runnable forbidden : new Runnable[] {
            () -> assertEquals(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, JCudaDriver.cuMemAlloc(new CUdeviceptr(), 64)),
            () -> assertEquals(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, JCudaDriver.cuStreamSynchronize(stream)),
            () -> assertEquals(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, JCudaDriver.cuCtxSynchronize()),
            () -> assertEquals(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, launch(function, 1, 256, 0, null)),
        }) {
            ok(JCudaDriver.cuStreamBeginCapture(stream, GLOBAL));
            forbidden.run();
            assertEquals(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, JCudaDriver.cuStreamEndCapture(stream, new CUgraph()));
            ok(JCudaDriver.cuStreamSynchronize(stream));
        }
        assertEquals(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, JCudaDriver.cuStreamBeginCapture(new CUstream(), GLOBAL),
                "the legacy stream");
    }

    @Test
    void streamsJoinACaptureThroughEvents() {
        CUstream first = stream();
        CUstream second = stream();
        CUdeviceptr memory = allocate(16);
        CUevent fork = new CUevent();
        CUevent join = new CUevent();
        ok(JCudaDriver.cuEventCreate(fork, 2));
        ok(JCudaDriver.cuEventCreate(join, 2));
        for (boolean joined : new boolean[] {true, false}) {
            ok(JCudaDriver.cuStreamBeginCapture(first, GLOBAL));
            ok(JCudaDriver.cuEventRecord(fork, first));
            ok(JCudaDriver.cuStreamWaitEvent(second, fork, 0));
            ok(JCudaDriver.cuMemsetD32Async(memory, 3, 4, second));
            ok(JCudaDriver.cuEventRecord(join, second));
            if (joined) {
                ok(JCudaDriver.cuStreamWaitEvent(first, join, 0));
            }
            assertEquals(joined ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED,
                    JCudaDriver.cuStreamEndCapture(first, new CUgraph()));
            ok(JCudaDriver.cuStreamSynchronize(second));
        }
    }

    @Test
    void eventsMeasure() {
        CUevent start = new CUevent();
        CUevent end = new CUevent();
        CUevent untimed = new CUevent();
        ok(JCudaDriver.cuEventCreate(start, 0));
        ok(JCudaDriver.cuEventCreate(end, 0));
        ok(JCudaDriver.cuEventCreate(untimed, 2));
        float[] milliseconds = {-1};
        assertEquals(CUDA_ERROR_INVALID_HANDLE, JCudaDriver.cuEventElapsedTime(milliseconds, start, end), "not recorded");
        ok(JCudaDriver.cuEventRecord(start, null));
        ok(JCudaDriver.cuEventRecord(end, null));
        ok(JCudaDriver.cuEventRecord(untimed, null));
        ok(JCudaDriver.cuEventElapsedTime(milliseconds, start, end));
        assertTrue(milliseconds[0] >= 0 && milliseconds[0] < 1000, () -> milliseconds[0] + " ms");
        assertEquals(CUDA_ERROR_INVALID_HANDLE, JCudaDriver.cuEventElapsedTime(milliseconds, start, untimed));
        ok(JCudaDriver.cuEventDestroy(end));
        assertEquals(CUDA_ERROR_INVALID_HANDLE, JCudaDriver.cuEventRecord(end, null));
    }

    @Test
    void hostMemoryIsPinnedOnce() {
        Pointer pinned = new Pointer();
        ok(JCudaDriver.cuMemHostAlloc(pinned, 64, 0));
        ok(JCudaDriver.cuMemcpyHtoD(allocate(64), pinned, 64));
        ok(JCudaDriver.cuMemFreeHost(pinned));
        assertNotEquals(CUDA_SUCCESS, JCudaDriver.cuMemFreeHost(pinned));
    }

    @Test
    void whatIsNotEmulatedSaysSo() {
        assertEquals(CUDA_ERROR_NOT_SUPPORTED,
                JCudaDriver.cuMemCreate(new CUmemGenericAllocationHandle(), 4096, new CUmemAllocationProp(), 0));
    }

    // ---- small things ----

    private static void ok(int result) {
        assertEquals(CUDA_SUCCESS, result);
    }

    private static CUdevice device(int ordinal) {
        CUdevice device = new CUdevice();
        ok(JCudaDriver.cuDeviceGet(device, ordinal));
        return device;
    }

    private static int attribute(int attribute) {
        int[] value = new int[1];
        ok(JCudaDriver.cuDeviceGetAttribute(value, attribute, device(0)));
        return value[0];
    }

    private static CUdeviceptr allocate(long bytes) {
        CUdeviceptr memory = new CUdeviceptr();
        ok(JCudaDriver.cuMemAlloc(memory, bytes));
        return memory;
    }

    private static CUstream stream() {
        CUstream stream = new CUstream();
        ok(JCudaDriver.cuStreamCreate(stream, 0));
        return stream;
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static byte[] image(String target) {
        return text("JMARLIN-EMULATED striped " + target + "\n");
    }

    private static CUmodule module() {
        CUmodule module = new CUmodule();
        ok(JCudaDriver.cuModuleLoadData(module, image("compute_80")));
        return module;
    }

    private static CUfunction function() {
        CUfunction function = new CUfunction();
        ok(JCudaDriver.cuModuleGetFunction(function, module(), "striped_f16_sym_g64_m8_n64"));
        return function;
    }

    private static int launch(CUfunction function, int grid, int threads, int shared, CUstream stream) {
        return JCudaDriver.cuLaunchKernel(function, grid, 1, 1, threads, 1, 1, shared, stream,
                Pointer.to(Pointer.to(new byte[512])), null);
    }

    private static int[] ints(CUdeviceptr memory) {
        int[] values = new int[16 / Sizeof.INT];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(values), memory, 16));
        return values;
    }
}
