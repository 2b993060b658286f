package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuCtxPopCurrent;
import static jcuda.driver.JCudaDriver.cuCtxPushCurrent;
import static jcuda.driver.JCudaDriver.cuCtxGetCurrent;
import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.plan.DeviceFacts;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.StripedPlan;
import io.github.jmarlin.plan.TileShape;
import io.github.jmarlin.plan.WorkspaceSize;
import io.github.jmarlin.testing.Errors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import jcuda.driver.CUcontext;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstream;
import jcuda.driver.CUstreamCaptureMode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What an inference engine relies on in the raw call. */
class CudaGemmTest extends GpuTest {

    @ParameterizedTest
    @EnumSource(value = DataType.class, names = {"FP16", "BF16"})
    void stridesAndTails(DataType type) {
        for (int[] kn : new int[][] {{100, 70}, {64, 64}, {225, 129}}) {
            QuantizedMatrix matrix = matrix(kn[0], kn[1], 64, type, true);
            CudaGemm gemm = upload(matrix, type).gemm();
            Workspace workspace = workspace(gemm, 20);
            for (int m : new int[] {1, 9, 20}) {
                float[] a = activations(m, kn[0], type);
                try (DeviceOperands operands = new DeviceOperands(gemm.weights(), a, m, (kn[0] + 7) / 8 * 8 + 16, kn[1] + 5)) {
                    gemm.launch(operands.a(), operands.lda(), operands.c(), operands.ldc(), m, workspace);
                    synchronize(stream);
                    assertProduct(matrix, type, a, m, operands.result(), matrix + ", m " + m);
                }
            }
        }
    }

    @Test
    void everyTileAndGridAsAsked() {
        assertTilesAsAsked(TileShape.INSTANCES);
    }

    /** Of a device whose shared memory holds two whole stages of them. */
    @Test
    void tilesInHalves() {
        StandIn.assumeLoaded();
        DeviceFacts all = engine.facts();
        DeviceFacts small = new DeviceFacts(all.name(), 8, 6, all.multiprocessors(), 99 * 1024, all.l2Bytes(), all.totalMemory(),
                all.clockKhz(), all.memoryBytesPerSecond());
        CUcontext current = new CUcontext();
        Cuda.call("cuCtxGetCurrent", () -> cuCtxGetCurrent(current));
        engine = closing(new CudaEngine(new CudaDevice(0, small), current, null));
        assertTilesAsAsked(TileShape.IN_HALVES);
    }

    private void assertTilesAsAsked(List<TileShape> tiles) {
        QuantizedMatrix matrix = matrix(320, 300, 32, DataType.FP16, false);
        DeviceWeights weights = upload(matrix, DataType.FP16);
        int m = 40;
        float[] a = activations(m, 320, DataType.FP16);
        for (TileShape tile : tiles) {
            for (int grid : new int[] {1, 3, 8, 50}) {
                CudaGemm gemm = weights.gemm(PlanOptions.DEFAULT.withTile(tile).withGrid(grid).withStages(2));
                StripedPlan plan = (StripedPlan) gemm.plan(m);
                assertEquals(tile, plan.tile());
                try (Workspace workspace = engine.newWorkspace(stream, gemm.workspaceFor(m))) {
                    assertProduct(matrix, DataType.FP16, a, m, multiply(gemm, a, m, workspace), plan.toString());
                }
            }
        }
    }

    @Test
    void batchInvariantRowsHaveTheSameBitsWhateverSurroundsThem() {
        QuantizedMatrix matrix = matrix(448, 200, 64, DataType.BF16, true);
        CudaGemm gemm = upload(matrix, DataType.BF16).gemm(PlanOptions.DEFAULT.withBatchInvariance());
        Workspace workspace = workspace(gemm, 70);
        float[] a = activations(70, 448, DataType.BF16);
        float[] all = multiply(gemm, a, 70, workspace);
        assertProduct(matrix, DataType.BF16, a, 70, all, "70 rows in three launches");
        for (int m : new int[] {1, 8, 9, 16, 17, 31, 32, 33, 65}) {
            // The last row of the m, at another place than in the whole batch, among other rows.
            int first = 70 - m;
            float[] some = multiply(gemm, Arrays.copyOfRange(a, first * 448, 70 * 448), m, workspace);
            Errors.assertSameBits(Arrays.copyOfRange(all, first * 200, 70 * 200), some, 200, "the last " + m + " rows alone");
        }
    }

    @Test
    void tenLaunchesGiveTheSameBits() {
        QuantizedMatrix matrix = matrix(1024, 130, 128, DataType.FP16, false);
        CudaGemm gemm = upload(matrix, DataType.FP16).gemm(PlanOptions.DEFAULT.withGrid(7));
        Workspace workspace = workspace(gemm, 17);
        float[] a = activations(17, 1024, DataType.FP16);
        assertTrue(((StripedPlan) gemm.plan(17)).stripes().mostArrivals() > 1,
                "several blocks must share a tile: " + gemm.plan(17));
        float[] first = multiply(gemm, a, 17, workspace);
        for (int run = 1; run < 10; run++) {
            Errors.assertSameBits(first, multiply(gemm, a, 17, workspace), 130, "run " + run);
        }
    }

