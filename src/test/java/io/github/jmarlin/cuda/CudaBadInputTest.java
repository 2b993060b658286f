package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DataType;
import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cuda.image.KernelImages;
import io.github.jmarlin.cuda.image.KernelImagesTest;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.TileShape;
import io.github.jmarlin.plan.WorkspaceSize;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import jcuda.driver.CUdeviceptr;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** What must be refused, with the values and the rule, before anything is launched or written. */
class CudaBadInputTest extends GpuTest {
    private static final int K = 100;
    private static final int N = 70;
    private static final int M = 3;

    private DeviceWeights weights;
    private CudaGemm gemm;
    private Workspace workspace;
    private DeviceOperands operands;

    @TempDir
    private Path folder;

    @BeforeEach
    void makeProduct() {
        weights = upload(matrix(K, N, 32, DataType.FP16, false), DataType.FP16);
        gemm = weights.gemm();
        workspace = workspace(gemm, M);
        operands = closing(new DeviceOperands(weights, activations(M, K, DataType.FP16), M, 104, N));
    }

    private void launch(long a, long lda, long c, long ldc, long m) {
        gemm.launch(a, lda, c, ldc, m, workspace);
    }

    @Test
    void operandsOfTheRawCall() {
        long a = operands.a();
        long c = operands.c();
        illegal(() -> launch(a, 104, c, N, -1), "m -1", "0 or more");
        illegal(() -> launch(a, 96, c, N, M), "lda 96", "k 100");
        illegal(() -> launch(a, -104, c, N, M), "lda -104", "k 100");
        illegal(() -> launch(a, 102, c, N, M), "lda 102", "multiple of 8");
        illegal(() -> launch(a, 104, c, 69, M), "ldc 69", "n 70");
        illegal(() -> launch(a, 104, c, N, Long.MAX_VALUE / 100), "m " + Long.MAX_VALUE / 100, "lda 104", "2^63");
        illegal(() -> launch(a, Long.MAX_VALUE - 7, c, N, 2), "lda " + (Long.MAX_VALUE - 7), "2^63");
        illegal(() -> launch(a + 8, 104, c, N, M), "0x" + Long.toHexString(a + 8), "multiple of 16");
        illegal(() -> launch(0, 104, c, N, M), "a at device address 0x0");
        illegal(() -> launch(a, 104, c + 1, N, M), "0x" + Long.toHexString(c + 1), "multiple of 2");
        illegal(() -> launch(a, 104, 0, N, M), "c at device address 0x0");
        assertThrows(NullPointerException.class, () -> gemm.launch(null, 104, new CUdeviceptr(), N, M, workspace, null));
        assertThrows(NullPointerException.class, () -> gemm.launch(new CUdeviceptr(), 104, null, N, M, workspace, null));
    }

    /** Until there are kernels for them. */

    /** The kernels for other numbers are images of their own, asked for when such weights come. */
    @Test
    void weightsWithoutTheirImagesAreNamed() throws IOException {
        PackedWeights sparse = closing(PackedWeights.pack(TestMatrices.sparse(128, 64, 64, DataType.FP16, false, 1), DataType.FP16));
        String module = ImageFamily.STRIPED.firstModule(KernelSet.INT4);
        Files.write(folder.resolve(module + ".compute_80.ptx"), KernelImages.read(module + ".compute_80.ptx").bytes());
        KernelImagesTest.withFolder(folder, () -> {
            try (CudaEngine dense = CudaEngine.ofCurrentContext()) {
                assertMentions(assertThrows(KernelImageException.class, () -> dense.upload(sparse)), "k 128, n 64", "2:4 sparse",
                        "no kernel image of striped_sp24_m8_n64", folder.toString(), "SparseExpansion.dense");
                return null;
            }
        });
    }

