package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.WorkspaceSize;
import io.github.jmarlin.testing.Errors;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A step of several parts, captured and replayed; and what is refused. With Hopper kernels: {@link HopperGemmTest}. */
class DecodeGraphTest extends GpuTest {
    private static final int K = 128;
    private static final int N = 64;
    private static final int MOST = 9;

    private DeviceWeights weights() {
        return upload(matrix(K, N, 64, DataType.FP16, false), DataType.FP16);
    }

    /** q and k of a layer share the gathered activations, two products the weights; own work lies between. */
    @Test
    void replaysProductsGathersAndOwnWork() {
        int[] order = new int[K];
        Arrays.setAll(order, i -> K - 1 - i);
        DeviceWeights ordered;
        try (PackedWeights packed = PackedWeights.pack(matrix(K, K, 64, DataType.FP16, true), DataType.FP16)
                .withInputOrder(IntBuffer.wrap(order))) {
            ordered = closing(engine.upload(packed));
        }
        CudaGemm first = ordered.gatheredGemm(PlanOptions.DEFAULT);
        CudaGemm second = weights().gemm();
        Workspace workspace = closing(engine.newWorkspace(stream, first.workspaceFor(MOST).max(second.workspaceFor(MOST))));
        DeviceBuffer gathered = closing(engine.allocate(2L * MOST * K, "gathered"));
        List<Integer> asked = new ArrayList<>();
        try (DeviceOperands in = new DeviceOperands(ordered, new float[MOST * K], MOST, K, K);
                DeviceOperands out = new DeviceOperands(second.weights(), new float[MOST * K], MOST, K, N);
                DeviceOperands again = new DeviceOperands(second.weights(), new float[MOST * K], MOST, K, N);
                DecodeGraph step = DecodeGraph.of(workspace)
                        .gather(ordered.inputGather(), in.a(), K, gathered.address(), K)
                        .product(first, gathered.address(), K, in.c(), K)
                        .work((rows, onStream) -> asked.add(rows))
                        .product(second, in.c(), K, out.c(), N)
                        .product(second, in.c(), K, again.c(), N)
                        .build()) {
            float[] a = activations(MOST, K, DataType.FP16);
            in.activations(a);
            for (int rows : new int[] {9, 1, 9, 4}) {
                float[] reversed = new float[rows * K];
                for (int i = 0; i < reversed.length; i++) {
                    reversed[i] = a[i / K * K + order[i % K]];
                }
                float[] expected = multiply(second, multiply(first, reversed, rows, workspace), rows, workspace);
                out.poisonOutputs();
                again.poisonOutputs();
                step.launch(rows);
                synchronize(stream);
                Errors.assertSameBits(expected, Arrays.copyOf(out.result(), rows * N), N, rows + " rows");
                Errors.assertSameBits(expected, Arrays.copyOf(again.result(), rows * N), N, rows + " rows, again");
            }
            float[] captured = Arrays.copyOf(out.result(), 4 * N);
            for (int times = 0; times < 2; times++) {
                out.poisonOutputs();
                step.run(4);
                synchronize(stream);
                Errors.assertSameBits(captured, Arrays.copyOf(out.result(), 4 * N), N, "part by part");
            }
            refused(IllegalArgumentException.class, () -> step.run(0), "rows 0");
            refused(IllegalArgumentException.class, () -> step.run(10_000), "too small");
        }
        assertEquals(List.of(9, 1, 4, 4, 4), asked, "captured once for every number of rows");
    }

    @Test
    void holdsWhatItReads() {
        DeviceWeights weights = weights();
        CudaGemm gemm = weights.gemm();
        Workspace workspace = workspace(gemm, 1);
        DecodeGraph.Builder builder = DecodeGraph.of(workspace).product(gemm, 16, K, 16, N).product(gemm, 16, K, 16, N);
        DecodeGraph one = builder.build();
        DecodeGraph other = builder.build();
        one.close();
        one.close();
        refused(IllegalStateException.class, weights::close, "in use by 2 holder(s)");
        refused(IllegalStateException.class, workspace::close, "workspace", "in use by 1 holder(s)");
        other.close();
        weights.close();
        refused(IllegalStateException.class, builder::build, "used after close");
        workspace.close();
        refused(IllegalStateException.class, builder::build, "workspace", "used after close");
    }

