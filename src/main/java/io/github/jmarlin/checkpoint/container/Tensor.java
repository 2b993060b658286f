package io.github.jmarlin.checkpoint.container;

import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;

/** A tensor of an open checkpoint: its header entry and read-only access to its mapped bytes. Thread-safe. */
public final class Tensor {
    private final MappedFile file;
    private final TensorInfo info;
    private final long dataStart;

    Tensor(MappedFile file, TensorInfo info, long dataStart) {
        this.file = file;
        this.info = info;
        this.dataStart = dataStart;
    }

    /** The file that holds it. */
    public Path file() {
        return file.path();
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

    /** Byte of the file at which the tensor starts; nothing is known about its alignment. */
    public long fileOffset() {
        return dataStart + info.begin();
    }

    /**
     * Bytes {@code [offset, offset + length)} of the tensor, straight from the map, little-endian and read-only.
     *
     * @param length at most {@link MappedFile#LONGEST_SLICE}
     */
    public ByteBuffer slice(long offset, int length) {
        if (offset < 0 || length < 0 || offset > bytes() - length) {
            throw new IllegalArgumentException("range of " + length + " bytes at offset " + offset
                    + " does not lie inside tensor " + name() + " of " + bytes() + " bytes");
        }
        return file.slice(fileOffset() + offset, length);
    }

    /**
     * All of the tensor, in the map of its file; in a map of its own only if it is longer than one slice can be.
     *
     * @param granule bytes of the unit that must stay contiguous
     */
    public NativeMemory memory(long granule) throws IOException {
        return bytes() <= MappedFile.LONGEST_SLICE ? NativeMemory.wrap(slice(0, (int) bytes()))
                : NativeMemory.map(file(), fileOffset(), bytes(), granule);
    }

    /** The exception for this tensor. */
    public MalformedCheckpointException malformed(Object found, String rule) {
        return new MalformedCheckpointException(file(), "tensor " + name(), found, rule);
    }

    /** The exception for the element whose first byte is {@code offset} into this tensor. */
    public MalformedCheckpointException malformed(long offset, Object found, String rule) {
        return new MalformedCheckpointException(file(),
                "tensor " + name() + ", file offset " + (fileOffset() + offset), found, rule);
    }

    @Override
    public String toString() {
        return name() + " " + type() + " " + shape();
    }
}
