package io.github.jmarlin.checkpoint.container;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * A whole file mapped read-only, of any size.
 *
 * <p>A {@link MappedByteBuffer} ends at 2 GiB, so the file is mapped in windows that start every GiB and overlap:
 * <pre>
 *   file      0        1 GiB      2 GiB      3 GiB      4 GiB
 *   window 0  [--------------------)
 *   window 1           [--------------------)
 *   window 2                      [--------------------)
 * </pre>
 * Any range of at most 1 GiB lies inside the window of its first byte, wherever it starts. Mapping costs address space, not
 * memory. The windows are unmapped by the garbage collector: a slice in use can never be pulled away.
 */
public final class MappedFile {
    /** The longest range that {@link #slice} gives in one piece, in bytes. */
    public static final int LONGEST_SLICE = 1 << 30;

    private final Path path;
    private final long size;
    private final ByteBuffer[] windows;

    private MappedFile(Path path, long size, ByteBuffer[] windows) {
        this.path = path;
        this.size = size;
        this.windows = windows;
    }

    /**
     * Maps a file.
     *
     * @throws IOException if it cannot be read
     */
    public static MappedFile open(Path path) throws IOException {
        return FileProblem.explained("map this file", path, () -> map(path));
    }

    private static MappedFile map(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            long size = channel.size();
            ByteBuffer[] windows = new ByteBuffer[(int) Math.max(1, (size + LONGEST_SLICE - 1) / LONGEST_SLICE)];
            for (int i = 0; i < windows.length; i++) {
                long start = (long) i * LONGEST_SLICE;
                windows[i] = channel.map(FileChannel.MapMode.READ_ONLY, start,
                        Math.min(size - start, 2L * LONGEST_SLICE - 1));
            }
            return new MappedFile(path, size, windows);
        }
    }

    /** Content that is in memory already, under the name of a file. */
    public static MappedFile of(Path path, ByteBuffer content) {
        ByteBuffer window = content.slice();
        return new MappedFile(path, window.capacity(), new ByteBuffer[] {window});
    }

    /** Where it lies. */
    public Path path() {
        return path;
    }

    /** Its size in bytes. */
    public long size() {
        return size;
    }

    /**
     * Bytes {@code [offset, offset + length)}, little-endian and read-only.
     *
     * @param length at most {@link #LONGEST_SLICE}
     */
    public ByteBuffer slice(long offset, int length) {
        if (offset < 0 || length < 0 || length > LONGEST_SLICE || offset > size - length) {
            throw new IllegalArgumentException("range of " + length + " bytes at offset " + offset + " of " + path
                    + ": must lie inside its " + size + " bytes and be at most " + LONGEST_SLICE + " long");
        }
        int window = (int) Math.min(offset / LONGEST_SLICE, windows.length - 1);
        return windows[window].slice((int) (offset - (long) window * LONGEST_SLICE), length).order(ByteOrder.LITTLE_ENDIAN);
    }
}