    @Test
    void runsInsideAGraphAgainAndAgain() {
        QuantizedMatrix matrix = matrix(256, 192, 128, DataType.FP16, true);
        CudaGemm gemm = upload(matrix, DataType.FP16).gemm();
        Workspace workspace = workspace(gemm, 17);
        float[] a = activations(17, 256, DataType.FP16);
        float[] expected = multiply(gemm, a, 17, workspace);
        CUgraph graph = new CUgraph();
        CUgraphExec exec = new CUgraphExec();
        try (DeviceOperands operands = new DeviceOperands(gemm.weights(), new float[a.length], 17, 256, 192)) {
            Cuda.call("cuStreamBeginCapture", () -> cuStreamBeginCapture(stream,
                    CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL));
            gemm.launch(operands.a(), 256, operands.c(), 192, 17, workspace, gemm);
            Cuda.call("cuStreamEndCapture", () -> cuStreamEndCapture(stream, graph));
            Cuda.call("cuGraphInstantiate", () -> cuGraphInstantiate(exec, graph, 0));
            // The block of arguments is free for other launches as soon as the capture has seen them.
            multiply(gemm, activations(3, 256, DataType.FP16), 3, workspace);
            for (int run = 0; run < 3; run++) {
                operands.activations(a);
                operands.poisonOutputs();
                Cuda.call("cuGraphLaunch", () -> cuGraphLaunch(exec, stream));
                synchronize(stream);
                Errors.assertSameBits(expected, operands.result(), 192, "graph launch " + run);
            }
        } finally {
            cuGraphExecDestroy(exec);
            cuGraphDestroy(graph);
        }
    }

    @Test
    void oneWorkspaceServesLayersOfAllSizesInTurn() {
        QuantizedMatrix narrow = matrix(512, 64, 128, DataType.FP16, false);
        QuantizedMatrix wide = matrix(128, 600, 32, DataType.FP16, true);
        CudaGemm first = upload(narrow, DataType.FP16).gemm();
        CudaGemm second = upload(wide, DataType.FP16).gemm();
        WorkspaceSize size = first.workspaceFor(40).max(second.workspaceFor(40));
        Workspace workspace = closing(engine.newWorkspace(stream, size));
        for (int m : new int[] {40, 1, 17, 8, 33}) {
            float[] a = activations(m, 512, DataType.FP16);
            assertProduct(narrow, DataType.FP16, a, m, multiply(first, a, m, workspace), "narrow, m " + m);
            float[] b = activations(m, 128, DataType.FP16);
            assertProduct(wide, DataType.FP16, b, m, multiply(second, b, m, workspace), "wide, m " + m);
        }
        workspace.reset();
        float[] a = activations(5, 512, DataType.FP16);
        assertProduct(narrow, DataType.FP16, a, 5, multiply(first, a, 5, workspace), "after reset");
    }

    @Test
    void theNextProductChangesNothing() {
        QuantizedMatrix matrix = matrix(256, 192, -1, DataType.FP16, false);
        CudaGemm gemm = upload(matrix, DataType.FP16).gemm();
        CudaGemm next = upload(matrix(64, 96, 64, DataType.BF16, true), DataType.BF16).gemm();
        Workspace workspace = workspace(gemm, 3);
        float[] a = activations(3, 256, DataType.FP16);
        float[] expected = multiply(gemm, a, 3, workspace);
        try (DeviceOperands operands = new DeviceOperands(gemm.weights(), a, 3, 256, 192)) {
            gemm.launch(Address.device(operands.a()), 256, Address.device(operands.c()), 192, 3, workspace, next);
            synchronize(stream);
            Errors.assertSameBits(expected, operands.result(), 192, "with prefetch");
        }
    }

    @Test
    void threadsWithWorkspacesOfTheirOwnShareWeights() throws Exception {
        QuantizedMatrix matrix = matrix(256, 192, 64, DataType.FP16, false);
        CudaGemm gemm = upload(matrix, DataType.FP16).gemm();
        CUcontext context = new CUcontext();
        Cuda.call("cuCtxGetCurrent", () -> cuCtxGetCurrent(context));
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            List<Future<float[]>> results = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                int m = 1 + 5 * thread;
                CUstream own = newStream();
                Workspace workspace = closing(engine.newWorkspace(own, gemm.workspaceFor(m)));
                results.add(threads.submit(() -> {
                    Cuda.call("cuCtxPushCurrent", () -> cuCtxPushCurrent(context));
                    float[] result = null;
                    for (int run = 0; run < 5; run++) {
                        result = multiply(gemm, activations(m, 256, DataType.FP16), m, workspace);
                    }
                    Cuda.call("cuCtxPopCurrent", () -> cuCtxPopCurrent(new CUcontext()));
                    return result;
                }));
            }
            for (int thread = 0; thread < 4; thread++) {
                int m = 1 + 5 * thread;
                assertProduct(matrix, DataType.FP16, activations(m, 256, DataType.FP16), m, results.get(thread).get(),
                        "thread " + thread);
            }
        } finally {
            threads.shutdown();
        }
    }

    @Test
    void noRowsAreNoWork() {
        CudaGemm gemm = upload(matrix(64, 64, 64, DataType.FP16, false), DataType.FP16).gemm();
        Workspace empty = closing(engine.newWorkspace(stream, WorkspaceSize.NONE));
        gemm.launch(0, 64, 0, 64, 0, empty);
        assertEquals(WorkspaceSize.NONE, gemm.workspaceFor(0));
    }

    @Test
    void theRawCallAndTheLayerAgree() {
        QuantizedMatrix matrix = matrix(100, 70, 32, DataType.FP16, true);
        CudaGemm gemm = upload(matrix, DataType.FP16).gemm();
        float[] a = activations(9, 100, DataType.FP16);
        float[] raw = multiply(gemm, a, 9, workspace(gemm, 9));
        try (var packed = io.github.jmarlin.PackedWeights.pack(matrix, DataType.FP16);
                CudaLinear layer = engine.device().place(packed)) {
            Errors.assertSameBits(raw, layer.multiply(a, 9), 70, "layer");
            assertEquals(gemm.plan(9).toString(), layer.plan(9).toString());
        }
    }
}
