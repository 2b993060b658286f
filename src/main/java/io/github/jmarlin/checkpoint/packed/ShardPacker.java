package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.SafetensorsWriter;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.checkpoint.packed.PackPlan.Shard;
import io.github.jmarlin.checkpoint.packed.PackedLayer.Part;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.memory.MemoryPool;
import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Packs shards on several threads. The unit of work is a slab: some strips of one layer, read, packed and written at their
 * place. A strip's bytes depend on no other strip, so slabs need no order, and only a few more are in memory than threads pack.
 */
final class ShardPacker implements AutoCloseable {
    /** Codes of a slab: the row-major and the packed form take half a byte each, and should meet in the cache. */
    private static final long SLAB_CODES = 4L << 20;
    private static final long COPY_BYTES = 8L << 20;
    /** Pieces besides those that threads work at: the next ones for them, and those that wait for the disk. */
    private static final int WAITING = 12;
    /** What one takes at most: 8-bit codes and their scales, as a matrix and packed. */
    private static final long LARGEST_PIECE = 10L << 20;

    private final PackOptions options;
    private final ForkJoinPool pool;
    /** Writes: threads that mostly wait, beside those that work. Two keep a disk busy while another syncs what is whole. */
    private final ExecutorService disk = Executors.newFixedThreadPool(3);
    private final MemoryPool memory = new MemoryPool();
    private final int mostPieces;
    private final Semaphore room;
    private final AtomicReference<Throwable> failure = new AtomicReference<>();

    ShardPacker(PackOptions options) {
        this.options = options;
        this.pool = new ForkJoinPool(options.threads());
        // By default the limit of direct memory is that of the heap: many threads work with less at once rather than fail.
        long fitting = Math.max(1, Runtime.getRuntime().maxMemory() / LARGEST_PIECE);
        this.mostPieces = (int) Math.min(options.threads() + WAITING, fitting);
        this.room = new Semaphore(mostPieces);
    }

    /** A piece of a file in memory, to be written by a thread that has nothing else to do. */
    private interface Piece extends AutoCloseable {
        void write() throws IOException;

        @Override
        default void close() {
        }
    }

    /** What makes one. */
    private interface Work {
        Piece make() throws IOException;
    }

    /** A file being written, and how many of its pieces are still missing. The first piece is the submission itself. */
    private final class OpenShard {
        private final SafetensorsWriter writer;
        private final AtomicInteger missing = new AtomicInteger(1);

        OpenShard(SafetensorsWriter writer) {
            this.writer = writer;
        }

        /** Runs {@code work} on some thread, as soon as there is room, and counts {@code bytes} as dealt with when it is written. */
        void submit(long bytes, Work work) {
            if (failure.get() != null) {
                return;
            }
            room.acquireUninterruptibly();
            missing.incrementAndGet();
            try {
                pool.execute(() -> make(work, bytes));
            } catch (Throwable e) {
                fail(e);
            }
        }

        private void make(Work work, long bytes) {
            Piece piece;
            try {
                piece = failure.get() == null ? work.make() : null;
            } catch (Throwable e) {
                fail(e);
                return;
            }
            if (piece == null) {
                finished();
                return;
            }
            try {
                disk.execute(() -> write(piece, bytes));
            } catch (Throwable e) {
                piece.close();
                fail(e);
            }
        }

        private void fail(Throwable e) {
            failure.compareAndSet(null, e);
            finished();
        }

        private void write(Piece piece, long bytes) {
            try (piece) {
                if (failure.get() == null) {
                    piece.write();
                    options.progress().advanced(bytes);
                }
            } catch (Throwable e) {
                failure.compareAndSet(null, e);
            } finally {
                finished();
            }
        }

        private void finished() {
            done();
            room.release();
        }

        /** Whoever finishes the last piece publishes the file, or drops it if anything failed. */
        void done() {
            if (missing.decrementAndGet() > 0) {
                return;
            }
            try (writer) {
                if (failure.get() == null) {
                    writer.commit();
                }
            } catch (Throwable e) {
                failure.compareAndSet(null, e);
            }
        }
    }

