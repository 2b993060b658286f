package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.ThreadMXBean;
import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DataType;
import io.github.jmarlin.DeviceOutOfMemoryException;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.StripedPlan;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What only the stand-in driver can show: every call counted, every call failing once. */
@Tag("gpu-on-stand-in")
class CudaStandInTest extends GpuTest {
    private static final int UNKNOWN = 999;
    private static final int OUT_OF_MEMORY = 2;

    /** Every driver function of this library, and for those that acquire something the one that gives it back. */
    private static final Map<String, String> FUNCTIONS = new TreeMap<>();

    static {
        for (String pair : List.of("cuDevicePrimaryCtxRetain cuDevicePrimaryCtxRelease", "cuCtxPushCurrent cuCtxPopCurrent",
                "cuModuleLoadDataEx cuModuleUnload", "cuMemAlloc cuMemFree", "cuMemHostAlloc cuMemFreeHost",
                "cuStreamCreate cuStreamDestroy")) {
            FUNCTIONS.put(pair.split(" ")[0], pair.split(" ")[1]);
            FUNCTIONS.put(pair.split(" ")[1], "");
        }
        for (String function : List.of("cuDeviceGet", "cuCtxGetCurrent", "cuCtxGetDevice", "cuModuleGetGlobal",
                "cuModuleGetFunction", "cuFuncSetAttribute", "cuMemcpyHtoD", "cuMemcpyDtoH", "cuMemsetD8Async",
                "cuStreamSynchronize", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuLaunchKernel", "cuMemGetInfo",
                "cuCtxSynchronize")) {
            FUNCTIONS.put(function, "");
        }
    }

    @BeforeEach
    void needsTheStandIn() {
        StandIn.assumeLoaded();
        StandIn.reset();
    }

    @AfterEach
    void reset() {
        if (StandIn.isLoaded()) {
            StandIn.reset();
        }
    }

    /** The life of a layer touches every function; each of their calls fails once. */
    @Test
    void whicheverCallFailsNothingLeaksAndTheNextLayerWorks() {
        try (PackedWeights packed = pack()) {
            live(packed);
            Map<String, Long> calls = counts();
            assertTrue(calls.values().stream().filter(count -> count > 0).count() >= 18, calls.toString());
            for (String function : calls.keySet()) {
                for (int after = 0; after < calls.get(function); after++) {
                    StandIn.reset();
                    StandIn.inject(function, UNKNOWN, after, 1);
                    Throwable thrown = live(packed);
                    String what = function + " failing after " + after + " calls, met by " + thrown;
                    assertFailure(function, thrown, what);
                    assertBalanced(function, what);
                    assertEquals(null, live(packed), "the next layer after " + what);
                }
            }
        }
    }

    @Test
    void applicationsMayLetJCudaThrow() {
        try (PackedWeights packed = pack()) {
            JCudaDriver.setExceptionsEnabled(true);
            try {
                assertEquals(null, live(packed));
                for (String function : List.of("cuMemAlloc", "cuLaunchKernel", "cuModuleLoadDataEx", "cuMemFree")) {
                    StandIn.reset();
                    StandIn.inject(function, UNKNOWN, 0, 1);
                    Throwable thrown = live(packed);
                    assertFailure(function, thrown, function + " throwing " + thrown);
                }
            } finally {
                JCudaDriver.setExceptionsEnabled(false);
            }
        }
    }

    private static PackedWeights pack() {
        try (QuantizedMatrix matrix = io.github.jmarlin.testing.TestMatrices.layer(128, 70, 64, DataType.FP16, true, true, 3)) {
            return PackedWeights.pack(matrix, DataType.FP16);
        }
    }

    /**
     * Places, multiplies, multiplies more rows, closes: in a thread, whose context stack a failed pop cannot spoil for others.
     */
    private Throwable live(PackedWeights packed) {
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread thread = new Thread(() -> {
            try (CudaLinear layer = engine.device().place(packed)) {
                layer.multiply(new float[128], 1);
                layer.multiply(new float[9 * 128], 9);
            } catch (Throwable e) {
                thrown.set(e);
            }
        });
        thread.start();
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
        return thrown.get();
    }

    private static void assertFailure(String function, Throwable thrown, String what) {
        CudaCallException failure = assertInstanceOf(CudaCallException.class, thrown, what);
        assertEquals(function, failure.call(), what);
        assertEquals(UNKNOWN, failure.code(), what);
        assertEquals("CUDA_ERROR_UNKNOWN", failure.codeName(), what);
    }

