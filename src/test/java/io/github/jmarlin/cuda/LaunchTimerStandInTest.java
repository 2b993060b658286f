package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.plan.DeviceFacts;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What is timed, and the life of a timer each of whose driver calls fails once. No kernel runs. */
@Tag("gpu-on-stand-in")
class LaunchTimerStandInTest {
    private static final int UNKNOWN = 999;
    private static final int UNSUPPORTED = 900;
    private static final int K = 64;
    private static final int N = 128;
    private static final int ROWS = 3;

    /** Called once each: a failure there is no failure of the timing. By the driver's own names; JCuda's are without the ending. */
    private static final Set<String> CAPTURE = Set.of("cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiateWithFlags",
            "cuGraphDestroy");
    private static final List<String> FUNCTIONS = List.of("cuStreamCreate", "cuStreamDestroy", "cuStreamSynchronize",
            "cuEventCreate", "cuEventDestroy", "cuEventRecord", "cuEventSynchronize", "cuEventElapsedTime",
            "cuMemAlloc", "cuMemFree", "cuMemHostAlloc", "cuMemFreeHost", "cuLaunchKernel", "cuGraphLaunch", "cuGraphExecDestroy",
            "cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphDestroy");

    private PackedWeights packed;

    @BeforeEach
    void pack() {
        StandIn.assumeLoaded();
        fastFromTheStart();
        try (QuantizedMatrix matrix = TestMatrices.layer(K, N, 64, DataType.FP16, false, false, 5)) {
            packed = PackedWeights.pack(matrix, DataType.FP16);
        }
    }

    @AfterEach
    void reset() {
        if (packed != null) {
            packed.close();
            StandIn.reset();
            JCudaDriver.setExceptionsEnabled(false);
        }
    }

    /** One capture of all copies, the same number of times each; between the events nothing but its replay. */
    @Test
    void aGraphOfAllCopiesIsReplayed() {
        for (int copies : new int[] {1, 7, 64}) {
            try (LaunchTimer timer = timer(device((copies - 1) * packed.byteSize() / 3 + 1))) {
                long launchesBefore = StandIn.count("cuLaunchKernel");
                long replaysBefore = StandIn.count("cuGraphLaunch");
                long recordsBefore = StandIn.count("cuEventRecord");
                long made = StandIn.count("cuGraphInstantiateWithFlags");
                assertEquals("", timer.time(ROWS).notCaptured());
                assertEquals(copies == 1 ? 20 : copies == 7 ? 21 : 64, StandIn.count("cuLaunchKernel") - launchesBefore);
                assertEquals(1, StandIn.count("cuGraphInstantiateWithFlags") - made);
                long replays = StandIn.count("cuGraphLaunch") - replaysBefore;
                assertTrue(replays >= 4, "replays " + replays);
                assertEquals(2 * replays, StandIn.count("cuEventRecord") - recordsBefore);
            }
        }
    }

