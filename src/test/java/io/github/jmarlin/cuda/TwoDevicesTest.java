package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuCtxCreate;
import static jcuda.driver.JCudaDriver.cuCtxDestroy;
import static jcuda.driver.JCudaDriver.cuCtxPopCurrent;
import static jcuda.driver.JCudaDriver.cuCtxPushCurrent;
import static jcuda.driver.JCudaDriver.cuCtxSynchronize;
import static jcuda.driver.JCudaDriver.cuMemGetInfo;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import jcuda.driver.CUcontext;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Two devices side by side, each in a context and on a stream of the application's: no launch meets another device's memory (the
 * stand-in driver would say so), nothing of one device's is left over, and an error of one is not the other's.
 */
@Tag("gpu-on-stand-in")
class TwoDevicesTest {
    private static final DataType TYPE = DataType.FP16;
    private static final int K = 256;
    private static final int[] N = {192, 130};
    private static final int ROWS = 9;
    private static final int ROUNDS = 6;

    /** What acquires, and what gives back. */
    private static final Map<String, String> RELEASES = Map.of("cuMemAlloc", "cuMemFree", "cuMemHostAlloc", "cuMemFreeHost",
            "cuStreamCreate", "cuStreamDestroy", "cuModuleLoadDataEx", "cuModuleUnload", "cuCtxPushCurrent", "cuCtxPopCurrent");

    private final List<Side> sides = new ArrayList<>();
    private final long[] free = new long[2];
    /** What was acquired and not given back when the counts were last set to 0. */
    private Map<String, Long> heldBefore = new TreeMap<>();

    /** One device as an application holds it: two layers, a workspace, operands. */
    private static final class Side implements AutoCloseable {
        private final CUcontext context = new CUcontext();
        private final CUstream stream = new CUstream();
        private final List<float[]> inputs = new ArrayList<>();
        private CudaEngine engine;
        private final List<CudaGemm> gemms = new ArrayList<>();
        private final List<DeviceOperands> operands = new ArrayList<>();
        private Workspace workspace;

        Side(CudaDevice device) {
            Cuda.call("cuCtxCreate", () -> cuCtxCreate(context, 0, CudaDriver.device(device.ordinal())));
            Cuda.call("cuCtxPopCurrent", () -> cuCtxPopCurrent(new CUcontext()));
        }

        /** What an application does around its launches. */
        void inContext(Runnable work) {
            Cuda.call("cuCtxPushCurrent", () -> cuCtxPushCurrent(context));
            try {
                work.run();
            } finally {
                Cuda.call("cuCtxPopCurrent", () -> cuCtxPopCurrent(new CUcontext()));
            }
        }

        long freeMemory() {
            long[] bytes = new long[1];
            inContext(() -> Cuda.call("cuMemGetInfo", () -> cuMemGetInfo(bytes, new long[1])));
            return bytes[0];
        }

        void open(int seed) {
            inContext(() -> {
                Cuda.call("cuStreamCreate", () -> cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
                engine = CudaEngine.ofCurrentContext();
            });
            for (int n : N) {
                try (QuantizedMatrix matrix = TestMatrices.layer(K, n, 64, TYPE, true, true, seed + n);
                        PackedWeights packed = PackedWeights.pack(matrix, TYPE)) {
                    gemms.add(engine.upload(packed).gemm());
                }
                inputs.add(GpuTest.activations(ROWS, K, TYPE));
                operands.add(new DeviceOperands(gemms.get(gemms.size() - 1).weights(), inputs.get(inputs.size() - 1), ROWS, K, n));
            }
            workspace = engine.newWorkspace(stream, gemms.get(0).workspaceFor(ROWS).max(gemms.get(1).workspaceFor(ROWS)));
        }

        void launch(int layer) {
            DeviceOperands on = operands.get(layer);
            gemms.get(layer).launch(on.a(), K, on.c(), N[layer], ROWS, workspace, gemms.get(1 - layer));
        }

        /** What a layer left, after which there is nothing but poison. */
        float[] take(int layer) {
            inContext(() -> GpuTest.synchronize(stream));
            float[] result = operands.get(layer).result();
            operands.get(layer).poisonOutputs();
            return result;
        }

        @Override
        public void close() {
            operands.forEach(DeviceOperands::close);
            workspace.close();
            gemms.forEach(gemm -> gemm.weights().close());
            engine.close();
            inContext(() -> Cuda.call("cuStreamDestroy", () -> cuStreamDestroy(stream)));
        }
    }

    @BeforeEach
    void openBoth() {
        StandIn.assumeLoaded();
        StandIn.reset();
        assumeTrue(CudaDriver.devices().size() >= 2, "one device");
        for (int i = 0; i < 2; i++) {
            Side side = new Side(CudaDriver.devices().get(i));
            sides.add(side);
            free[i] = side.freeMemory();
            side.open(100 * i);
        }
    }

    /** All memory, streams, modules and contexts are given back, and each device has what it had. */
    @AfterEach
    void closeBothAndFindNothingLeft() {
        if (sides.isEmpty()) {
            return;         // skipped
        }
        sides.forEach(Side::close);
        for (int i = 0; i < sides.size(); i++) {
            assertEquals(free[i], sides.get(i).freeMemory(), "free bytes of device " + i);
        }
        held().forEach((acquire, count) -> assertEquals(0, count, acquire + ": not given back"));
        sides.forEach(side -> Cuda.call("cuCtxDestroy", () -> cuCtxDestroy(side.context)));
        StandIn.reset();
    }

