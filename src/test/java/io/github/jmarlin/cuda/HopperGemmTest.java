package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.plan.HopperPlan;
import io.github.jmarlin.plan.HopperTile;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.WorkspaceSize;
import io.github.jmarlin.testing.Errors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The Hopper kernel through the raw call, and decode graphs of it. */
@Tag("hopper")
class HopperGemmTest extends GpuTest {
    private static final PlanOptions HOPPER = PlanOptions.DEFAULT.withFamily(KernelFamily.HOPPER);

    @BeforeEach
    void needsHopper() {
        assumeTrue(engine.facts().computeCapability() == 90, () -> "the Hopper kernel needs compute capability 9.0: " + engine.device());
    }

    @Test
    void everyTileAsAsked() {
        QuantizedMatrix matrix = matrix(200, 300, 64, DataType.FP16, true);
        DeviceWeights weights = upload(matrix, DataType.FP16);
        int m = 20;
        float[] a = activations(m, 200, DataType.FP16);
        for (HopperTile tile : HopperTile.INSTANCES) {
            for (int clusters : new int[] {1, 3}) {     // one works off everything; three share tiles, where there are stripes
                CudaGemm gemm = weights.gemm(PlanOptions.DEFAULT.withHopperTile(tile).withGrid(clusters * tile.cluster()));
                HopperPlan plan = (HopperPlan) gemm.plan(m);
                assertEquals(tile, plan.tile());
                assertTrue(plan.clusters() <= clusters && (!tile.striped() || clusters == 1 || plan.clusters() > 1), plan.toString());
                assertEquals(plan.workspace(), gemm.workspaceFor(m));
                assertTrue(tile.striped() || plan.workspace().equals(WorkspaceSize.NONE), plan.toString());
                try (Workspace workspace = engine.newWorkspace(stream, plan.workspace())) {
                    assertProduct(matrix, DataType.FP16, a, m, multiply(gemm, a, m, workspace), plan.toString());
                }
            }
        }
    }

    @Test
    void stridesAndTails() {
        QuantizedMatrix matrix = matrix(225, 129, 32, DataType.BF16, true);
        CudaGemm gemm = upload(matrix, DataType.BF16).gemm(HOPPER);
        Workspace workspace = workspace(gemm, 20);
        for (int m : new int[] {1, 9, 20}) {
            float[] a = activations(m, 225, DataType.BF16);
            try (DeviceOperands operands = new DeviceOperands(gemm.weights(), a, m, 248, 134)) {
                gemm.launch(operands.a(), operands.lda(), operands.c(), operands.ldc(), m, workspace);
                synchronize(stream);
                assertProduct(matrix, DataType.BF16, a, m, operands.result(), "m " + m);
            }
        }
    }

    @Test
    void tenLaunchesGiveTheSameBits() {
        QuantizedMatrix matrix = matrix(1024, 130, 128, DataType.FP16, false);
        CudaGemm gemm = upload(matrix, DataType.FP16).gemm(HOPPER);
        Workspace workspace = workspace(gemm, 17);
        float[] a = activations(17, 1024, DataType.FP16);
        float[] first = multiply(gemm, a, 17, workspace);
        for (int run = 1; run < 10; run++) {
            Errors.assertSameBits(first, multiply(gemm, a, 17, workspace), 130, "run " + run);
        }
    }

    /** Two layers in one graph, for several numbers of rows in turn, give what the two give apart. */
    @Test
    void decodeGraphReplaysItsLayers() {
        QuantizedMatrix up = matrix(128, 192, 64, DataType.FP16, false);
        QuantizedMatrix down = matrix(192, 130, 64, DataType.FP16, true);
        CudaGemm first = upload(up, DataType.FP16).gemm(HOPPER);
        CudaGemm second = upload(down, DataType.FP16).gemm();
        Workspace workspace = closing(engine.newWorkspace(stream, first.workspaceFor(9).max(second.workspaceFor(9))));
        int most = 9;
        try (DeviceOperands in = new DeviceOperands(first.weights(), new float[most * 128], most, 128, 192);
                DeviceOperands out = new DeviceOperands(second.weights(), new float[most * 192], most, 192, 130);
                DecodeGraph step = DecodeGraph.of(workspace)
                        .product(first, in.a(), 128, in.c(), 192)
                        .product(second, in.c(), 192, out.c(), 130)
                        .build()) {
            float[] a = activations(most, 128, DataType.FP16);
            in.activations(a);
            for (int rows : new int[] {9, 1, 9, 4}) {
                float[] expected = multiply(second, multiply(first, java.util.Arrays.copyOf(a, rows * 128), rows, workspace), rows, workspace);
                out.poisonOutputs();
                step.launch(rows);
                synchronize(stream);
                float[] result = java.util.Arrays.copyOf(out.result(), rows * 130);
                Errors.assertSameBits(expected, result, 130, rows + " rows");
            }
        }
    }

    @Test
    void theDefaultKeepsToTheStripedKernelAndSaysSo() {
        QuantizedMatrix matrix = matrix(64, 64, 64, DataType.FP16, false);
        try (PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16); DeviceWeights weights = engine.upload(packed)) {
            String plan = weights.gemm().plan(1).toString();
            assertTrue(plan.startsWith("striped_") && plan.contains("the Hopper kernel, predicted at"), plan);
        }
    }
}