    /** cuBLAS, too: its workspace is its own, so a capture allows it. */
    @Test
    void denseWeightsAreCaptured() {
        CudaDevice device = CudaDriver.devices().get(0);
        assumeTrue(device.missing(KernelFamily.DENSE).isEmpty(), () -> device.missing(KernelFamily.DENSE).orElseThrow());
        try (LaunchTimer timer = timer()) {
            assertEquals("", timer.time(ROWS, PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE)).notCaptured());
            assertTrue(StandIn.count("cublasGemmEx") > 0);
        }
    }

    /** What a capture does not allow is timed launch by launch, and the reason is given. */
    @Test
    void withoutACaptureTheReasonIsGiven() {
        try (LaunchTimer timer = timer()) {
            StandIn.inject("cuStreamBeginCapture", UNSUPPORTED, 0, 1);
            long before = StandIn.count("cuLaunchKernel");
            assertEquals("cuStreamBeginCapture returned 900, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", timer.time(ROWS).notCaptured());
            assertEquals(0, StandIn.count("cuGraphLaunch"));
            assertTrue(StandIn.count("cuLaunchKernel") - before >= 4 * 20);
            assertEquals("", timer.time(ROWS).notCaptured());
        }
    }

    /** A launch that fails in a capture and outside: it is the launch's failure. */
    @Test
    void whatFailsWithoutACaptureTooIsAFailure() {
        try (LaunchTimer timer = timer()) {
            StandIn.inject("cuLaunchKernel", UNKNOWN, 0, 2);
            CudaCallException failure = assertThrows(CudaCallException.class, () -> timer.time(ROWS));
            assertEquals("cuLaunchKernel", failure.call());
            assertEquals(1, failure.getSuppressed().length);
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

    private void everyCallFailsOnce() {
        live();
        Map<String, Long> calls = counted();
        assertTrue(calls.values().stream().allMatch(count -> count > 0), calls.toString());
        for (String function : FUNCTIONS) {
            for (int after = 0; after < calls.get(function); after++) {
                fails(function, after);
            }
        }
    }

    private void fails(String function, int after) {
        String what = function + " failing after " + after + " calls";
        long graphs = StandIn.count("graphs");
        fastFromTheStart();
        StandIn.inject(function, UNKNOWN, after, 1);
        String call = function.replace("WithFlags", "");
        try {
            String reason = live();
            assertTrue(CAPTURE.contains(function) || function.equals("cuLaunchKernel") && after > 0, what + ": unnoticed, " + reason);
            assertTrue(reason.startsWith(call + " returned 999, "), what + ": " + reason);
        } catch (CudaCallException e) {
            assertTrue(!CAPTURE.contains(function), what + ": " + e);
            assertEquals(call, e.call(), what);
            assertEquals(UNKNOWN, e.code(), what);
        }
        // A graph that could not be destroyed is lost; an executable one ends with the context, unless a test before still holds that.
        long lost = StandIn.count("graphs") - graphs;
        assertEquals(function.equals("cuGraphDestroy") || function.equals("cuGraphExecDestroy") && lost == 1 ? 1 : 0, lost, what);
        for (String[] pair : new String[][] {{"cuStreamCreate", "cuStreamDestroy"}, {"cuEventCreate", "cuEventDestroy"},
                {"cuMemAlloc", "cuMemFree"}, {"cuMemHostAlloc", "cuMemFreeHost"},
                {"cuGraphInstantiateWithFlags", "cuGraphExecDestroy"}}) {
            assertEquals(StandIn.count(pair[0]) - (function.equals(pair[0]) ? 1 : 0), StandIn.count(pair[1]), what + ": " + pair[1]);
        }
        fastFromTheStart();
        assertEquals("", live(), "the next one after " + what);
    }

    /** Makes a timer, multiplies, times, closes. Returns the reason that it gives. */
    private String live() {
        try (LaunchTimer timer = timer()) {
            timer.product(ROWS, PlanOptions.DEFAULT);
            return timer.time(ROWS).notCaptured();
        }
    }

    private LaunchTimer timer() {
        return timer(device(packed.byteSize()));
    }

    private LaunchTimer timer(CudaDevice device) {
        return new LaunchTimer(device, packed, ByteBuffer.allocateDirect(2 * ROWS * K), ROWS);
    }

    /** As many copies as its L2 cache asks for. */
    private static CudaDevice device(long l2Bytes) {
        CudaDevice real = CudaDriver.devices().get(0);
        DeviceFacts facts = real.facts();
        return new CudaDevice(real.ordinal(), new DeviceFacts(facts.name(), facts.computeMajor(), facts.computeMinor(),
                facts.multiprocessors(), facts.sharedMemoryPerBlockOptin(), l2Bytes, facts.totalMemory(), facts.clockKhz(),
                facts.memoryBytesPerSecond()));
    }

    private static Map<String, Long> counted() {
        Map<String, Long> calls = new TreeMap<>();
        FUNCTIONS.forEach(function -> calls.put(function, StandIn.count(function)));
        return calls;
    }

    /** Kernels do not run and hardly any time passes, so that every measurement takes equally many samples. */
    private static void fastFromTheStart() {
        StandIn.reset();
        StandIn.set("fast", 1);
        StandIn.set("clock", 1);
    }
}