    /**
     * Whatever was acquired was given back, or at least tried to. One thing may be lost if the driver does not let us into the
     * context to give it back.
     */
    private static void assertBalanced(String failed, String what) {
        long lost = 0;
        for (Map.Entry<String, String> pair : FUNCTIONS.entrySet()) {
            if (!pair.getValue().isEmpty()) {
                long acquired = StandIn.count(pair.getKey()) - (pair.getKey().equals(failed) ? 1 : 0)
                        - (pair.getKey().equals("cuModuleLoadDataEx") ? StandIn.count("refused") : 0);
                long released = StandIn.count(pair.getValue());
                assertTrue(released <= acquired, () -> pair + ": given back too often: " + what + " " + counts());
                lost += acquired - released;
            }
        }
        assertTrue(lost <= (failed.equals("cuCtxPushCurrent") ? 1 : 0), () -> "lost: " + what + " " + counts());
    }

    private static Map<String, Long> counts() {
        Map<String, Long> counts = new TreeMap<>();
        FUNCTIONS.keySet().forEach(function -> counts.put(function, StandIn.count(function)));
        return counts;
    }

    @Test
    void outOfMemorySaysHowMuchWasAskedAndFree() {
        QuantizedMatrix matrix = matrix(1024, 1024, 128, DataType.FP16, false);
        try (PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
                DeviceBuffer taken = engine.allocate(100_000, "something else")) {
            StandIn.set("memory", 300_000);
            DeviceOutOfMemoryException thrown = assertThrows(DeviceOutOfMemoryException.class, () -> engine.upload(packed));
            assertEquals(1024 * 1024 / 2, thrown.askedBytes());
            assertTrue(thrown.freeBytes() > 0 && thrown.freeBytes() <= 300_000 - taken.size(), thrown.getMessage());
            assertMentions(thrown, "524288 bytes", "weight codes", thrown.freeBytes() + " bytes free");
            StandIn.reset();
            for (int region = 0; region < 4; region++) {
                StandIn.inject("cuMemAlloc", OUT_OF_MEMORY, region, 1);
                assertThrows(DeviceOutOfMemoryException.class, () -> engine.upload(packed), "region " + region);
            }
            assertEquals(StandIn.count("cuMemAlloc") - 4, StandIn.count("cuMemFree"));
            CudaGemm gemm = upload(matrix, DataType.FP16).gemm(PlanOptions.DEFAULT.withGrid(7));
            StandIn.inject("cuMemAlloc", OUT_OF_MEMORY, 1, 1);
            assertThrows(DeviceOutOfMemoryException.class, () -> engine.newWorkspace(stream, gemm.workspaceFor(9)));
            assertEquals(1, StandIn.count("cuMemFreeHost"), "the arguments' memory of the workspace");
        }
    }

    @Test
    void aLaunchIsOneDriverCallAndNoGarbage() {
        CudaGemm gemm = upload(matrix(256, 192, 128, DataType.FP16, false), DataType.FP16).gemm();
        CudaGemm next = upload(matrix(192, 64, 64, DataType.FP16, false), DataType.FP16).gemm();
        Workspace workspace = workspace(gemm, 40);
        next.workspaceFor(40);
        try (DeviceOperands operands = new DeviceOperands(gemm.weights(), activations(40, 256, DataType.FP16), 40, 256, 192)) {
            StandIn.set("fast", 1);
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            long self = Thread.currentThread().getId();
            long allocated = Long.MAX_VALUE;    // in the round that the JVM itself disturbed least
            for (int round = 0; round < 4; round++) {
                StandIn.reset();
                StandIn.set("fast", 1);
                long before = threads.getThreadAllocatedBytes(self);
                for (int i = 0; i < 1000; i++) {
                    gemm.launch(operands.a(), 256, operands.c(), 192, 1 + i % 40, workspace, next);
                }
                allocated = Math.min(allocated, threads.getThreadAllocatedBytes(self) - before);
                for (Map.Entry<String, Long> entry : counts().entrySet()) {
                    assertEquals(entry.getKey().equals("cuLaunchKernel") ? 1000 : 0, entry.getValue(), entry.getKey());
                }
            }
            assertTrue(allocated < 1000, allocated + " bytes in 1000 launches");
        }
    }