    /** How much of each kind is held, in calls; contexts are pushed by making them, too. */
    private Map<String, Long> held() {
        Map<String, Long> held = new TreeMap<>();
        RELEASES.forEach((acquire, release) -> held.put(acquire,
                heldBefore.getOrDefault(acquire, 0L) + StandIn.count(acquire) - StandIn.count(release)));
        held.merge("cuModuleLoadDataEx", -StandIn.count("refused"), Long::sum);
        held.merge("cuCtxPushCurrent", StandIn.count("cuCtxCreate"), Long::sum);
        return held;
    }

    /** A context that an error spoilt is as good as new, which only the stand-in driver can do. */
    private void heal() {
        heldBefore = held();
        StandIn.reset();
    }

    /** The bits of every device and layer when nothing else runs. */
    private List<float[]> alone() {
        List<float[]> results = new ArrayList<>();
        for (Side side : sides) {
            for (int layer = 0; layer < 2; layer++) {
                int which = layer;
                side.inContext(() -> side.launch(which));
                results.add(side.take(layer));
            }
        }
        for (int layer = 0; layer < 2; layer++) {
            float[] first = results.get(layer);
            float[] second = results.get(2 + layer);
            assertTrue(first[0] != second[0], "the devices have the same weights: nothing could show that they were mixed up");
        }
        return results;
    }

    private void assertAsAlone(List<float[]> alone, int device, int layer, String what) {
        Errors.assertSameBits(alone.get(2 * device + layer), sides.get(device).take(layer), N[layer],
                what + ": device " + device + ", layer " + layer);
    }

    @Test
    void oneThreadLaunchesOnBothInTurn() {
        List<float[]> alone = alone();
        for (int round = 0; round < ROUNDS; round++) {
            for (int layer = 0; layer < 2; layer++) {
                for (Side side : sides) {
                    int which = layer;
                    side.inContext(() -> side.launch(which));
                }
            }
            for (int device = 0; device < 2; device++) {
                assertAsAlone(alone, device, 0, "in turn");
                assertAsAlone(alone, device, 1, "in turn");
            }
        }
    }

    @Test
    void oneThreadEach() throws Exception {
        List<float[]> alone = alone();
        CyclicBarrier together = new CyclicBarrier(2);
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try {
            List<Future<?>> work = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                int device = i;
                Side side = sides.get(i);
                work.add(threads.submit(() -> {
                    for (int round = 0; round < ROUNDS; round++) {
                        together.await();
                        side.inContext(() -> {
                            side.launch(0);
                            side.launch(1);
                        });
                        assertAsAlone(alone, device, 0, "side by side");
                        assertAsAlone(alone, device, 1, "side by side");
                    }
                    return null;
                }));
            }
            for (Future<?> each : work) {
                each.get();
            }
        } finally {
            threads.shutdown();
        }
    }

    /** The context of the other device is current: refused, with that reason, and neither device takes harm. */
    @Test
    void theOthersContextIsRefused() {
        Side first = sides.get(0);
        CudaCallException thrown = assertThrows(CudaCallException.class, () -> sides.get(1).inContext(() -> first.launch(0)));
        GpuTest.assertMentions(thrown, "cuLaunchKernel", "is not current on this thread", "CUDA device 0");
        oneThreadLaunchesOnBothInTurn();
    }

    /** A workspace, and a next product, of the other device. */
    @Test
    void whatBelongsToTheOtherIsRefused() {
        Side first = sides.get(0);
        Side second = sides.get(1);
        DeviceOperands on = first.operands.get(0);
        GpuTest.assertMentions(assertThrows(IllegalArgumentException.class,
                () -> first.gemms.get(0).launch(on.a(), K, on.c(), N[0], ROWS, second.workspace)), "workspace of another engine");
        GpuTest.assertMentions(assertThrows(IllegalArgumentException.class,
                () -> first.gemms.get(0).launch(on.a(), K, on.c(), N[0], ROWS, first.workspace, second.gemms.get(0))),
                "next product of another engine");
    }

    /** A kernel that reads the other device's memory fails there and nowhere else: the other context goes on. */
    @Test
    void anErrorOfOneIsNotTheOthers() {
        List<float[]> alone = alone();
        Side first = sides.get(0);
        Side second = sides.get(1);
        first.inContext(() -> {
            first.gemms.get(0).launch(second.operands.get(0).a(), K, first.operands.get(0).c(), N[0], ROWS, first.workspace);
            assertThrows(CudaCallException.class, () -> Cuda.call("cuCtxSynchronize", () -> cuCtxSynchronize()));
        });
        second.inContext(() -> {
            assertTrue(StandIn.errors().contains("memory of device 1, the kernel runs on device 0"), StandIn.errors());
            second.launch(0);
            second.launch(1);
        });
        assertAsAlone(alone, 1, 0, "after an error of device 0");
        assertAsAlone(alone, 1, 1, "after an error of device 0");
        heal();
    }
}