    /** Starts a file; returns when its last piece is queued. */
    void submit(Shard shard, Path target, Map<String, String> metadata) throws IOException {
        rethrow();
        OpenShard open = new OpenShard(SafetensorsWriter.create(target, shard.layout(), metadata));
        try {
            for (int i = 0; i < shard.layers.size(); i++) {
                submitLayer(open, shard.sources.get(i), shard.layers.get(i));
            }
            for (Tensor tensor : shard.copies) {
                for (long at = 0; at < tensor.bytes(); at += COPY_BYTES) {
                    long from = at;
                    int length = (int) Math.min(COPY_BYTES, tensor.bytes() - at);
                    open.submit(length, () -> {
                        ByteBuffer bytes = tensor.slice(from, length);
                        return () -> open.writer.write(tensor.name(), from, bytes);
                    });
                }
            }
        } finally {
            open.done();
        }
    }

    private void submitLayer(OpenShard open, LayerSource source, PackedLayer layer) {
        open.submit(0, () -> {
            String checksum = SourceChecksum.of(source.tensors());
            return () -> open.writer.replaceMetadata(PackedModel.LAYER_KEY + layer.name(), layer.withSourceChecksum(checksum).toJson());
        });
        int step = (int) Math.max(1, SLAB_CODES / source.k() / source.columnStep()) * source.columnStep();
        for (int from = 0; from < source.n(); from += step) {
            int first = from;
            int to = (int) Math.min(source.n(), (long) from + step);
            long bytes = source.bytes() * to / source.n() - source.bytes() * from / source.n();
            open.submit(bytes, () -> packSlab(open.writer, source, layer, first, to));
        }
    }

    private Piece packSlab(SafetensorsWriter writer, LayerSource source, PackedLayer layer, int from, int to) {
        try {
            return new Slab(writer, layer, from, source.pack(from, to, layer.computeType(), memory));
        } catch (IllegalArgumentException e) {
            throw new MalformedCheckpointException(source.tensors().get(0).file(), "layer " + source.name(), e.getMessage(),
                    "must be packable", e);
        }
    }

    /** Columns of a layer from {@code from} on. */
    private record Slab(SafetensorsWriter writer, PackedLayer layer, int from, PackedWeights packed) implements Piece {
        @Override
        public void write() throws IOException {
            StripedLayout layout = layer.layout();
            long strip = from / StripedLayout.BLOCK;
            write(Part.CODES, strip * layout.stripCodeBytes(), packed.codes());
            write(Part.SCALES, strip * layout.stripScaleBytes(), packed.scales());
            if (layer.form().storesOffsets()) {
                write(Part.ZEROS, strip * layout.stripScaleBytes(), packed.zeros());
            }
            write(Part.FACTORS, (long) from * Float.BYTES, packed.factors());
            if (layer.bias()) {
                write(Part.BIAS, (long) from * Float.BYTES, packed.bias());
            }
            if (layer.actOrder() && from == 0) {
                writer.write(layer.tensor(Part.INPUT_ORDER), 0, bytes(packed.inputOrder()));
            }
        }

        /** Writes a whole region, as much at a time as is contiguous: two writes into one file never overlap, however short. */
        private void write(Part part, long offset, NativeMemory region) throws IOException {
            int length;
            for (long at = 0; at < region.size(); at += length) {
                length = region.contiguous(at, region.size() - at);
                writer.write(layer.tensor(part), offset + at, region.slice(at, length));
            }
        }

        @Override
        public void close() {
            packed.close();
        }
    }

    private static ByteBuffer bytes(IntBuffer values) {
        ByteBuffer bytes = ByteBuffer.allocate(values.remaining() * Integer.BYTES).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(values);
        return bytes;
    }

    /** Waits for all files; throws what went wrong first. */
    void finish() throws IOException {
        awaitAll();
        rethrow();
    }

    private void rethrow() throws IOException {
        Throwable e = failure.get();
        if (e == null) {
            return;
        }
        if (e instanceof IOException) {
            throw (IOException) e;
        }
        if (e instanceof UncheckedIOException) {
            throw ((UncheckedIOException) e).getCause();
        }
        if (e instanceof RuntimeException) {
            throw (RuntimeException) e;
        }
        throw (Error) e;
    }

    /** Stops the threads. Files that are not whole were dropped. */
    @Override
    public void close() {
        failure.compareAndSet(null, new IllegalStateException("closed"));
        awaitAll();
        pool.shutdown();
        disk.shutdown();
        memory.close();
    }

    /** Whoever deals with a piece, or with a file whose last piece that was, has taken room. */
    private void awaitAll() {
        room.acquireUninterruptibly(mostPieces);
        room.release(mostPieces);
    }
}
