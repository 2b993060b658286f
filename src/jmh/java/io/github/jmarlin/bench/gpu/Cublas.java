package io.github.jmarlin.bench.gpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.bench.cublas.CublasLibrary;
import io.github.jmarlin.cuda.DeviceBuffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jcuda.Pointer;
import jcuda.cudaDataType;
import jcuda.driver.CUdeviceptr;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasOperation;
import jcuda.jcublas.cublasStatus;
import jcuda.runtime.cudaStream_t;

/** cuBLAS on the stream of a {@link Gpu}; there only if the library is. */
final class Cublas implements AutoCloseable {
    /**
     * NOTES: JCublas2.cublasGemmEx takes a cudaDataType here; cublasGemmEx_new takes CUBLAS_COMPUTE_32F, which JCuda 12.6 has no
     * name for.
     */
    private static final int COMPUTE_32F = 68;
    /** What NVIDIA recommends for Hopper; with a workspace of its own cuBLAS allocates nothing while a graph is captured. */
    private static final long WORKSPACE_BYTES = 32 << 20;

    private final cublasHandle handle = new cublasHandle();
    private final DeviceBuffer workspace;
    private final Pointer one;
    private final Pointer zero;

    /** Opens cuBLAS; {@link CublasLibrary#load} has to have found it. */
    Cublas(Gpu gpu) {
        check("cublasCreate", JCublas2.cublasCreate(handle));
        check("cublasSetStream", JCublas2.cublasSetStream(handle, new cudaStream_t(gpu.stream())));
        workspace = gpu.allocate(WORKSPACE_BYTES, "cuBLAS workspace");
        check("cublasSetWorkspace", JCublas2.cublasSetWorkspace(handle, workspace.pointer(), WORKSPACE_BYTES));
        // Scalars in direct memory: JCublas2 pins arrays at every call.
        one = Pointer.to(ByteBuffer.allocateDirect(Float.BYTES).order(ByteOrder.nativeOrder()).putFloat(0, 1));
        zero = Pointer.to(ByteBuffer.allocateDirect(Float.BYTES).order(ByteOrder.nativeOrder()).putFloat(0, 0));
    }

    private static void check(String call, int status) {
        if (status != cublasStatus.CUBLAS_STATUS_SUCCESS) {
            throw new IllegalStateException(call + " failed with " + status + " " + cublasStatus.stringFor(status));
        }
    }

    /** The library's own version, 130002 for 13.0.2. */
    int version() {
        int[] version = new int[1];
        check("cublasGetVersion", JCublas2.cublasGetVersion(handle, version));
        return version[0];
    }

    /**
     * Launches {@code C[m][n] = A[m][k] * W[n][k]^T} with fp32 sums. cuBLAS counts columns first: it sees C' = W * A', W as a
     * matrix of k rows to be transposed.
     *
     * @param w {@code [n][ldw]}
     * @param a {@code [m][lda]}
     * @param c {@code [m][n]}
     */
    void multiply(DataType type, int m, int n, int k, CUdeviceptr w, long ldw, CUdeviceptr a, long lda, CUdeviceptr c) {
        int element = type == DataType.FP16 ? cudaDataType.CUDA_R_16F : cudaDataType.CUDA_R_16BF;
        check("cublasGemmEx", JCublas2.cublasGemmEx_new(handle, cublasOperation.CUBLAS_OP_T, cublasOperation.CUBLAS_OP_N, n, m, k,
                one, w, element, Math.toIntExact(ldw), a, element, Math.toIntExact(lda), zero, c, element, n, COMPUTE_32F,
                cublasGemmAlgo.CUBLAS_GEMM_DEFAULT));
    }

    @Override
    public void close() {
        check("cublasDestroy", JCublas2.cublasDestroy(handle));
        workspace.close();
    }
}
