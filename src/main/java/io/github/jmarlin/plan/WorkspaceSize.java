package io.github.jmarlin.plan;

/**
 * Device memory that a launch needs besides its operands. The parts are kept apart so that one workspace serves many plans:
 * the counters stay zero between launches and must never lie where another plan keeps something.
 *
 * @param scratchBytes what a launch writes and reads: partial tiles, two slots per thread block, or the dense weights
 * @param counterBytes arrival counters, one 32-bit word per tile and strip
 * @param cublasBytes what cuBLAS gets for itself; 0 if no launch uses it, and the workspace then does without cuBLAS
 */
public record WorkspaceSize(long scratchBytes, long counterBytes, long cublasBytes) {

    public static final WorkspaceSize NONE = new WorkspaceSize(0, 0);

    public WorkspaceSize {
        if (scratchBytes < 0 || counterBytes < 0 || cublasBytes < 0) {
            throw new IllegalArgumentException("workspace of " + scratchBytes + " bytes of scratch, " + counterBytes
                    + " bytes of counters and " + cublasBytes + " bytes for cuBLAS: none may be negative");
        }
    }

    /** Without cuBLAS. */
    public WorkspaceSize(long scratchBytes, long counterBytes) {
        this(scratchBytes, counterBytes, 0);
    }

    /** Enough for both. */
    public WorkspaceSize max(WorkspaceSize other) {
        return new WorkspaceSize(Math.max(scratchBytes, other.scratchBytes), Math.max(counterBytes, other.counterBytes),
                Math.max(cublasBytes, other.cublasBytes));
    }

    /** Whether a workspace of this size serves a launch that needs {@code other}. */
    public boolean covers(WorkspaceSize other) {
        return scratchBytes >= other.scratchBytes && counterBytes >= other.counterBytes && cublasBytes >= other.cublasBytes;
    }

    public long totalBytes() {
        return scratchBytes + counterBytes + cublasBytes;
    }

    @Override
    public String toString() {
        return scratchBytes + " bytes of scratch + " + counterBytes + " bytes of counters"
                + (cublasBytes == 0 ? "" : " + " + cublasBytes + " bytes for cuBLAS");
    }
}
