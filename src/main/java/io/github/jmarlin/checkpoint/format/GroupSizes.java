package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.util.List;

/** Which group sizes of files can run: every multiple of 32, and one group per column. Groups of 16 are of 4-bit floats, which say so. */
final class GroupSizes {
    static final String ACCEPTED = "-1 (one group per column) or a multiple of 32";
    private static final int[] OURS = {256, 128, 64, 32, 16};

    private GroupSizes() {
    }

    /** Whether rows in groups of {@code fileGroupSize} can be expressed in groups of 32, 64, 128 or 256. */
    static boolean isSupported(long fileGroupSize, int k) {
        return fileGroupSize >= k || fileGroupSize > 0 && fileGroupSize % 32 == 0;
    }

    /**
     * Rows per scale of a layer's file, at most k. Where places differ, the number of scale rows decides if it can.
     *
     * @param stated the different values that the configuration's places have, -1 for one group per column; none: {@code otherwise}
     * @param groups rows of scales in the file
     * @throws UnsupportedCheckpointException if the size cannot be expressed in ours
     * @throws io.github.jmarlin.checkpoint.container.MalformedCheckpointException if two sizes fit the file
     */
    static int ofFile(String layer, List<ConfigNode> stated, long otherwise, int k, long groups) {
        if (stated.isEmpty()) {
            return checked(null, layer, otherwise, k);
        }
        List<ConfigNode> fitting = stated.size() == 1 ? stated : stated.stream()
                .filter(node -> (k - 1L) / rows(node.number(), k) + 1 == groups).toList();
        if (fitting.size() > 1 && rows(fitting.get(0).number(), k) != rows(fitting.get(1).number(), k)) {
            throw QuantizationConfig.disagree(fitting.get(0), fitting.get(1), "layer " + layer + " with k " + k + " and " + groups
                    + " rows of scales fits both");
        }
        ConfigNode chosen = fitting.isEmpty() ? stated.get(0) : fitting.get(0);
        return checked(chosen, layer, chosen.number(), k);
    }

    private static int checked(ConfigNode where, String layer, long size, int k) {
        if (size != -1 && !isSupported(size, k)) {
            throw new UnsupportedCheckpointException(where.file(), "layer " + layer + ", key " + where.path(),
                    "group_size " + size, ACCEPTED);
        }
        return (int) rows(size, k);
    }

    /** Rows that share a scale; at least 1, so that a size nobody can mean does not divide by zero. */
    private static long rows(long size, int k) {
        return size == -1 ? k : Math.max(1, Math.min(size, k));
    }

    /** Our group size for the file's: itself, or the largest that divides it, or -1 if one group spans all rows. */
    static int forFile(int fileGroupSize, int k) {
        if (fileGroupSize >= k) {
            return -1;
        }
        for (int ours : OURS) {
            if (fileGroupSize % ours == 0) {
                return ours;
            }
        }
        throw new IllegalArgumentException("group size " + fileGroupSize + " is not supported: " + ACCEPTED);
    }
}
