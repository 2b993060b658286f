package io.github.jmarlin.cuda;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DataType;
import io.github.jmarlin.cuda.cublas.CublasLibrary;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jcuda.CudaException;
import jcuda.Pointer;
import jcuda.cudaDataType;
import jcuda.driver.CUstream;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasMath;
import jcuda.jcublas.cublasOperation;
import jcuda.jcublas.cublasStatus;
import jcuda.runtime.cudaStream_t;

/**
 * cuBLAS on one stream. It has a device workspace of its own: so it allocates nothing while a graph is captured, and gives the same
 * bits in every run. One thread at a time.
 *
 * <p>NOTES: the one class that touches JCublas. Without {@link CublasLibrary#require} before, a missing library is a LinkageError.
 */
public final class Cublas implements AutoCloseable {
    /**
     * NOTES: JCublas2.cublasGemmEx takes a cudaDataType here; cublasGemmEx_new takes CUBLAS_COMPUTE_32F, which JCuda 12.6 has no
     * name for.
     */
    private static final int COMPUTE_32F = 68;
    /** Statuses are small numbers. */
    private static final int MOST_STATUS = 31;

    /** How cuBLAS may add up partial sums of one product. */
    public enum Sums {
        /** In fp32 only: the accuracy that this library promises. */
        FP32,
        /** Also in the type of the result: cuBLAS's own default. */
        ANY
    }

    private final CudaEngine engine;
    private final cublasHandle handle = new cublasHandle();
    private final DeviceBuffer workspace;
    private final Holders holders;
    // Scalars in direct memory: JCublas2 pins arrays at every call.
    private final Pointer one = scalar(1);
    private final Pointer zero = scalar(0);

    /**
     * @param stream of the engine's context
     * @param workspaceBytes of device memory for cuBLAS, positive
     * @throws CudaCallException if it refuses
     */
    public Cublas(CudaEngine engine, CUstream stream, long workspaceBytes, Sums sums) {
        this.engine = engine;
        holders = new Holders("cuBLAS on " + engine.device().name());
        workspace = new DeviceBuffer(engine, workspaceBytes, "cuBLAS");
        try {
            engine.runInContext(() -> open(stream, sums));
        } catch (Throwable e) {
            Cuda.closeAfter(e, workspace);
            throw e;
        }
    }

    private void open(CUstream stream, Sums sums) {
        call("cublasCreate", () -> JCublas2.cublasCreate(handle));
        try {
            call("cublasSetStream", () -> JCublas2.cublasSetStream(handle, new cudaStream_t(stream)));
            // NOTES: after the stream, which sets the workspace back to cuBLAS's own.
            call("cublasSetWorkspace", () -> JCublas2.cublasSetWorkspace(handle, workspace.pointer(), workspace.size()));
            if (sums == Sums.FP32) {
                call("cublasSetMathMode",
                        () -> JCublas2.cublasSetMathMode(handle, cublasMath.CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION));
            }
        } catch (Throwable e) {
            Cuda.closeAfter(e, this::destroy);
            throw e;
        }
    }

    private static Pointer scalar(float value) {
        return Pointer.to(ByteBuffer.allocateDirect(Float.BYTES).order(ByteOrder.nativeOrder()).putFloat(0, value));
    }

    /**
     * The library's own version, 130002 for 13.0.2.
     *
     * @throws IllegalStateException after {@link #close}
     */
    public int version() {
        holders.checkOpen();        // a destroyed handle is a dangling pointer
        int[] version = new int[1];
        call("cublasGetVersion", () -> JCublas2.cublasGetVersion(handle, version));
        return version[0];
    }

    /**
     * Launches {@code C[m][n] = A[m][k] * W[n][k]^T} with fp32 sums. The engine's context must be current. cuBLAS counts columns
     * first: it sees C' = W * A', W as a matrix of k rows to be transposed.
     *
     * @param type of W and A: FP16 or BF16
     * @param w device address, {@code [n][ldw]}
     * @param a device address, {@code [m][lda]}
     * @param c device address, {@code [m][ldc]}
     * @param resultType of C: the same, or FP32
     * @throws IllegalStateException after {@link #close}
     */
    public void multiply(DataType type, int m, int n, int k, long w, int ldw, long a, int lda, long c, int ldc, DataType resultType) {
        holders.checkOpen();
        int element = elementType(type);
        call("cublasGemmEx", () -> JCublas2.cublasGemmEx_new(handle, cublasOperation.CUBLAS_OP_T, cublasOperation.CUBLAS_OP_N, n, m, k,
                one, Address.device(w), element, ldw, Address.device(a), element, lda, zero, Address.device(c), elementType(resultType),
                ldc, COMPUTE_32F, cublasGemmAlgo.CUBLAS_GEMM_DEFAULT));
    }

    private static int elementType(DataType type) {
        return switch (type) {
            case FP16 -> cudaDataType.CUDA_R_16F;
            case BF16 -> cudaDataType.CUDA_R_16BF;
            case FP32 -> cudaDataType.CUDA_R_32F;
        };
    }

    private static void call(String name, Cuda.Call call) {
        int status = status(call);
        if (status != cublasStatus.CUBLAS_STATUS_SUCCESS) {
            throw new CudaCallException(name, status, cublasStatus.stringFor(status), "");
        }
    }

    /** Also where the application has told JCublas to throw. */
    private static int status(Cuda.Call call) {
        try {
            return call.run();
        } catch (CudaException e) {
            for (int status = 1; status < MOST_STATUS; status++) {
                if (cublasStatus.stringFor(status).equals(e.getMessage())) {
                    return status;
                }
            }
            return cublasStatus.CUBLAS_STATUS_INTERNAL_ERROR;
        }
    }

    private void destroy() {
        call("cublasDestroy", () -> JCublas2.cublasDestroy(handle));
    }

    /** Waits for what is under way. A second call does nothing. */
    @Override
    public void close() {
        if (holders.close()) {
            Cuda.closeAll(() -> engine.runInContext(this::destroy), workspace);
        }
    }
}
