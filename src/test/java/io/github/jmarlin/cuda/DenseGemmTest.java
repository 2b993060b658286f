package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.plan.DensePlan;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.StripedPlan;
import io.github.jmarlin.plan.Tuning;
import io.github.jmarlin.plan.TuningFile;
import io.github.jmarlin.plan.WorkspaceSize;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The raw call by way of dense weights and cuBLAS, and decode graphs of it. */
class DenseGemmTest extends GpuTest {
    private static final PlanOptions DENSE = PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE);

    @TempDir
    Path folder;

    @BeforeEach
    void needsCublas() {
        assumeTrue(engine.device().missing(KernelFamily.DENSE).isEmpty(), () -> engine.device().missing(KernelFamily.DENSE).orElseThrow());
    }

    @ParameterizedTest
    @EnumSource(value = DataType.class, names = {"FP16", "BF16"})
    void stridesAndTails(DataType type) {
        for (int[] kn : new int[][] {{100, 70}, {64, 64}, {225, 129}, {1, 3}}) {
            QuantizedMatrix matrix = matrix(kn[0], kn[1], 64, type, true);
            CudaGemm gemm = upload(matrix, type).gemm(DENSE);
            Workspace workspace = workspace(gemm, 20);
            for (int m : new int[] {1, 9, 20}) {
                float[] a = activations(m, kn[0], type);
                for (int extra : new int[] {0, 5, 8}) {
                    try (DeviceOperands operands = new DeviceOperands(gemm.weights(), a, m, (kn[0] + 7) / 8 * 8 + 16, kn[1] + extra)) {
                        gemm.launch(operands.a(), operands.lda(), operands.c(), operands.ldc(), m, workspace);
                        synchronize(stream);
                        assertProduct(matrix, type, a, m, operands.result(), matrix + ", m " + m + ", ldc " + operands.ldc());
                    }
                }
            }
        }
    }

    record Case(int k, int groupSize, DataType type, boolean zeroPoints) {}

    static Stream<Case> cases() {
        return Stream.concat(CudaAccuracyTest.cases().map(c -> new Case(c.k(), c.groupSize(), c.type(), c.zeroPoints())),
                Stream.of(new Case(28672, 128, DataType.FP16, true)));
    }

    /** The promise of every other kernel, with a bias and without. */
    @ParameterizedTest
    @MethodSource("cases")
    void withinTheBound(Case test) {
        float[] a = activations(48, test.k, test.type);
        double bound = test.type == DataType.BF16 ? 3.5e-3 : 3e-4;
        for (boolean bias : new boolean[] {false, true}) {
            QuantizedMatrix matrix = closing(TestMatrices.layer(test.k, 64, test.groupSize, test.type, test.zeroPoints, bias, test.k));
            CudaGemm gemm = upload(matrix, test.type).gemm(DENSE);
            Errors.assertWithin(bound, ReferenceProduct.multiply(matrix, a, 48), multiply(gemm, a, 48, workspace(gemm, 48)), 64,
                    test + ", bias " + bias);
        }
    }

    /** C begins between two 4-byte words: the bias kernel and cuBLAS write element by element. */
    @Test
    void resultsMayBeginAnywhere() {
        for (boolean bias : new boolean[] {false, true}) {
            QuantizedMatrix matrix = closing(TestMatrices.layer(64, 48, 64, DataType.FP16, false, bias, 4));
            CudaGemm gemm = upload(matrix, DataType.FP16).gemm(DENSE);
            float[] a = activations(5, 64, DataType.FP16);
            Workspace workspace = workspace(gemm, 5);
            float[] expected = multiply(gemm, a, 5, workspace);
            try (DeviceOperands operands = new DeviceOperands(gemm.weights(), a, 5, 64, 48);
                    DeviceBuffer shifted = engine.allocate(5 * 48 * 2 + 2, "outputs")) {
                gemm.launch(operands.a(), 64, shifted.address() + 2, 48, 5, workspace);
                gemm.launch(operands.a(), 64, operands.c(), 48, 5, workspace);
                synchronize(stream);
                ByteBuffer bytes = ByteBuffer.allocateDirect(5 * 48 * 2).order(ByteOrder.LITTLE_ENDIAN);
                shifted.download(2, bytes);
                float[] values = new float[5 * 48];
                for (int i = 0; i < values.length; i++) {
                    values[i] = io.github.jmarlin.layout.HalfFloats.decode(DataType.FP16, bytes.getShort(2 * i));
                }
                Errors.assertSameBits(expected, values, 48, "bias " + bias);
            }
        }
    }

    @Test
    void tenLaunchesGiveTheSameBits() {
        QuantizedMatrix matrix = matrix(1024, 130, 128, DataType.FP16, false);
        CudaGemm gemm = upload(matrix, DataType.FP16).gemm(DENSE);
        Workspace workspace = workspace(gemm, 17);
        float[] a = activations(17, 1024, DataType.FP16);
        float[] first = multiply(gemm, a, 17, workspace);
        for (int run = 1; run < 10; run++) {
            Errors.assertSameBits(first, multiply(gemm, a, 17, workspace), 130, "run " + run);
        }
    }

    /** Two layers share a workspace in one graph: dense weights of the first, partial tiles of the second. */
    @Test
    void decodeGraphReplaysItsLayers() {
        QuantizedMatrix up = matrix(128, 192, 64, DataType.FP16, false);
        QuantizedMatrix down = matrix(192, 130, 64, DataType.FP16, true);
        CudaGemm first = upload(up, DataType.FP16).gemm(DENSE);
        CudaGemm second = upload(down, DataType.FP16).gemm(PlanOptions.DEFAULT.withGrid(7));
        Workspace workspace = closing(engine.newWorkspace(stream, first.workspaceFor(9).max(second.workspaceFor(9))));
        try (DeviceOperands in = new DeviceOperands(first.weights(), new float[9 * 128], 9, 128, 192);
                DeviceOperands out = new DeviceOperands(second.weights(), new float[9 * 192], 9, 192, 130);
                DecodeGraph step = DecodeGraph.of(workspace)
                        .product(first, in.a(), 128, in.c(), 192)
                        .product(second, in.c(), 192, out.c(), 130)
                        .build()) {
            float[] a = activations(9, 128, DataType.FP16);
            in.activations(a);
            for (int rows : new int[] {9, 1, 9, 4}) {
                float[] hidden = multiply(first, Arrays.copyOf(a, rows * 128), rows, workspace);
                float[] expected = multiply(second, hidden, rows, workspace);
                out.poisonOutputs();
                step.launch(rows);
                synchronize(stream);
                Errors.assertSameBits(expected, Arrays.copyOf(out.result(), rows * 130), 130, rows + " rows");
            }
        }
    }

    @Test
    void aWorkspaceThatIsTooSmallIsRefusedWithTheValues() {
        CudaGemm gemm = upload(matrix(100, 70, 64, DataType.FP16, false), DataType.FP16).gemm(DENSE);
        WorkspaceSize needed = gemm.workspaceFor(5);
        // 70 columns of 100 weights and 4 of padding, then from the next 256 bytes on 8 rows of 72 sums.
        assertEquals((104 * 70 * 2 + 255) / 256 * 256 + 8 * 72 * 4, needed.scratchBytes());
        assertEquals(0, needed.counterBytes());
        for (WorkspaceSize small : new WorkspaceSize[] {WorkspaceSize.NONE, new WorkspaceSize(needed.scratchBytes(), 64),
            new WorkspaceSize(needed.scratchBytes() - 1, 0, needed.cublasBytes())}) {
            Workspace workspace = closing(engine.newWorkspace(stream, small));
            assertMentions(assertThrows(IllegalArgumentException.class, () -> gemm.launch(256, 104, 256, 70, 5, workspace)),
                    "workspace of " + small + " is too small", "need " + needed, "bytes for cuBLAS");
        }
        Workspace enough = closing(engine.newWorkspace(stream, needed));
        assertMentions(assertThrows(IllegalArgumentException.class, () -> gemm.launch(256, 104, 256, 1L << 31, 5, enough)),
                "ldc 2147483648", "cuBLAS counts up to 2147483647");
    }

    /** A winner of 16 rows in this device's file: a crossover from there on. */
    @Test
    void aMeasuredCrossoverIsServed() throws Exception {
        QuantizedMatrix matrix = matrix(128, 70, 64, DataType.FP16, true);
        Path file = folder.resolve("tuning.json");
        String before = System.getProperty(TuningFile.PROPERTY);
        System.setProperty(TuningFile.PROPERTY, file.toString());
        try {
            TuningFile.write(file, engine.facts(), Tuning.NONE.with(Tuning.Product.of(upload(matrix, DataType.FP16).shape(), 16),
                    new Tuning.Winner(DENSE, 12.5e-6)));
            CudaEngine tuned = closing(CudaEngine.ofCurrentContext());
            try (var packed = io.github.jmarlin.PackedWeights.pack(matrix, DataType.FP16)) {
                CudaGemm gemm = closing(tuned.upload(packed)).gemm();
                assertInstanceOf(StripedPlan.class, gemm.plan(8));
                Workspace workspace = closing(tuned.newWorkspace(stream, gemm.workspaceFor(40)));
                for (int m : new int[] {3, 16, 40}) {
                    float[] a = activations(m, 128, DataType.FP16);
                    assertProduct(matrix, DataType.FP16, a, m, multiply(gemm, a, m, workspace), gemm.plan(m).toString());
                }
                DensePlan plan = assertInstanceOf(DensePlan.class, gemm.plan(40));
                assertTrue(plan.reason().startsWith("measured at 12.50 us on this device for 16 rows"), plan.reason());
            }
        } finally {
            System.setProperty(TuningFile.PROPERTY, before);
        }
    }
}
