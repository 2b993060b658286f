package io.github.jmarlin.plan;

/**
 * Device memory that a launch needs besides its operands. The two parts are kept apart so that one workspace serves many plans:
 * the counters stay zero between launches and must never lie where another plan keeps partial tiles.
 *
 * @param partialBytes partial tiles, two slots per thread block
 * @param counterBytes arrival counters, one 32-bit word per tile and strip
 */
public record WorkspaceSize(long partialBytes, long counterBytes) {

    public static final WorkspaceSize NONE = new WorkspaceSize(0, 0);

    public WorkspaceSize {
        if (partialBytes < 0 || counterBytes < 0) {
            throw new IllegalArgumentException("workspace of " + partialBytes + " bytes of partial tiles and " + counterBytes
                    + " bytes of counters: neither may be negative");
        }
    }

    /** Enough for both. */
    public WorkspaceSize max(WorkspaceSize other) {
        return new WorkspaceSize(Math.max(partialBytes, other.partialBytes), Math.max(counterBytes, other.counterBytes));
    }

    /** Whether a workspace of this size serves a launch that needs {@code other}. */
    public boolean covers(WorkspaceSize other) {
        return partialBytes >= other.partialBytes && counterBytes >= other.counterBytes;
    }

    public long totalBytes() {
        return partialBytes + counterBytes;
    }

    @Override
    public String toString() {
        return partialBytes + " bytes of partial tiles + " + counterBytes + " bytes of counters";
    }
}
