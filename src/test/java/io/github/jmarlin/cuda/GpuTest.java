package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuCtxCreate;
import static jcuda.driver.JCudaDriver.cuCtxDestroy;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.Gpu;
import io.github.jmarlin.testing.TestMatrices;
import java.util.ArrayDeque;
import java.util.Deque;
import jcuda.driver.CUcontext;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;

/** Tests of the raw call, in a context and on a stream that belong to the test, as they would to an inference engine. */
@Tag("gpu")
abstract class GpuTest {
    private final CUcontext context = new CUcontext();
    private final Deque<AutoCloseable> open = new ArrayDeque<>();
    CUstream stream;
    CudaEngine engine;

    @BeforeEach
    void makeContext() {
        CudaDevice device = Gpu.first();
        Cuda.call("cuCtxCreate", () -> cuCtxCreate(context, 0, CudaDriver.device(device.ordinal())));
        stream = newStream();
        engine = closing(CudaEngine.ofCurrentContext());
    }

    /** Everything closes without a complaint, last first. */
    @AfterEach
    void closeAll() throws Exception {
        if (engine != null) {
            while (!open.isEmpty()) {
                open.pop().close();
            }
            Cuda.call("cuCtxDestroy", () -> cuCtxDestroy(context));
        }
    }

    <T extends AutoCloseable> T closing(T resource) {
        open.push(resource);
        return resource;
    }

    CUstream newStream() {
        CUstream made = new CUstream();
        Cuda.call("cuStreamCreate", () -> cuStreamCreate(made, CUstream_flags.CU_STREAM_NON_BLOCKING));
        open.push(() -> Cuda.call("cuStreamDestroy", () -> cuStreamDestroy(made)));
        return made;
    }

    static void synchronize(CUstream stream) {
        Cuda.call("cuStreamSynchronize", () -> cuStreamSynchronize(stream));
    }

    QuantizedMatrix matrix(int k, int n, int groupSize, DataType type, boolean zeroPoints) {
        return closing(TestMatrices.layer(k, n, groupSize, type, zeroPoints, true, 31L * k + n));
    }

    DeviceWeights upload(QuantizedMatrix matrix, DataType type) {
        try (PackedWeights packed = PackedWeights.pack(matrix, type)) {
            return closing(engine.upload(packed));
        }
    }

    Workspace workspace(CudaGemm gemm, long mostRows) {
        return closing(engine.newWorkspace(stream, gemm.workspaceFor(mostRows)));
    }

    /** Random activations, [m][k], that the type holds exactly. */
    static float[] activations(int m, int k, DataType type) {
        float[] a = TestMatrices.gaussian(m * k, 7L * m + k);
        for (int i = 0; i < a.length; i++) {
            a[i] = HalfFloats.decode(type, HalfFloats.encode(type, a[i]));
        }
        return a;
    }

    /** Launches between operands with the narrowest strides, waits and returns [m][n]. */
    float[] multiply(CudaGemm gemm, float[] a, int m, Workspace workspace) {
        int k = gemm.weights().shape().k();
        int n = gemm.weights().shape().n();
        try (DeviceOperands operands = new DeviceOperands(gemm.weights(), a, m, (k + 7) / 8 * 8, n)) {
            gemm.launch(operands.a(), operands.lda(), operands.c(), operands.ldc(), m, workspace);
            synchronize(workspace.stream());
            return operands.result();
        }
    }

    /** Twice the bound of the contract test: a single row of a small matrix scatters more. */
    static void assertProduct(QuantizedMatrix matrix, DataType type, float[] a, int m, float[] actual, String what) {
        double bound = type == DataType.BF16 ? 7e-3 : 6e-4;
        Errors.assertWithin(bound, ReferenceProduct.multiply(matrix, a, m), actual, matrix.n(), what);
    }

    static void assertMentions(Throwable thrown, String... parts) {
        for (String part : parts) {
            assertTrue(thrown.getMessage().contains(part), () -> "\"" + part + "\" is not in: " + thrown.getMessage());
        }
    }
}
