package io.github.jmarlin;

/** A call of the CUDA driver, or of cuBLAS, failed. */
public final class CudaCallException extends JMarlinException {
    private static final long serialVersionUID = 1L;

    private final String call;
    private final int code;
    private final String codeName;

    /**
     * @param call the function, for instance {@code cuLaunchKernel} or {@code cublasGemmEx}
     * @param code what it returned
     * @param codeName the name of that code, for instance {@code CUDA_ERROR_ILLEGAL_ADDRESS}
     * @param detail what is known beyond that, or empty
     */
    public CudaCallException(String call, int code, String codeName, String detail) {
        super(call + " returned " + code + ", " + codeName + (detail.isEmpty() ? "" : ": " + detail));
        this.call = call;
        this.code = code;
        this.codeName = codeName;
    }

    /** The function that failed. */
    public String call() {
        return call;
    }

    /** What it returned. */
    public int code() {
        return code;
    }

    /** The name of {@link #code}. */
    public String codeName() {
        return codeName;
    }
}
