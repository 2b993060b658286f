package io.github.jmarlin.checkpoint.container;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Writes one safetensors file so that it either exists whole or not at all: the bytes go to a temporary file beside the target,
 * which is synced and then renamed by {@link #commit}. Whatever happens before that, a file under the target's name is complete.
 *
 * <p>The layout is fixed first, the bytes may come in any order and from several threads.
 */
public final class SafetensorsWriter implements AutoCloseable {
    /** How the temporary file's name ends; a leftover of a killed process is overwritten by the next one. */
    public static final String TEMPORARY_SUFFIX = ".partial";

    private final Path target;
    private final Path temporary;
    private final BlockChannel channel;
    private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    private final Map<String, String> metadata;
    private final long dataStart;
    private final long dataBytes;
    private final AtomicLong written = new AtomicLong();
    private boolean committed;

    /** Lays tensors out one behind the other, in the order they are added. */
    public static final class Layout {
        private final List<TensorInfo> tensors = new ArrayList<>();
        private long end;

        /** Adds a tensor behind the last one. */
        public Layout add(String name, TensorType type, List<Long> shape) {
            long bytes = TensorInfo.bytes(type, shape);
            if (bytes < 0) {
                throw new IllegalArgumentException("tensor " + name + ": shape " + shape + " of " + type
                        + " is no whole number of bytes below 2^63");
            }
            tensors.add(new TensorInfo(name, type, shape, end, Math.addExact(end, bytes)));
            end += bytes;
            return this;
        }

        /** Adds a tensor of {@code dimensions}. */
        public Layout add(String name, TensorType type, long... dimensions) {
            return add(name, type, java.util.Arrays.stream(dimensions).boxed().toList());
        }

        /** The tensors so far. */
        public List<TensorInfo> tensors() {
            return List.copyOf(tensors);
        }

        /** Bytes of data so far. */
        public long bytes() {
            return end;
        }
    }

    /**
     * Starts a file of {@code layout} that will be {@code target}; its folder must exist.
     *
     * @throws FileSystemException if the file system has too little space, before anything is written
     */
    public static SafetensorsWriter create(Path target, Layout layout, Map<String, String> metadata) throws IOException {
        byte[] header = SafetensorsHeader.render(layout.tensors, metadata);
        requireSpace(target.toAbsolutePath().getParent(), header.length + layout.bytes());
        return new SafetensorsWriter(target, layout, metadata, header);
    }

    private SafetensorsWriter(Path target, Layout layout, Map<String, String> metadata, byte[] header) throws IOException {
        this.target = target.toAbsolutePath();
        this.temporary = this.target.resolveSibling(this.target.getFileName() + TEMPORARY_SUFFIX);
        for (TensorInfo tensor : layout.tensors) {
            if (tensors.put(tensor.name(), tensor) != null) {
                throw new IllegalArgumentException("tensor " + tensor.name() + " twice in one file");
            }
        }
        this.metadata = new ConcurrentHashMap<>(metadata);
        this.dataStart = header.length;
        this.dataBytes = layout.bytes();
        this.channel = FileProblem.explained("create this file", temporary, () -> BlockChannel.create(temporary,
                header.length + layout.bytes()));
        try {
            writeFully(ByteBuffer.wrap(header), 0);
        } catch (Throwable e) {
            try {
                close();
            } catch (IOException again) {
                e.addSuppressed(again);
            }
            throw e;
        }
    }

    /**
     * Fails if the file system of {@code folder} has fewer than {@code bytes} bytes to give.
     *
     * @throws FileSystemException naming the bytes needed and free
     */
    public static void requireSpace(Path folder, long bytes) throws IOException {
        long free = FileProblem.explained("ask for the free space of this folder", folder,
                () -> Files.getFileStore(folder).getUsableSpace());
        if (free < bytes) {
            throw new FileSystemException(folder.toString(), null,
                    "too little disk space: " + bytes + " bytes needed, " + free + " free");
        }
    }

    /** Where the file will be. */
    public Path target() {
        return target;
    }

    /** Writes the remaining bytes of {@code bytes} at byte {@code offset} of a tensor. Every byte must be written once. */
    public void write(String tensor, long offset, ByteBuffer bytes) throws IOException {
        TensorInfo info = tensors.get(tensor);
        if (info == null) {
            throw new IllegalArgumentException("no tensor " + tensor + " in " + target);
        }
        int length = bytes.remaining();
        if (offset < 0 || offset > info.bytes() - length) {
            throw new IllegalArgumentException("range of " + length + " bytes at offset " + offset
                    + " does not lie inside tensor " + tensor + " of " + info.bytes() + " bytes");
        }
        writeFully(bytes, dataStart + info.begin() + offset);
        written.addAndGet(length);
    }

    /** Replaces a metadata value by one that was not known at the start; both must take the same room in the header. */
    public void replaceMetadata(String key, String value) {
        if (metadata.replace(key, value) == null) {
            throw new IllegalArgumentException("no metadata " + key + " in " + target);
        }
    }

    /** Copies a whole tensor of another file. */
    public void copy(Tensor source) throws IOException {
        int piece = 1 << 24;
        for (long at = 0; at < source.bytes(); at += piece) {
            write(source.name(), at, source.slice(at, (int) Math.min(piece, source.bytes() - at)));
        }
    }

    /**
     * Syncs the file and gives it its name.
     *
     * @throws IllegalStateException if not every byte was written
     */
    public void commit() throws IOException {
        if (written.get() != dataBytes) {
            throw new IllegalStateException(target + ": " + written.get() + " of " + dataBytes + " bytes were written");
        }
        byte[] header = SafetensorsHeader.render(List.copyOf(tensors.values()), metadata);
        if (header.length != dataStart) {
            throw new IllegalStateException(target + ": replaced metadata changed the header from " + dataStart + " to "
                    + header.length + " bytes");
        }
        writeFully(ByteBuffer.wrap(header), 0);
        FileProblem.explained("sync this file", temporary, () -> {
            channel.sync();
            return null;
        });
        channel.close();
        publish(temporary, target);
        committed = true;
    }

    /** Writes a small file whole or not at all. */
    public static void writeAtomically(Path target, byte[] content) throws IOException {
        Path temporary = target.resolveSibling(target.getFileName() + TEMPORARY_SUFFIX);
        try (FileChannel out = FileChannel.open(temporary, StandardOpenOption.CREATE, StandardOpenOption.WRITE,
                StandardOpenOption.TRUNCATE_EXISTING)) {
            for (ByteBuffer bytes = ByteBuffer.wrap(content); bytes.hasRemaining(); ) {
                out.write(bytes);
            }
            out.force(true);
        }
        publish(temporary, target);
    }

    /** Gives a synced file its final name, and makes the name itself durable. */
    public static void publish(Path temporary, Path target) throws IOException {
        FileProblem.explained("give this file its name", target, () -> Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE,
                StandardCopyOption.REPLACE_EXISTING));
        try (FileChannel folder = FileChannel.open(target.toAbsolutePath().getParent(), StandardOpenOption.READ)) {
            folder.force(true);
        } catch (IOException e) {
            // NOTES: Windows cannot open a folder; its rename is already durable there.
            if (System.getProperty("os.name").startsWith("Linux")) {
                throw e;
            }
        }
    }

    /** Drops the temporary file unless {@link #commit} succeeded. */
    @Override
    public void close() throws IOException {
        channel.close();
        if (!committed) {
            Files.deleteIfExists(temporary);
        }
    }

    private void writeFully(ByteBuffer bytes, long position) throws IOException {
        FileProblem.explained("write into this file", temporary, () -> {
            channel.write(bytes, position);
            return null;
        });
    }
}