    @Test
    void badStepsAreRefused() {
        CudaGemm gemm = weights().gemm();
        Workspace workspace = workspace(gemm, 1);
        refused(IllegalArgumentException.class, () -> DecodeGraph.of(workspace).build(), "without parts");
        assertThrows(NullPointerException.class, () -> DecodeGraph.of(workspace).product(null, 16, K, 16, N));
        assertThrows(NullPointerException.class, () -> DecodeGraph.of(workspace).gather(null, 16, K, 16, K));
        assertThrows(NullPointerException.class, () -> DecodeGraph.of(workspace).work(null));
        Workspace onDefault = closing(engine.newWorkspace(null, WorkspaceSize.NONE));
        refused(IllegalArgumentException.class, () -> DecodeGraph.of(onDefault), "default stream");
        try (CudaEngine other = CudaEngine.ofCurrentContext();
                Workspace elsewhere = other.newWorkspace(stream, WorkspaceSize.NONE)) {
            refused(IllegalArgumentException.class, () -> DecodeGraph.of(elsewhere).product(gemm, 16, K, 16, N), "another engine");
        }
    }

    /** Whatever is wrong with a step, the stream can be used again, and the graph too. */
    @Test
    void aCaptureThatFailsLeavesNothingBehind() {
        CudaGemm gemm = weights().gemm(PlanOptions.DEFAULT.withGrid(3));
        Workspace workspace = workspace(gemm, MOST);
        try (DeviceOperands operands = new DeviceOperands(gemm.weights(), new float[MOST * K], MOST, K, N)) {
            boolean[] well = new boolean[1];
            for (DecodeGraph.Work work : List.<DecodeGraph.Work>of(
                    (rows, onStream) -> {
                        throw new ArithmeticException("work");
                    },
                    (rows, onStream) -> synchronize(onStream),
                    (rows, onStream) -> workspace.reset())) {
                well[0] = false;
                try (DecodeGraph step = DecodeGraph.of(workspace)
                        .product(gemm, operands.a(), K, operands.c(), N)
                        .work((rows, onStream) -> {
                            if (!well[0]) {
                                work.enqueue(rows, onStream);
                            }
                        }).build()) {
                    RuntimeException thrown = assertThrows(RuntimeException.class, () -> step.capture(1));
                    assertTrue(thrown instanceof ArithmeticException || thrown instanceof CudaCallException, thrown.toString());
                    synchronize(stream);
                    well[0] = true;
                    step.launch(1);
                    synchronize(stream);
                }
            }
            try (DecodeGraph misaligned = DecodeGraph.of(workspace).product(gemm, 8, K, 16, N).build()) {
                refused(IllegalArgumentException.class, () -> misaligned.launch(1), "multiple of 16");
                refused(IllegalArgumentException.class, () -> misaligned.capture(0), "rows 0");
                refused(IllegalArgumentException.class, () -> misaligned.launch(-1), "rows -1");
            }
            multiply(gemm, activations(1, K, DataType.FP16), 1, workspace);
        }
    }

    @Test
    void moreRowsThanTheWorkspaceServes() {
        CudaGemm gemm = weights().gemm(PlanOptions.DEFAULT.withGrid(3));
        Workspace none = closing(engine.newWorkspace(stream, WorkspaceSize.NONE));
        boolean[] asked = new boolean[1];
        try (DecodeGraph step = DecodeGraph.of(none)
                .work((rows, onStream) -> asked[0] = true)
                .product(gemm, 16, K, 16, N)
                .build()) {
            refused(IllegalArgumentException.class, () -> step.launch(4), "too small", "4 rows", gemm.workspaceFor(4).toString());
        }
        assertEquals(false, asked[0], "refused before the capture");
    }

    @Test
    void useAfterCloseAndWhileInUse() {
        CudaGemm gemm = weights().gemm();
        Workspace workspace = workspace(gemm, 1);
        DecodeGraph[] step = new DecodeGraph[1];
        step[0] = DecodeGraph.of(workspace).product(gemm, 16, K, 16, N).work((rows, onStream) -> {
            refused(IllegalStateException.class, () -> step[0].launch(rows), "in use");
            refused(IllegalStateException.class, step[0]::close, "closed while in use");
        }).build();
        step[0].capture(1);
        step[0].close();
        refused(IllegalStateException.class, () -> step[0].launch(1), "used after close");
        refused(IllegalStateException.class, () -> step[0].capture(1), "used after close");
    }

    private static void refused(Class<? extends RuntimeException> type, Runnable call, String... parts) {
        assertMentions(assertThrows(type, call::run), parts);
    }
}
