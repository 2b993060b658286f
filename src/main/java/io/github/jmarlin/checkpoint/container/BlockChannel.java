package io.github.jmarlin.checkpoint.container;

import com.sun.nio.file.ExtendedOpenOption;
import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/**
 * A new file, written from several threads at places of their own. Long runs of whole blocks of the file system go from memory to
 * the disk without a copy in the page cache, which would cost as much as packing and push out the source that is being read:
 * <pre>
 *   position   |       |  block  |  block  |  block  |     |
 *              | cache |           disk              |cache|
 * </pre>
 * What is short goes through the cache, many pieces at a time: a file system lets nobody else write meanwhile. So does everything where
 * the file system has no other way. No block goes both ways, so neither ever overwrites the other.
 */
final class BlockChannel implements AutoCloseable {
    /** A multiple of the file system's, which decides, and mostly of a page of its cache. */
    private static final int BLOCK = NativeMemory.PAGE_BYTES;
    /** Shorter runs are not worth a request of their own. */
    private static final int SHORTEST_RUN = 64 << 10;
    /** What is not in memory as it is in blocks is copied, so much at a time. */
    private static final int COPIED_BYTES = 2 << 20;
    private static final int MOST_WAITING_BYTES = 1 << 20;

    private final FileChannel cached;
    /** Null where there is none. */
    private final FileChannel direct;
    private List<Piece> waiting = new ArrayList<>();
    private int waitingBytes;

    private record Piece(ByteBuffer bytes, long position) {
    }

    private BlockChannel(FileChannel cached, FileChannel direct) {
        this.cached = cached;
        this.direct = direct;
    }

    /** Creates a file, or empties one, that will be at most {@code length} bytes long. */
    static BlockChannel create(Path file, long length) throws IOException {
        return create(file, length, true);
    }

    /** The same, with or without asking the file system for writes past its cache. */
    static BlockChannel create(Path file, long length, boolean pastCache) throws IOException {
        FileChannel cached = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE,
                StandardOpenOption.TRUNCATE_EXISTING);
        try {
            return new BlockChannel(cached, pastCache ? direct(file, length) : null);
        } catch (Throwable e) {
            cached.close();
            throw e;
        }
    }

    /** The other way into the file, which then has its length: writes that do not make it longer do not wait for each other. */
    private static FileChannel direct(Path file, long length) throws IOException {
        if (BLOCK % Files.getFileStore(file).getBlockSize() != 0) {
            return null;
        }
        FileChannel direct;
        try {
            direct = FileChannel.open(file, StandardOpenOption.WRITE, ExtendedOpenOption.DIRECT);
        } catch (IOException | UnsupportedOperationException e) {
            return null;
        }
        try (RandomAccessFile sized = new RandomAccessFile(file.toFile(), "rw")) {
            sized.setLength(length);
            return direct;
        } catch (Throwable e) {
            direct.close();
            throw e;
        }
    }

    /** Whether there is a way past the cache. */
    boolean isDirect() {
        return direct != null;
    }

    /** Writes the remaining bytes of {@code bytes}, whose position stays, from byte {@code position} of the file on. */
    void write(ByteBuffer bytes, long position) throws IOException {
        int length = bytes.remaining();
        if (direct == null) {
            writeFully(cached, bytes.duplicate(), position);
            return;
        }
        int head = (int) Math.min(length, Math.floorMod(-position, (long) BLOCK));
        int run = (length - head) / BLOCK * BLOCK;
        if (run < SHORTEST_RUN) {
            writeLater(bytes.duplicate(), position);
            return;
        }
        int from = bytes.position();
        writeLater(bytes.slice(from, head), position);
        writeBlocks(bytes.slice(from + head, run), position + head);
        writeLater(bytes.slice(from + head + run, length - head - run), position + head + run);
    }

    private void writeBlocks(ByteBuffer run, long position) throws IOException {
        try {
            writeDirect(run.duplicate(), position);
        } catch (IOException e) {
            // Refused although the file was opened so: what is really wrong, the other way will say.
            writeFully(cached, run, position);
        }
    }

    private void writeDirect(ByteBuffer run, long position) throws IOException {
        if (run.isDirect() && run.alignmentOffset(0, BLOCK) == 0) {
            writeFully(direct, run, position);
            return;
        }
        try (NativeMemory aligned = NativeMemory.allocate(Math.min(COPIED_BYTES, run.remaining()), COPIED_BYTES)) {
            for (int at = 0, part; at < run.limit(); at += part) {
                part = Math.min(COPIED_BYTES, run.limit() - at);
                aligned.copyFrom(0, run.slice(at, part));
                writeFully(direct, aligned.slice(0, part), position + at);
            }
        }
    }

    private void writeLater(ByteBuffer bytes, long position) throws IOException {
        if (!bytes.hasRemaining()) {
            return;
        }
        ByteBuffer copy = ByteBuffer.allocate(bytes.remaining()).put(bytes).flip();
        List<Piece> full = List.of();
        synchronized (this) {
            waiting.add(new Piece(copy, position));
            waitingBytes += copy.limit();
            if (waitingBytes > MOST_WAITING_BYTES) {
                full = takeWaiting();
            }
        }
        write(full);
    }

    private synchronized List<Piece> takeWaiting() {
        List<Piece> taken = waiting;
        waiting = new ArrayList<>();
        waitingBytes = 0;
        return taken;
    }

    private void write(List<Piece> pieces) throws IOException {
        for (Piece piece : pieces) {
            writeFully(cached, piece.bytes, piece.position);
        }
    }

    private static void writeFully(FileChannel channel, ByteBuffer bytes, long position) throws IOException {
        for (long at = position; bytes.hasRemaining(); ) {
            at += channel.write(bytes, at);
        }
    }

    /** Waits until all of it is on the disk. */
    void sync() throws IOException {
        write(takeWaiting());
        cached.force(true);
    }

    /** Forgets what was not {@linkplain #sync synced}. */
    @Override
    public void close() throws IOException {
        try (cached; FileChannel also = direct) {
            // Both.
        }
    }
}
