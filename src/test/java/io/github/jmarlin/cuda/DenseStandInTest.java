package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cuda.image.KernelImages;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.WorkspaceSize;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.file.Path;
import java.util.List;
import jcuda.jcublas.JCublas2;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Dense weights and cuBLAS where every call can be counted and made to fail. */
@Tag("gpu-on-stand-in")
class DenseStandInTest extends GpuTest {
    private static final PlanOptions DENSE = PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE);
    private static final int EXECUTION_FAILED = 13;

    @TempDir
    Path folder;

    @BeforeEach
    void needsTheStandIns() {
        StandIn.assumeLoaded();
        assumeTrue(engine.device().missing(KernelFamily.DENSE).isEmpty(), () -> engine.device().missing(KernelFamily.DENSE).orElseThrow());
        StandIn.reset();
    }

    @AfterEach
    void reset() {
        if (StandIn.isLoaded()) {
            StandIn.reset();
        }
    }

    @Test
    void theWeightsAreExpandedOnceACallAndTheHandleIsTheWorkspaces() {
        for (boolean bias : new boolean[] {false, true}) {
            QuantizedMatrix matrix = closing(TestMatrices.layer(16, 8, 32, DataType.FP16, false, bias, 2));
            CudaGemm gemm = upload(matrix, DataType.FP16).gemm(DENSE);
            int m = gemm.rowsPerLaunch() + 8;
            Workspace workspace = workspace(gemm, m);
            float[] a = activations(m, 16, DataType.FP16);
            StandIn.reset();
            assertProduct(matrix, DataType.FP16, a, m, multiply(gemm, a, m, workspace), "bias " + bias);
            int products = bias ? gemm.rowsPerLaunch() / 512 + 1 : 2;
            assertEquals(products, StandIn.count("cublasGemmEx"), "bias " + bias);
            assertEquals(1 + (bias ? products : 0), StandIn.count("cuLaunchKernel"), "bias " + bias);
            assertEquals(0, StandIn.count("cublasCreate"), "cuBLAS is opened with the workspace");
        }
    }

    @Test
    void aCaptureOpensNothingAndOtherPlansDoWithoutCublas() {
        CudaGemm gemm = upload(matrix(64, 64, 64, DataType.FP16, false), DataType.FP16).gemm(DENSE);
        Workspace workspace = workspace(gemm, 4);
        try (DeviceOperands operands = new DeviceOperands(gemm.weights(), activations(4, 64, DataType.FP16), 4, 64, 64);
                DecodeGraph step = DecodeGraph.of(workspace).product(gemm, operands.a(), 64, operands.c(), 64).build()) {
            StandIn.reset();
            step.capture(4);
            assertEquals(0, StandIn.count("cublasCreate") + StandIn.count("cuMemAlloc") + StandIn.count("cuStreamSynchronize"));
            assertEquals(0, StandIn.count("kernels"), "a capture runs nothing");
        }
        StandIn.reset();
        CudaGemm striped = gemm.weights().gemm();
        workspace(striped, 40);
        assertEquals(0, StandIn.count("cublasCreate"));
    }

    /** Each call of cuBLAS fails once: it is named, nothing leaks, the next layer works. */
    @Test
    void whicheverCallOfCublasFailsNothingLeaks() {
        try (PackedWeights packed = pack()) {
            assertNull(live(packed));
            for (String function : List.of("cublasCreate", "cublasSetStream", "cublasSetWorkspace", "cublasSetMathMode", "cublasGemmEx",
                    "cublasDestroy")) {
                for (boolean throwing : new boolean[] {false, true}) {
                    StandIn.reset();
                    StandIn.inject(function, EXECUTION_FAILED, 0, 1);
                    JCublas2.setExceptionsEnabled(throwing);
                    Throwable thrown;
                    try {
                        thrown = live(packed);
                    } finally {
                        JCublas2.setExceptionsEnabled(false);
                    }
                    String what = function + " failing, met by " + thrown;
                    CudaCallException failure = assertInstanceOf(CudaCallException.class, thrown, what);
                    assertEquals(List.of(function, EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED"),
                            List.of(failure.call(), failure.code(), failure.codeName()), what);
                    assertEquals(StandIn.count("cublasCreate") - (function.equals("cublasCreate") ? 1 : 0),
                            StandIn.count("cublasDestroy"), what);
                    assertEquals(StandIn.count("cuMemAlloc"), StandIn.count("cuMemFree"), what);
                    assertEquals(StandIn.count("cuMemHostAlloc"), StandIn.count("cuMemFreeHost"), what);
                    assertNull(live(packed), "the next layer after " + what);
                }
            }
        }
    }

    /** A handle that is destroyed twice, or used after that, is a dangling pointer in the driver's process. */
    @Test
    void closedTwiceOrUsedAfterCloseItTouchesNoHandle() {
        Cublas cublas = new Cublas(engine, stream, 1 << 20, Cublas.Sums.FP32);
        assertTrue(cublas.version() > 0);
        cublas.close();
        StandIn.reset();
        cublas.close();
        assertMentions(assertThrows(IllegalStateException.class, cublas::version), "cuBLAS on", "used after close");
        assertMentions(assertThrows(IllegalStateException.class, () -> cublas.multiply(DataType.FP16, 8, 8, 8, 16, 8, 16, 8, 16, 8,
                DataType.FP16)), "used after close");
        assertEquals(0, StandIn.count("cublasDestroy") + StandIn.count("cublasGemmEx"));
    }

    /** The driver's failures in what only this way does: a workspace for cuBLAS, the launches of both kernels. */
    @Test
    void whicheverLaunchFailsIsNamed() {
        try (PackedWeights packed = pack()) {
            StandIn.reset();
            assertNull(live(packed));
            long launches = StandIn.count("cuLaunchKernel");
            assertEquals(2, launches);
            for (int after = 0; after < launches; after++) {
                StandIn.reset();
                StandIn.inject("cuLaunchKernel", 999, after, 1);
                CudaCallException failure = assertInstanceOf(CudaCallException.class, live(packed));
                assertMentions(failure, "cuLaunchKernel", after == 0 ? "dequantize_f16_zp_g64" : "dequantize_finish_f16");
                assertEquals(StandIn.count("cuMemAlloc"), StandIn.count("cuMemFree"));
            }
        }
    }

    private static PackedWeights pack() {
        try (QuantizedMatrix matrix = TestMatrices.layer(128, 70, 64, DataType.FP16, true, true, 3)) {
            return PackedWeights.pack(matrix, DataType.FP16);
        }
    }

    private Throwable live(PackedWeights packed) {
        try (CudaLinear layer = engine.device().place(packed, DENSE)) {
            layer.multiply(new float[3 * 128], 3);
            return null;
        } catch (RuntimeException e) {
            return e;
        }
    }

    /** A library that came without the kernel says which image it lacks. */
    @Test
    void withoutTheKernelTheReasonNamesItsImage() throws Exception {
        QuantizedMatrix matrix = matrix(64, 64, 64, DataType.FP16, false);
        DeviceWeights weights = upload(matrix, DataType.FP16);
        System.setProperty("jmarlin.images", StandIn.copyImages(folder, "striped").toString());
        try {
            String missing = KernelImages.missing("dequantize", engine.facts());
            assertMentions(assertThrows(IllegalArgumentException.class, () -> weights.gemm(DENSE)), missing);
            assertEquals(missing, engine.device().missing(KernelFamily.DENSE).orElseThrow());
        } finally {
            System.clearProperty("jmarlin.images");
        }
        CudaGemm striped = weights.gemm();
        float[] a = activations(3, 64, DataType.FP16);
        assertProduct(matrix, DataType.FP16, a, 3, multiply(striped, a, 3, workspace(striped, 3)), "striped");
    }

    /** Two streams at once, a handle each. */
    @Test
    void workspacesOfTwoStreamsDoNotMix() {
        CudaGemm gemm = upload(matrix(96, 40, 32, DataType.BF16, true), DataType.BF16).gemm(DENSE);
        WorkspaceSize size = gemm.workspaceFor(9);
        try (Workspace first = engine.newWorkspace(stream, size); Workspace second = engine.newWorkspace(newStream(), size)) {
            float[] a = activations(9, 96, DataType.BF16);
            Errors.assertSameBits(multiply(gemm, a, 9, first), multiply(gemm, a, 9, second), 40, "second stream");
            assertTrue(StandIn.count("cublasCreate") == 2, "a handle for each");
        }
        assertEquals(2, StandIn.count("cublasDestroy"));
    }
}