    /** The geometry arrives in the kernel: every block of the next launch finds its first k-blocks fetched, no byte more. */
    @Test
    void whatTheNextProductReadsFirstIsFetched() {
        CudaGemm gemm = upload(matrix(256, 192, 128, DataType.FP16, false), DataType.FP16).gemm();
        CudaGemm next = upload(matrix(1280, 512, 64, DataType.FP16, false), DataType.FP16).gemm(PlanOptions.DEFAULT.withGrid(7));
        Workspace workspace = workspace(gemm, 64);
        try (DeviceOperands operands = new DeviceOperands(gemm.weights(), activations(64, 256, DataType.FP16), 64, 256, 192)) {
            for (int m : new int[] {1, 64}) {
                StripedPlan plan = (StripedPlan) next.plan(m);
                Prefetch prefetch = Prefetch.of(next.weights().codes(), plan, engine.facts().l2Bytes());
                long expected = 0;
                for (int block = 0; block < plan.grid(); block++) {
                    int units = Math.min(prefetch.units(),
                            plan.stripes().totalUnits() - block * plan.stripes().unitsPerBlock());
                    expected += (long) prefetch.blockBytes() * units * plan.tile().warpsN();
                }
                StandIn.reset();
                gemm.launch(operands.a(), 256, operands.c(), 192, m, workspace, next);
                synchronize(stream);
                assertEquals(expected, StandIn.count("prefetched"), () -> prefetch + " for " + plan);
                gemm.launch(operands.a(), 256, operands.c(), 192, m, workspace);
                synchronize(stream);
                assertEquals(0, StandIn.count("prefetched"), "nothing runs next");
            }
        }
    }

    @Test
    void batchInvariantLaunchesAreChunksOf32() {
        CudaGemm gemm = upload(matrix(64, 64, 64, DataType.FP16, false), DataType.FP16)
                .gemm(PlanOptions.DEFAULT.withBatchInvariance());
        Workspace workspace = workspace(gemm, 70);
        StandIn.reset();
        float[] result = multiply(gemm, activations(70, 64, DataType.FP16), 70, workspace);
        assertEquals(3, StandIn.count("cuLaunchKernel"));
        assertEquals(70 * 64, result.length);
    }

    @Test
    void aKernelThatFailsIsReportedByTheLayer() {
        try (PackedWeights packed = pack(); CudaLinear layer = engine.device().place(packed)) {
            StandIn.inject("cuStreamSynchronize", 700, 1, 1);
            CudaCallException thrown = assertThrows(CudaCallException.class, () -> layer.multiply(new float[128], 1));
            assertMentions(thrown, "cuStreamSynchronize", "700", "CUDA_ERROR_ILLEGAL_ADDRESS");
            assertEquals(70, layer.multiply(new float[128], 1).length);
        }
    }

    @Test
    void severalDevicesComputeAtOnceAndDoNotMix() throws Exception {
        assumeTrue(CudaDriver.devices().size() >= 2, "one device");
        QuantizedMatrix matrix = matrix(128, 70, 64, DataType.FP16, true);
        float[] a = activations(5, 128, DataType.FP16);
        try (PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
                CudaLinear first = CudaDriver.devices().get(0).place(packed);
                CudaLinear second = CudaDriver.devices().get(1).place(packed);
                CudaEngine other = CudaEngine.ofPrimaryContext(CudaDriver.devices().get(1))) {
            AtomicReference<float[]> ofSecond = new AtomicReference<>();
            Thread thread = new Thread(() -> ofSecond.set(second.multiply(a, 5)));
            thread.start();
            assertProduct(matrix, DataType.FP16, a, 5, first.multiply(a, 5), "device 0");
            thread.join();
            assertProduct(matrix, DataType.FP16, a, 5, ofSecond.get(), "device 1");
            CudaGemm gemm = upload(matrix, DataType.FP16).gemm();
            try (Workspace elsewhere = other.newWorkspace(null, gemm.workspaceFor(5))) {
                assertMentions(assertThrows(IllegalArgumentException.class, () -> gemm.launch(256, 128, 256, 70, 5, elsewhere)),
                        "workspace of another engine", "CUDA device 0", "CUDA device 1");
            }
        }
    }

    /** One of the exceptions of this library, whatever goes wrong in the driver. */
    @Test
    void theEngineItselfFailsCleanly() {
        for (String function : List.of("cuCtxGetCurrent", "cuCtxGetDevice", "cuCtxPushCurrent", "cuModuleLoadDataEx",
                "cuModuleGetGlobal", "cuMemcpyDtoH")) {
            StandIn.reset();
            StandIn.inject(function, UNKNOWN, 0, 1);
            assertThrows(JMarlinException.class, CudaEngine::ofCurrentContext, function);
            assertEquals(StandIn.count("cuModuleLoadDataEx") - StandIn.count("refused") - (function.equals("cuModuleLoadDataEx") ? 1 : 0),
                    StandIn.count("cuModuleUnload"), function);
        }
    }
}