    @Test
    void workspaces() {
        illegal(() -> gemm.launch(operands.a(), 104, operands.c(), N, M, null), "workspace is null");
        Workspace none = closing(engine.newWorkspace(stream, WorkspaceSize.NONE));
        illegal(() -> gemm.launch(operands.a(), 104, operands.c(), N, M, none), "too small", WorkspaceSize.NONE.toString(),
                gemm.workspaceFor(M).toString(), "3 rows");
        // Enough for the first launches of a batch-invariant product, and for its last one.
        CudaGemm invariant = weights.gemm(PlanOptions.DEFAULT.withBatchInvariance());
        WorkspaceSize first = invariant.plan(32).workspace();
        if (!invariant.plan(1).workspace().covers(first)) {
            Workspace small = closing(engine.newWorkspace(stream, invariant.plan(1).workspace()));
            illegal(() -> invariant.launch(operands.a(), 104, operands.c(), N, 33, small), "too small", first.toString(),
                    "32 rows");
        }
    }

    @Test
    void thingsOfAnotherEngine() {
        try (CudaEngine other = CudaEngine.ofCurrentContext();
                Workspace otherWorkspace = other.newWorkspace(stream, gemm.workspaceFor(M));
                PackedWeights packed = PackedWeights.pack(matrix(64, 64, 64, DataType.FP16, false), DataType.FP16);
                DeviceWeights otherWeights = other.upload(packed)) {
            illegal(() -> gemm.launch(operands.a(), 104, operands.c(), N, M, otherWorkspace), "workspace of another engine");
            illegal(() -> gemm.launch(operands.a(), 104, operands.c(), N, M, workspace, otherWeights.gemm()),
                    "next product of another engine");
        }
    }

    @Test
    void useAfterClose() {
        QuantizedMatrix matrix = matrix(64, 64, 64, DataType.FP16, false);
        PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
        DeviceWeights next = engine.upload(packed);
        packed.close();
        illegalState(() -> engine.upload(packed), "used after close");
        next.close();
        next.close();
        CudaGemm ofClosed = next.gemm();
        illegalState(() -> gemm.launch(operands.a(), 104, operands.c(), N, M, workspace, ofClosed), "weights 64 x 64",
                "used after close");
        illegalState(() -> ofClosed.launch(operands.a(), 104, operands.c(), N, M, workspace), "used after close");
        workspace.close();
        workspace.close();
        illegalState(() -> gemm.launch(operands.a(), 104, operands.c(), N, M, workspace), "workspace", "used after close");
        illegalState(() -> workspace.reset(), "used after close");
        DeviceBuffer buffer = engine.allocate(16, "nothing");
        buffer.close();
        buffer.close();
        illegalState(() -> buffer.address(), "16 bytes for nothing", "used after close");
        illegalState(() -> buffer.upload(0, ByteBuffer.allocate(16)), "used after close");
        CudaEngine closed = CudaEngine.ofCurrentContext();
        closed.close();
        closed.close();
        illegalState(() -> closed.allocate(16, "nothing"), "engine", "used after close");
        assertThrows(NullPointerException.class, () -> engine.upload(null));
    }

    private static void inAnotherThread(Runnable action) {
        Throwable[] thrown = new Throwable[1];
        Thread thread = new Thread(action);
        thread.setUncaughtExceptionHandler((dead, e) -> thrown[0] = e);
        thread.start();
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
        assertEquals(null, thrown[0]);
    }

    @Test
    void closingWhileInUse() {
        weights.holders().acquire();
        illegalState(() -> weights.close(), "closed while in use by 1 holder(s)");
        weights.holders().release();
        workspace.enter();
        illegalState(() -> workspace.close(), "closed while in use by 1 holder(s)");
        inAnotherThread(() -> illegalState(() -> gemm.launch(operands.a(), 104, operands.c(), N, M, workspace),
                "in use by another thread"));
        workspace.enter();      // a capture contains launches
        workspace.leave();
        inAnotherThread(() -> illegalState(() -> workspace.reset(), "in use by another thread"));
        workspace.leave();
        inAnotherThread(() -> workspace.reset());
        illegalState(() -> engine.close(), "engine", "closed while in use");
        launch(operands.a(), 104, operands.c(), N, M);
        synchronize(stream);
    }

