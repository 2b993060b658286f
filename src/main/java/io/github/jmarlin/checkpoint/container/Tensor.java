package io.github.jmarlin.checkpoint.container;

import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.LongStream;

/**
 * A tensor of an open checkpoint: its header entry and read-only access to its bytes, which are a range of a mapped file, or made from
 * one while they are read. Thread-safe.
 */
public final class Tensor {
    /** Bytes that are made at a time. */
    private static final long PIECE = 8L << 20;

    private final Path file;
    private final TensorInfo info;
    private final long fileOffset;
    private final Content content;
    private final boolean mapped;

    /** What gives a tensor's bytes. */
    public interface Content {
        /** Bytes {@code [offset, offset + length)} of the tensor, little-endian and read-only; the range was checked. */
        ByteBuffer slice(long offset, int length);
    }

    /**
     * A range of a file.
     *
     * @param dataStart byte of the file from which {@code info} counts
     */
    public Tensor(MappedFile file, TensorInfo info, long dataStart) {
        this.file = file.path();
        this.info = info;
        this.fileOffset = dataStart + info.begin();
        this.content = (offset, length) -> file.slice(fileOffset + offset, length);
        this.mapped = true;
    }

    private Tensor(Tensor source, TensorInfo info, Content content, boolean mapped) {
        this.file = source.file;
        this.info = info;
        this.fileOffset = source.fileOffset;
        this.content = content;
        this.mapped = mapped;
    }

    /** A tensor whose bytes are made from another one's: rows in another order, or decoded. */
    public static Tensor derived(Tensor source, TensorInfo info, Content content) {
        return new Tensor(source, info, content, false);
    }

    /** The same under another name and, of as many bytes, with another type and shape. */
    public Tensor as(String name, TensorType type, List<Long> shape) {
        TensorInfo other = new TensorInfo(name, type, shape, info.begin(), info.end());
        return new Tensor(this, other, content, mapped);
    }

    /** The file that holds it. */
    public Path file() {
        return file;
    }

    /** The header entry. */
    public TensorInfo info() {
        return info;
    }

    /** The name. */
    public String name() {
        return info.name();
    }

    /** The element type. */
    public TensorType type() {
        return info.type();
    }

    /** The shape, row-major. */
    public List<Long> shape() {
        return info.shape();
    }

    /** Size in bytes. */
    public long bytes() {
        return info.bytes();
    }

    /** Byte of the file at which the tensor starts, or what it is made from; nothing is known about its alignment. */
    public long fileOffset() {
        return fileOffset;
    }

    /** Whether the bytes lie in the file as they are; otherwise {@link #slice} makes them, and {@link #memory} all of them. */
    public boolean isMapped() {
        return mapped;
    }

    /**
     * Bytes {@code [offset, offset + length)} of the tensor, straight from the map if they lie there, little-endian and read-only.
     *
     * @param length at most {@link MappedFile#LONGEST_SLICE}
     */
    public ByteBuffer slice(long offset, int length) {
        if (offset < 0 || length < 0 || offset > bytes() - length) {
            throw new IllegalArgumentException("range of " + length + " bytes at offset " + offset
                    + " does not lie inside tensor " + name() + " of " + bytes() + " bytes");
        }
        return content.slice(offset, length);
    }

    /**
     * All of the tensor, in the map of its file; in a map of its own only if it is longer than one slice can be. What does not lie in
     * the file is made in memory of its own, which the caller may close.
     *
     * @param granule bytes of the unit that must stay contiguous
     */
    public NativeMemory memory(long granule) throws IOException {
        if (!mapped) {
            return made(granule);
        }
        return bytes() <= MappedFile.LONGEST_SLICE ? NativeMemory.wrap(slice(0, (int) bytes()))
                : NativeMemory.map(file(), fileOffset(), bytes(), granule);
    }

    private NativeMemory made(long granule) {
        NativeMemory memory = NativeMemory.allocate(bytes(), granule);
        int piece = (int) Math.max(1, PIECE / granule * granule);
        long pieces = (bytes() + piece - 1) / piece;
        LongStream.range(0, pieces).parallel().forEach(i -> {
            int length = (int) Math.min(piece, bytes() - i * piece);
            for (int at = 0, part; at < length; at += part) {
                part = memory.contiguous(i * piece + at, length - at);
                memory.copyFrom(i * piece + at, slice(i * piece + at, part));
            }
        });
        return memory;
    }

    /** The exception for this tensor. */
    public MalformedCheckpointException malformed(Object found, String rule) {
        return new MalformedCheckpointException(file(), "tensor " + name(), found, rule);
    }

    /** The exception for the element whose first byte is {@code offset} into this tensor. */
    public MalformedCheckpointException malformed(long offset, Object found, String rule) {
        return new MalformedCheckpointException(file(), "tensor " + name() + (mapped ? ", file offset " + (fileOffset + offset)
                : ", byte " + offset + " of what is made of the file's from " + fileOffset + " on"), found, rule);
    }

    @Override
    public String toString() {
        return name() + " " + type() + " " + shape();
    }
}
