package io.github.jmarlin.machine;

import static jcuda.driver.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_CONTEXT;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_HANDLE;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_IMAGE;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_PTX;
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
import static jcuda.driver.CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
import static jcuda.driver.CUresult.CUDA_SUCCESS;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.cuda.image.KernelImages;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
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
import jcuda.driver.CUpointer_attribute;
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
        StandIn.assumeLoaded();
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
        assertTrue(new String(name, StandardCharsets.UTF_8).startsWith("Stand-in "));
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

    /** As on a device of another architecture: the machine executes PTX alone. */
    @Test
    void machineCodeIsRefusedAndPtxHasATarget() {
        assertEquals(CUDA_ERROR_INVALID_IMAGE, load(text("something else\n")));
        assertEquals(CUDA_ERROR_NO_BINARY_FOR_GPU, load(text("\177ELF machine code")));
        assertEquals(CUDA_ERROR_NO_BINARY_FOR_GPU, load(text("\u0050\u00ed\u0055\u00ba a fat binary")));
        int[] capabilities = {75, 80, 86, 90, 100, 120};
        for (int capability : capabilities) {
            StandIn.set("capability", capability);
            assertEquals(capability < 80 ? CUDA_ERROR_INVALID_PTX : CUDA_SUCCESS, load(image("gather.compute_80.ptx")), "on " + capability);
            assertEquals(capability == 90 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_PTX, load(image("gather.compute_90a.ptx")), "on " + capability);
        }
    }

    /** A driver reads the PTX of its own CUDA version and older. */
    @Test
    void driversReadTheirVersionOfPtx() {
        String ptx = new String(image("gather.compute_80.ptx"), StandardCharsets.ISO_8859_1);
        int[][] newest = {{11080, 78}, {12000, 80}, {12020, 82}, {12050, 85}, {12060, 85}, {12070, 86}, {12080, 87}, {13000, 90}, {13010, 91}};
        for (int[] driver : newest) {
            StandIn.set("driver", driver[0]);
            for (int above = 0; above < 2; above++) {
                int version = driver[1] + above;
                byte[] image = text(ptx.replaceFirst("\\.version \\d+\\.\\d+", ".version " + version / 10 + "." + version % 10));
                assertEquals(above == 0 ? CUDA_SUCCESS : CUDA_ERROR_UNSUPPORTED_PTX_VERSION, load(image), driver[0] + " and PTX " + version);
            }
        }
    }

    @Test
    void unknownInstructionsAreNoPtx() {
        String ptx = new String(image("gather.compute_80.ptx"), StandardCharsets.ISO_8859_1);
        assertEquals(CUDA_ERROR_INVALID_PTX, load(text(ptx.replace(".address_size 64", ".address_bits 64"))));
        CUmodule module = new CUmodule();
        ok(JCudaDriver.cuModuleLoadData(module, text(ptx.replaceFirst("\\bmov\\.b64\\b", "move.b64"))));
        assertEquals(CUDA_ERROR_INVALID_PTX, JCudaDriver.cuModuleGetFunction(new CUfunction(), module, "gather_16bit"));
    }

    @Test
    void modulesHaveTheNamesOfTheirText() {
        CUmodule module = module("gather.compute_80.ptx");
        assertEquals(CUDA_ERROR_NOT_FOUND, JCudaDriver.cuModuleGetFunction(new CUfunction(), module, "gather_nothing"));
        assertEquals(CUDA_ERROR_NOT_FOUND, JCudaDriver.cuModuleGetFunction(new CUfunction(), module, "jmarlin_gather_abi"));
        CUdeviceptr abi = new CUdeviceptr();
        long[] size = new long[1];
        assertEquals(CUDA_ERROR_NOT_FOUND, JCudaDriver.cuModuleGetGlobal(abi, size, module, "gather_16bit"));
        ok(JCudaDriver.cuModuleGetGlobal(abi, size, module, "jmarlin_gather_abi"));
        int[] words = new int[(int) size[0] / 4];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(words), abi, size[0]));
        assertArrayEquals(new int[] {1, 48, 0, 8, 16, 24, 32, 40, 44}, words, "GatherArgs");
        CUdeviceptr again = new CUdeviceptr();
        ok(JCudaDriver.cuModuleGetGlobal(again, size, module, "jmarlin_gather_abi"));
        assertEquals(abi, again);
        ok(JCudaDriver.cuModuleUnload(module));
        assertEquals(CUDA_ERROR_INVALID_HANDLE, JCudaDriver.cuModuleGetFunction(new CUfunction(), module, "gather_16bit"));
        assertEquals(CUDA_ERROR_INVALID_VALUE, JCudaDriver.cuMemcpyDtoH(Pointer.to(words), abi, 4), "unloaded with its module");
    }

    /** Threads, clusters and registers are what the text asks for. */
    @Test
    void functionsAreWhatTheirTextSays() {
        StandIn.set("capability", 90);
        StandIn.set("shared", 227 * 1024);
        CUfunction striped = function("striped_m8_n64.compute_90a.ptx", "striped_f16_sym_g64_m8_n64");
        assertEquals(256, attribute(striped, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
        assertEquals(255, attribute(striped, CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS));
        CUfunction pairs = function("hopper_m64_n128_p2_s2.compute_90a.ptx", "hopper_f16_sym_g64_m64_n128_p2_s2");
        assertEquals(384, attribute(pairs, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
        assertEquals(168, attribute(pairs, CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS));
        assertEquals(CUDA_ERROR_INVALID_VALUE, launch(pairs, 6, 384, 0, null), "half a cluster");
        StandIn.set("registers", 40);
        assertEquals(40, attribute(pairs, CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS));
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
    void kernelsRun() {
        CUdeviceptr memory = allocate(64);
        byte[] columns = {1, 0, 2, 0, 3, 0, 4, 0};
        ok(JCudaDriver.cuMemcpyHtoD(memory, Pointer.to(columns), 8));
        ok(JCudaDriver.cuMemcpyHtoD(memory.withByteOffset(16), Pointer.to(new int[] {2, 0, 3, 1}), 16));
        ok(launch(function(), 1, 256, gather(address(memory), address(memory) + 16, address(memory) + 32)));
        byte[] gathered = new byte[8];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(gathered), memory.withByteOffset(32), 8));
        assertArrayEquals(new byte[] {3, 0, 1, 0, 4, 0, 2, 0}, gathered);
        assertEquals(1, StandIn.count("kernels"));
        assertEquals("", StandIn.errors());
    }

    @Test
    void kernelErrorsComeBackFromTheNextCall() {
        ok(launch(function(), 1, 256, gather(16, 16, 16)));
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
    void whatItDoesNotKnowSaysSo() {
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

    private static long address(CUdeviceptr memory) {
        long[] address = new long[1];
        ok(JCudaDriver.cuPointerGetAttribute(Pointer.to(address), CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_POINTER, memory));
        return address[0];
    }

    private static CUstream stream() {
        CUstream stream = new CUstream();
        ok(JCudaDriver.cuStreamCreate(stream, 0));
        return stream;
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    /** An image of the jar, as a driver takes it. */
    private static byte[] image(String name) {
        try (InputStream in = KernelImages.class.getResourceAsStream("/io/github/jmarlin/cuda/images/" + name)) {
            byte[] bytes = in.readAllBytes();
            return Arrays.copyOf(bytes, bytes.length + 1);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static int load(byte[] image) {
        return JCudaDriver.cuModuleLoadData(new CUmodule(), image);
    }

    private static CUmodule module(String image) {
        CUmodule module = new CUmodule();
        ok(JCudaDriver.cuModuleLoadData(module, image(image)));
        return module;
    }

    private static CUfunction function(String image, String name) {
        CUfunction function = new CUfunction();
        ok(JCudaDriver.cuModuleGetFunction(function, module(image), name));
        return function;
    }

    private static CUfunction function() {
        return function("gather.compute_80.ptx", "gather_16bit");
    }

    private static int attribute(CUfunction function, int attribute) {
        int[] value = new int[1];
        ok(JCudaDriver.cuFuncGetAttribute(value, attribute, function));
        return value[0];
    }

    private static int launch(CUfunction function, int grid, int threads, int shared, CUstream stream) {
        return JCudaDriver.cuLaunchKernel(function, grid, 1, 1, threads, 1, 1, shared, stream,
                Pointer.to(Pointer.to(new byte[512])), null);
    }

    private static int launch(CUfunction function, int grid, int threads, byte[] arguments) {
        return JCudaDriver.cuLaunchKernel(function, grid, 1, 1, threads, 1, 1, 0, null, Pointer.to(Pointer.to(arguments)), null);
    }

    /** GatherArgs of one row of four columns. */
    private static byte[] gather(long a, long order, long gathered) {
        return ByteBuffer.allocate(48).order(ByteOrder.LITTLE_ENDIAN).putLong(a).putLong(order).putLong(gathered).putLong(4).putLong(4)
                .putInt(1).putInt(4).array();
    }

    private static int[] ints(CUdeviceptr memory) {
        int[] values = new int[16 / Sizeof.INT];
        ok(JCudaDriver.cuMemcpyDtoH(Pointer.to(values), memory, 16));
        return values;
    }
}
