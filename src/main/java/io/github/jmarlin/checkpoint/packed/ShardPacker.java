package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.SafetensorsWriter;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.checkpoint.packed.PackPlan.Shard;
import io.github.jmarlin.checkpoint.packed.PackedLayer.Part;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Packs shards on several threads. The unit of work is a slab: some strips of one layer, read, packed and written at their
 * place. A strip's bytes depend on no other strip, so slabs need no order, and only as many are in memory as there are threads.
 */
final class ShardPacker implements AutoCloseable {
    /** Codes of a slab: the row-major and the packed form take half a byte each, and should meet in the cache. */
    private static final long SLAB_CODES = 4L << 20;
    private static final long COPY_BYTES = 8L << 20;
    /** Slabs waiting per thread, so that none runs dry while the next is submitted. */
    private static final int QUEUED_PER_THREAD = 4;

    private final PackOptions options;
    private final ForkJoinPool pool;
    private final Semaphore room;
    private final AtomicReference<Throwable> failure = new AtomicReference<>();

    ShardPacker(PackOptions options) {
        this.options = options;
        this.pool = new ForkJoinPool(options.threads(), ForkJoinPool.defaultForkJoinWorkerThreadFactory, null, false, options.threads(),
                options.threads() * 3, options.threads(), full -> true, 1, java.util.concurrent.TimeUnit.SECONDS);
        this.room = new Semaphore(options.threads() * QUEUED_PER_THREAD);
    }

    private interface Work {
        void run() throws IOException;
    }

    /** A file being written, and how many of its pieces are still missing. The first piece is the submission itself. */
    private final class OpenShard {
        private final SafetensorsWriter writer;
        private final AtomicInteger missing = new AtomicInteger(1);

        OpenShard(SafetensorsWriter writer) {
            this.writer = writer;
        }

        /** Runs {@code work} on some thread, as soon as there is room, and counts {@code bytes} as dealt with. */
        void submit(long bytes, Work work) {
            if (failure.get() != null) {
                return;
            }
            room.acquireUninterruptibly();
            missing.incrementAndGet();
            pool.execute(() -> {
                try {
                    if (failure.get() == null) {
                        work.run();
                        options.progress().advanced(bytes);
                    }
                } catch (Throwable e) {
                    failure.compareAndSet(null, e);
                } finally {
                    room.release();
                    done();
                }
            });
        }

        /** Whoever finishes the last piece publishes the file, or drops it if anything failed. */
        void done() {
            if (missing.decrementAndGet() > 0) {
                return;
            }
            try (writer) {
                if (failure.get() == null) {
                    OnDisk.run(writer::commit);
                }
            } catch (Throwable e) {
                failure.compareAndSet(null, e);
            }
        }
    }

    /** Waits for the disk; meanwhile the pool lets another thread work. */
    private static final class OnDisk implements ForkJoinPool.ManagedBlocker {
        private final Work work;
        private boolean done;

        OnDisk(Work work) {
            this.work = work;
        }

        /** Does {@code work} on this thread. */
        static void run(Work work) throws IOException {
            try {
                ForkJoinPool.managedBlock(new OnDisk(work));
            } catch (InterruptedException e) {
                throw new IOException("interrupted while writing", e);
            } catch (UncheckedIOException e) {
                throw e.getCause();
            }
        }

        @Override
        public boolean block() {
            try {
                work.run();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            done = true;
            return true;
        }

        @Override
        public boolean isReleasable() {
            return done;
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
                    open.submit(length, () -> open.writer.write(tensor.name(), from, tensor.slice(from, length)));
                }
            }
        } finally {
            open.done();
        }
    }

    private void submitLayer(OpenShard open, LayerSource source, PackedLayer layer) {
        open.submit(0, () -> {
            String checksum = SourceChecksum.of(source.tensors());
            open.writer.replaceMetadata(PackedModel.LAYER_KEY + layer.name(), layer.withSourceChecksum(checksum).toJson());
        });
        int step = (int) Math.max(1, SLAB_CODES / source.k() / source.columnStep()) * source.columnStep();
        for (int from = 0; from < source.n(); from += step) {
            int first = from;
            int to = (int) Math.min(source.n(), (long) from + step);
            long bytes = source.bytes() * to / source.n() - source.bytes() * from / source.n();
            open.submit(bytes, () -> packSlab(open.writer, source, layer, first, to));
        }
    }

    private static void packSlab(SafetensorsWriter writer, LayerSource source, PackedLayer layer, int from, int to)
            throws IOException {
        try (PackedWeights packed = source.pack(from, to, layer.computeType())) {
            StripedLayout layout = layer.layout();
            long strip = from / StripedLayout.BLOCK;
            write(writer, layer.tensor(Part.CODES), strip * layout.stripCodeBytes(), packed.codes());
            write(writer, layer.tensor(Part.SCALES), strip * layout.stripScaleBytes(), packed.scales());
            if (layer.form().storesOffsets()) {
                write(writer, layer.tensor(Part.ZEROS), strip * layout.stripScaleBytes(), packed.zeros());
            }
            write(writer, layer.tensor(Part.FACTORS), (long) from * Float.BYTES, packed.factors());
            if (layer.bias()) {
                write(writer, layer.tensor(Part.BIAS), (long) from * Float.BYTES, packed.bias());
            }
            if (layer.actOrder() && from == 0) {
                writer.write(layer.tensor(Part.INPUT_ORDER), 0, bytes(packed.inputOrder()));
            }
        } catch (IllegalArgumentException e) {
            throw new MalformedCheckpointException(source.tensors().get(0).file(), "layer " + source.name(), e.getMessage(),
                    "must be packable", e);
        }
    }

    /** Writes a whole region, as much at a time as is contiguous: two writes into one file never overlap, however short. */
    private static void write(SafetensorsWriter writer, String tensor, long offset, NativeMemory region) throws IOException {
        int length;
        for (long at = 0; at < region.size(); at += length) {
            length = region.contiguous(at, region.size() - at);
            ByteBuffer bytes = region.slice(at, length);
            long to = offset + at;
            OnDisk.run(() -> writer.write(tensor, to, bytes));
        }
    }

    private static ByteBuffer bytes(IntBuffer values) {
        ByteBuffer bytes = ByteBuffer.allocate(values.remaining() * Integer.BYTES).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(values);
        return bytes;
    }

    /** Waits for all files; throws what went wrong first. */
    void finish() throws IOException {
        room.acquireUninterruptibly(options.threads() * QUEUED_PER_THREAD);
        room.release(options.threads() * QUEUED_PER_THREAD);
        pool.awaitQuiescence(Long.MAX_VALUE, java.util.concurrent.TimeUnit.NANOSECONDS);
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
        pool.awaitQuiescence(Long.MAX_VALUE, java.util.concurrent.TimeUnit.NANOSECONDS);
        pool.shutdown();
    }
}
