package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuStreamIsCapturing;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.plan.PlanOptions;
import java.nio.IntBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The life of a decode graph, each of whose driver calls fails once. */
@Tag("gpu-on-stand-in")
class DecodeGraphStandInTest extends GpuTest {
    private static final int UNKNOWN = 999;
    private static final int K = 64;
    private static final int ROWS = 9;
    private static final long MATRIX = 2 * ROWS * K;

    /** By the driver's own names; JCuda's are without the ending. */
    private static final List<String> FUNCTIONS = List.of("cuStreamBeginCapture", "cuStreamEndCapture",
            "cuGraphInstantiateWithFlags", "cuGraphDestroy", "cuGraphLaunch", "cuGraphExecDestroy", "cuLaunchKernel",
            "cuCtxPushCurrent", "cuCtxPopCurrent");

    @BeforeEach
    void needsTheStandIn() {
        StandIn.assumeLoaded();
        StandIn.reset();
    }

    @AfterEach
    void reset() {
        if (StandIn.isLoaded()) {
            StandIn.reset();
            JCudaDriver.setExceptionsEnabled(false);
        }
    }

    @Test
    void whicheverCallFailsNothingIsLeft() {
        everyCallFailsOnce();
    }

    @Test
    void applicationsMayLetJCudaThrow() {
        JCudaDriver.setExceptionsEnabled(true);
        everyCallFailsOnce();
    }

    /** Every product fetches for the one after it, the last one for the first. */
    @Test
    void theLastProductFetchesForTheFirst() {
        CudaGemm large = upload(matrix(K, 512, 64, DataType.FP16, false), DataType.FP16).gemm();
        CudaGemm small = upload(matrix(K, 128, 64, DataType.FP16, false), DataType.FP16).gemm();
        Workspace workspace = closing(engine.newWorkspace(stream, large.workspaceFor(1).max(small.workspaceFor(1))));
        try (DeviceBuffer in = engine.allocate(2 * K, "input"); DeviceBuffer out = engine.allocate(2 * 512, "outputs");
                DecodeGraph step = DecodeGraph.of(workspace)
                        .product(large, in.address(), K, out.address(), 512)
                        .product(small, in.address(), K, out.address(), 128).build()) {
            step.launch(1);
            synchronize(stream);
            assertEquals(2048 * 512 / 64, StandIn.count("prefetched"), "all of the first one's codes: one k-block of each strip");
        }
    }

    private void everyCallFailsOnce() {
        int[] order = new int[K];
        Arrays.setAll(order, i -> K - 1 - i);
        try (PackedWeights packed = PackedWeights.pack(matrix(K, K, 64, DataType.FP16, false), DataType.FP16)
                .withInputOrder(IntBuffer.wrap(order));
                DeviceWeights weights = engine.upload(packed);
                DeviceBuffer memory = engine.allocate(3 * MATRIX, "operands");
                Workspace workspace = engine.newWorkspace(stream, weights.gatheredGemm(PlanOptions.DEFAULT).workspaceFor(ROWS))) {
            long a = memory.address();
            DecodeGraph.Builder step = DecodeGraph.of(workspace)
                    .gather(weights.inputGather(), a, K, a + MATRIX, K)
                    .product(weights.gatheredGemm(PlanOptions.DEFAULT), a + MATRIX, K, a + 2 * MATRIX, K);
            assertEquals(null, live(step));
            StandIn.reset();
            assertEquals(null, live(step));
            Map<String, Long> calls = new TreeMap<>();
            FUNCTIONS.forEach(function -> calls.put(function, StandIn.count(function)));
            assertTrue(calls.values().stream().allMatch(count -> count > 0), calls.toString());
            for (String function : FUNCTIONS) {
                for (int after = 0; after < calls.get(function); after++) {
                    fails(step, function, after);
                }
            }
        }       // closes: no graph holds the weights or the workspace any more
    }

    private void fails(DecodeGraph.Builder step, String function, int after) {
        long before = StandIn.count("graphs");
        StandIn.inject(function, UNKNOWN, after, 1);
        Throwable thrown = live(step);
        StandIn.reset();
        String what = function + " failing after " + after + " calls, met by " + thrown;
        assertTrue(thrown instanceof CudaCallException, what);
        assertEquals(function.replace("WithFlags", ""), ((CudaCallException) thrown).call(), what);
        assertEquals(UNKNOWN, ((CudaCallException) thrown).code(), what);
        // What could not be destroyed is lost, and both graphs if the driver does not let us into the context.
        long lost = function.endsWith("Destroy") ? 1 : function.equals("cuCtxPushCurrent") ? 2 : 0;
        assertEquals(lost, StandIn.count("graphs") - before, what);
        int[] capturing = new int[1];
        Cuda.call("cuStreamIsCapturing", () -> cuStreamIsCapturing(stream, capturing));
        assertEquals(0, capturing[0], what);
        assertEquals(null, live(step), "the next one after " + what);
    }

    /** Captures for one row, replays that and captures for more, closes. Returns what is thrown. */
    private static Throwable live(DecodeGraph.Builder builder) {
        try (DecodeGraph step = builder.build()) {
            step.capture(1);
            step.launch(1);
            step.launch(ROWS);
            return null;
        } catch (RuntimeException e) {
            return e;
        }
    }
}