    @Test
    void optionsAndPlans() {
        illegal(() -> weights.gemm(PlanOptions.DEFAULT.withTile(new TileShape(24, 64))), "24x64");
        illegal(() -> gemm.plan(0), "m 0");
        illegal(() -> gemm.workspaceFor(-1), "-1");
        illegal(() -> engine.allocate(0, "nothing"), "0 bytes for nothing");
        illegal(() -> engine.allocate(-5, "nothing"), "-5 bytes for nothing");
        DeviceBuffer buffer = closing(engine.allocate(16, "something"));
        illegal(() -> buffer.upload(8, ByteBuffer.allocate(9)), "9 bytes at offset 8", "16 bytes for something");
        illegal(() -> buffer.download(-1, ByteBuffer.allocate(1)), "offset -1");
        illegal(() -> buffer.download(Long.MAX_VALUE, ByteBuffer.allocate(1)), "offset " + Long.MAX_VALUE);
    }

    @Test
    void weightsWithAnInputOrderNeedTheLayer() {
        IntBuffer reversed = IntBuffer.wrap(IntStream.range(0, K).map(i -> K - 1 - i).toArray());
        try (PackedWeights packed = PackedWeights.pack(matrix(K, N, 32, DataType.FP16, false), DataType.FP16)
                .withInputOrder(reversed);
                DeviceWeights ordered = engine.upload(packed)) {
            illegal(() -> ordered.gemm(), "input order");
        }
    }

    @Test
    void aThreadWithoutTheContext() throws Exception {
        Throwable[] thrown = new Throwable[1];
        Thread thread = new Thread(() -> {
            try {
                launch(operands.a(), 104, operands.c(), N, M);
            } catch (CudaCallException e) {
                thrown[0] = e;
            }
        });
        thread.start();
        thread.join();
        assertMentions(thrown[0], "cuLaunchKernel", "CUDA_ERROR_", "is not current on this thread");
    }

    /** Its modules are gone: a plan made now must not look its kernel up in one of them, or load one that stays. */
    @Test
    void noPlanIsMadeAfterTheEngineWasClosed() {
        CudaEngine closed = CudaEngine.ofCurrentContext();
        CudaGemm gemm;
        try (PackedWeights packed = PackedWeights.pack(matrix(64, 64, 64, DataType.FP16, false), DataType.FP16);
                DeviceWeights weights = closed.upload(packed)) {
            gemm = weights.gemm();
            gemm.plan(1);
        }
        closed.close();
        assertMentions(assertThrows(IllegalStateException.class, () -> gemm.plan(9)), "engine on", "used after close");
        assertTrue(gemm.plan(1).rows() == 8, "what was planned before can be printed");
    }

    @Test
    void foreignImages() throws IOException {
        String module = ImageFamily.STRIPED.firstModule(KernelSet.INT4);
        Path file = folder.resolve(module + ".compute_80.ptx");
        Files.writeString(file, "not an image");
        assertMentions(assertThrows(KernelImageException.class, () -> KernelImagesTest.withFolder(folder,
                CudaEngine::ofCurrentContext)), folder.toString(), "takes no kernel image of " + module,
                file.getFileName() + " (PTX): 200");
        // An image of this build, but of another family of kernels.
        Files.write(file, KernelImages.read("empty.compute_80.ptx").bytes());
        assertMentions(assertThrows(KernelImageException.class, () -> KernelImagesTest.withFolder(folder,
                CudaEngine::ofCurrentContext)), file.toString(), "not of this library");
        Files.delete(file);
        assertMentions(assertThrows(KernelImageException.class, () -> KernelImagesTest.withFolder(folder,
                CudaEngine::ofCurrentContext)), folder.toString(), "no kernel image of " + module);
    }

    /** Machine code of another device, or PTX that the driver is too old for: the next image has its turn. */
    @Test
    void aRefusedImageLeavesItsTurnToPtx() throws IOException {
        String module = ImageFamily.STRIPED.firstModule(KernelSet.INT4);
        Files.writeString(folder.resolve(module + ".sm_" + engine.facts().computeCapability() + ".cubin"), "\177ELF of something else");
        Files.write(folder.resolve(module + ".compute_80.ptx"), KernelImages.read(module + ".compute_80.ptx").bytes());
        KernelImagesTest.withFolder(folder, CudaEngine::ofCurrentContext).close();
    }

    private static void illegal(Executable call, String... parts) {
        assertMentions(assertThrows(IllegalArgumentException.class, call), parts);
    }

    private static void illegalState(Executable call, String... parts) {
        assertMentions(assertThrows(IllegalStateException.class, call), parts);
    }
}
