package io.github.jmarlin.memory;

import io.github.jmarlin.JMarlinException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * Off-heap bytes with a long size, little-endian, made of {@link ByteBuffer} segments because one buffer ends at 2 GiB.
 *
 * <p>The <i>granule</i> says where segments may meet: no range inside one granule {@code [i * granule, (i + 1) * granule)} crosses
 * a segment, so the natural unit of the data (a strip, a row) is always one contiguous {@link #slice}.
 *
 * <p>Memory from {@link #allocate} is zeroed (that of a {@link MemoryPool} is not) and starts at a multiple of 64 bytes, of 4096 if it
 * is that long. It is freed by {@link #close}, or by the garbage collector if that is forgotten.
 *
 * <p><b>Threads.</b> Reading and writing follow the rules of {@link ByteBuffer}: safe for concurrent readers and for writers of
 * disjoint ranges. Whoever works on slices while another thread might close takes the memory with {@link #acquire} and gives it
 * back with {@link #release}; a slice used after {@link #close} reads freed memory.
 */
public final class NativeMemory implements AutoCloseable {
    /** Alignment in bytes of what {@link #allocate} returns: a cache line, and more than any vector instruction asks for. */
    public static final int ALIGNMENT = 64;

    /** Alignment of what is at least as long: files can be written from there block by block, past the page cache. */
    public static final int PAGE_BYTES = 4096;
    private static final long LARGEST_SEGMENT = Integer.MAX_VALUE - PAGE_BYTES;
    private static final long PREFERRED_SEGMENT = 1L << 30;

    private final long size;
    private final long segmentBytes;
    private final ByteBuffer[] segments;
    /** Frees it, or leaves that to whom the memory belongs. */
    private final Runnable end;
    private final UseCount uses;

    /** @param owned what {@link BufferCleaner} frees: the buffers as Java made them */
    private NativeMemory(long size, long segmentBytes, ByteBuffer[] segments, ByteBuffer[] owned) {
        this(size, segmentBytes, segments, () -> BufferCleaner.free(owned));
    }

    private NativeMemory(long size, long segmentBytes, ByteBuffer[] segments, Runnable end) {
        this.size = size;
        this.segmentBytes = segmentBytes;
        this.segments = segments;
        this.end = end;
        uses = new UseCount("native memory of " + size + " bytes");
    }

    /**
     * Zeroed memory of {@code bytes} bytes.
     *
     * @param granule bytes of the unit that must stay contiguous, 1 to 2 GiB - 4096
     * @throws JMarlinException if the JVM's limit for direct memory is reached
     */
    public static NativeMemory allocate(long bytes, long granule) {
        return allocate(bytes, granule, PREFERRED_SEGMENT);
    }

    /** As {@link #allocate(long, long)}, with the segment size to aim at, so that tests meet segment borders without gigabytes. */
    static NativeMemory allocate(long bytes, long granule, long preferredSegment) {
        long segmentBytes = segmentBytes(bytes, granule, preferredSegment);
        int count = segmentCount(bytes, segmentBytes);
        ByteBuffer[] owned = new ByteBuffer[count];
        ByteBuffer[] segments = new ByteBuffer[count];
        try {
            for (int i = 0; i < count; i++) {
                int length = (int) Math.min(segmentBytes, bytes - i * segmentBytes);
                int alignment = length < PAGE_BYTES ? ALIGNMENT : PAGE_BYTES;
                owned[i] = ByteBuffer.allocateDirect(length + alignment - 1);
                int start = Math.floorMod(-owned[i].alignmentOffset(0, alignment), alignment);
                segments[i] = owned[i].slice(start, length).order(ByteOrder.LITTLE_ENDIAN);
            }
        } catch (OutOfMemoryError e) {
            BufferCleaner.free(owned);
            throw new JMarlinException("cannot allocate " + bytes + " bytes of direct memory: " + e.getMessage()
                    + " (the limit is set by -XX:MaxDirectMemorySize, by default the heap limit of "
                    + Runtime.getRuntime().maxMemory() + " bytes)", e);
        }
        return new NativeMemory(bytes, segmentBytes, segments, owned);
    }

    /**
     * Bytes {@code [offset, offset + bytes)} of a file, mapped read-only. They are as aligned as {@code offset} is.
     *
     * @throws IOException if the file cannot be mapped or ends before the range does
     */
    public static NativeMemory map(Path file, long offset, long bytes, long granule) throws IOException {
        Objects.requireNonNull(file, "file");
        long segmentBytes = segmentBytes(bytes, granule, PREFERRED_SEGMENT);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long fileSize = channel.size();
            if (offset < 0 || offset > fileSize - bytes) {
                throw new IOException(file + ": range of " + bytes + " bytes at offset " + offset
                        + " does not lie inside the file of " + fileSize + " bytes");
            }
            ByteBuffer[] owned = new ByteBuffer[segmentCount(bytes, segmentBytes)];
            ByteBuffer[] segments = new ByteBuffer[owned.length];
            try {
                for (int i = 0; i < owned.length; i++) {
                    long length = Math.min(segmentBytes, bytes - i * segmentBytes);
                    owned[i] = channel.map(FileChannel.MapMode.READ_ONLY, offset + i * segmentBytes, length);
                    segments[i] = owned[i].slice().order(ByteOrder.LITTLE_ENDIAN);
                }
            } catch (IOException e) {
                BufferCleaner.free(owned);
                throw e;
            }
            return new NativeMemory(bytes, segmentBytes, segments, owned);
        }
    }

    /** The remaining bytes of {@code buffer} as they are; closing does not free them. */
    public static NativeMemory wrap(ByteBuffer buffer) {
        Objects.requireNonNull(buffer, "buffer");
        ByteBuffer segment = buffer.slice().order(ByteOrder.LITTLE_ENDIAN);
        long size = segment.remaining();
        return new NativeMemory(size, Math.max(1, size), new ByteBuffer[] {segment}, new ByteBuffer[0]);
    }

    /** The first {@code bytes} bytes, for someone whose {@link #close} gives them back. */
    NativeMemory lent(long bytes, Consumer<NativeMemory> giveBack) {
        checkRange(0, bytes);
        return new NativeMemory(bytes, segmentBytes, segments, () -> giveBack.accept(this));
    }

    private static long segmentBytes(long bytes, long granule, long preferredSegment) {
        if (bytes < 0) {
            throw new IllegalArgumentException("bytes " + bytes + " is negative");
        }
        if (granule < 1 || granule > LARGEST_SEGMENT) {
            throw new IllegalArgumentException("granule " + granule + " is outside 1.." + LARGEST_SEGMENT);
        }
        return Math.max(1, preferredSegment / granule) * granule;
    }

    private static int segmentCount(long bytes, long segmentBytes) {
        return Math.toIntExact(Math.max(1, (bytes + segmentBytes - 1) / segmentBytes));
    }

    /** Size in bytes. */
    public long size() {
        return size;
    }

    /**
     * Bytes {@code [offset, offset + length)} as a buffer of their own, little-endian.
     *
     * @throws IllegalArgumentException if the range does not lie inside one segment
     */
    public ByteBuffer slice(long offset, int length) {
        ByteBuffer segment = segment(offset, length);
        return segment.slice(inSegment(offset), length).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** How many of the {@code length} bytes from {@code offset} on lie in one segment: as many as {@link #slice} gives at once. */
    public int contiguous(long offset, long length) {
        checkRange(offset, length);
        return partLength(offset, (int) Math.min(length, Integer.MAX_VALUE));
    }

    /** The byte at {@code offset}. */
    public byte getByte(long offset) {
        return segment(offset, Byte.BYTES).get(inSegment(offset));
    }

    /** The two bytes at {@code offset}. */
    public short getShort(long offset) {
        return segment(offset, Short.BYTES).getShort(inSegment(offset));
    }

    /** The four bytes at {@code offset}. */
    public int getInt(long offset) {
        return segment(offset, Integer.BYTES).getInt(inSegment(offset));
    }

    /** The eight bytes at {@code offset}. */
    public long getLong(long offset) {
        return segment(offset, Long.BYTES).getLong(inSegment(offset));
    }

    /** The four bytes at {@code offset} as a float. */
    public float getFloat(long offset) {
        return segment(offset, Float.BYTES).getFloat(inSegment(offset));
    }

    /** Writes one byte. */
    public void putByte(long offset, byte value) {
        segment(offset, Byte.BYTES).put(inSegment(offset), value);
    }

    /** Writes two bytes. */
    public void putShort(long offset, short value) {
        segment(offset, Short.BYTES).putShort(inSegment(offset), value);
    }

    /** Writes four bytes. */
    public void putInt(long offset, int value) {
        segment(offset, Integer.BYTES).putInt(inSegment(offset), value);
    }

    /** Writes eight bytes. */
    public void putLong(long offset, long value) {
        segment(offset, Long.BYTES).putLong(inSegment(offset), value);
    }

    /** Writes a float. */
    public void putFloat(long offset, float value) {
        segment(offset, Float.BYTES).putFloat(inSegment(offset), value);
    }

    /** Copies the remaining bytes of {@code source} to {@code offset}, across segments; the source's position stays. */
    public void copyFrom(long offset, ByteBuffer source) {
        int length = source.remaining();
        checkRange(offset, length);
        for (int done = 0; done < length; ) {
            int part = partLength(offset + done, length - done);
            segment(offset + done, part).put(inSegment(offset + done), source, source.position() + done, part);
            done += part;
        }
    }

    /** Fills the remaining bytes of {@code target} from {@code offset}, across segments; the target's position stays. */
    public void copyTo(long offset, ByteBuffer target) {
        int length = target.remaining();
        checkRange(offset, length);
        for (int done = 0; done < length; ) {
            int part = partLength(offset + done, length - done);
            target.put(target.position() + done, segment(offset + done, part), inSegment(offset + done), part);
            done += part;
        }
    }

    /** Sets every byte to {@code value}. */
    public void fill(byte value) {
        uses.checkOpen();
        byte[] pattern = new byte[1 << 13];
        Arrays.fill(pattern, value);
        for (ByteBuffer segment : segments) {
            for (int at = 0; at < segment.capacity(); at += pattern.length) {
                segment.put(at, pattern, 0, Math.min(pattern.length, segment.capacity() - at));
            }
        }
    }

    /** Announces a use during which {@link #close} must fail. Allocates nothing. */
    public void acquire() {
        uses.acquire();
    }

    /** Ends a use announced by {@link #acquire}. */
    public void release() {
        uses.release();
    }

    /** Whether {@link #close} was called. */
    public boolean isClosed() {
        return uses.isClosed();
    }

    /**
     * Frees the memory at once. A second call does nothing.
     *
     * @throws IllegalStateException while someone holds it, see {@link #acquire}
     */
    @Override
    public void close() {
        if (uses.close()) {
            end.run();
        }
    }

    private void checkRange(long offset, long length) {
        uses.checkOpen();
        if (offset < 0 || length < 0 || offset > size - length) {
            throw new IllegalArgumentException("range of " + length + " bytes at offset " + offset
                    + " does not lie inside native memory of " + size + " bytes");
        }
    }

    /** The segment that holds the whole range. */
    private ByteBuffer segment(long offset, int length) {
        checkRange(offset, length);
        if (segments.length == 1) {
            return segments[0];
        }
        if (partLength(offset, length) < length) {
            throw new IllegalArgumentException("range of " + length + " bytes at offset " + offset
                    + " crosses the border between two segments of " + segmentBytes + " bytes");
        }
        return segments[(int) Math.min(offset / segmentBytes, segments.length - 1)];
    }

    private int inSegment(long offset) {
        if (segments.length == 1) {
            return (int) offset;
        }
        return (int) (offset - Math.min(offset / segmentBytes, segments.length - 1) * segmentBytes);
    }

    /** How many of {@code length} bytes lie in the segment of {@code offset}. */
    private int partLength(long offset, int length) {
        return (int) Math.min(length, segmentBytes - offset % segmentBytes);
    }
}
