package io.github.jmarlin.checkpoint.format;

/** Which group sizes of files can run: every multiple of 32, and one group per column. */
final class GroupSizes {
    static final String ACCEPTED = "-1 (one group per column) or a multiple of 32";
    private static final int[] OURS = {256, 128, 64, 32};

    private GroupSizes() {
    }

    /** Whether rows in groups of {@code fileGroupSize} can be expressed in groups of 32, 64, 128 or 256. */
    static boolean isSupported(long fileGroupSize, int k) {
        return fileGroupSize >= k || fileGroupSize > 0 && fileGroupSize % 32 == 0;
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
