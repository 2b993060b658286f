package io.github.jmarlin.cuda.decoder;

import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.memory.Closing;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** Activations of up to so many rows, what names the rows, and what comes out. */
final class DecoderBuffers implements AutoCloseable {
    /** Rows whose logits there is room for. */
    static final int MOST_OUTPUTS = 64;
    /** What the attention kernel's partial sums may take. */
    private static final long MOST_PARTIAL_BYTES = 64L << 20;
    /** Blocks of the attention kernel that fill a multiprocessor. */
    private static final int BLOCKS_PER_MULTIPROCESSOR = 4;

    private final List<DeviceBuffer> owned = new ArrayList<>();
    private final CudaEngine engine;
    private final int mostRows;
    private final int outputs;
    private final int logitsStride;
    private final int chunks;
    private final int blocks;
    private final int mostSplitItems;
    private final DeviceBuffer rows;
    private final DeviceBuffer residual;
    private final DeviceBuffer hidden;
    private final DeviceBuffer qkv;
    private final DeviceBuffer queries;
    private final DeviceBuffer attended;
    private final DeviceBuffer delta;
    private final DeviceBuffer gateUp;
    private final DeviceBuffer activated;
    private final DeviceBuffer gathered;
    private final DeviceBuffer last;
    private final DeviceBuffer logits;
    private final DeviceBuffer ids;
    private final DeviceBuffer partials;
    private final DeviceBuffer counters;

    /** @param gatheredColumns the most columns of activations that are put into another order; 0 if none are */
    DecoderBuffers(CudaEngine engine, DecoderShape shape, int mostRows, int positions, int gatheredColumns) {
        this.engine = engine;
        this.mostRows = mostRows;
        outputs = Math.min(mostRows, MOST_OUTPUTS);
        logitsStride = (shape.vocabulary() + 3) / 4 * 4;
        chunks = (positions + RowKernels.CHUNK - 1) / RowKernels.CHUNK;
        blocks = BLOCKS_PER_MULTIPROCESSOR * engine.facts().multiprocessors();
        long partialBytes = (long) Float.BYTES * chunks * RowKernels.partialFloats(shape.headSize());
        long items = (long) mostRows * shape.keyValueHeads() * shape.headTiles();
        mostSplitItems = (int) Math.min(Math.min(items, blocks / 2), MOST_PARTIAL_BYTES / partialBytes);
        try {
            rows = allocate(4L * Integer.BYTES * mostRows, "token ids and positions");
            residual = allocate((long) Float.BYTES * mostRows * shape.hidden(), "residual stream");
            hidden = activations(shape.hidden(), "normed activations");
            qkv = activations(shape.qkv(), "q, k and v");
            queries = activations(shape.queries(), "queries");
            attended = activations(shape.queries(), "attention");
            delta = activations(shape.hidden(), "what a block adds");
            gateUp = activations(2 * shape.intermediate(), "gate and up");
            activated = activations(shape.intermediate(), "gate times up");
            gathered = activations(Math.max(1, gatheredColumns), "gathered activations");
            last = allocate((long) Short.BYTES * outputs * shape.hidden(), "last activations");
            logits = allocate((long) Float.BYTES * outputs * logitsStride, "logits");
            ids = allocate((long) Integer.BYTES * outputs, "chosen tokens");
            partials = allocate(Math.max(1, mostSplitItems * partialBytes), "partial sums of attention");
            counters = allocate((long) Integer.BYTES * Math.max(1, mostSplitItems), "counters of attention");
            counters.upload(0, ByteBuffer.allocateDirect((int) counters.size()));
        } catch (Throwable e) {
            Closing.after(e, owned.toArray(AutoCloseable[]::new));
            throw e;
        }
    }

    private DeviceBuffer activations(int columns, String purpose) {
        return allocate((long) Short.BYTES * mostRows * columns, purpose);
    }

    private DeviceBuffer allocate(long bytes, String purpose) {
        DeviceBuffer buffer = engine.allocate(bytes, purpose);
        owned.add(buffer);
        return buffer;
    }

    /**
     * Over how many blocks each item of the attention kernel (row, key/value head, tile of heads) is spread: where there are fewer items
     * than the device has room for, and partial sums fit. No result depends on it.
     */
    int splits(int items) {
        return items > mostSplitItems ? 1 : Math.max(1, Math.min(chunks, blocks / items));
    }

    /** Token ids, positions, sequences and output rows, {@link #mostRows} of each, one array behind the other. */
    DeviceBuffer rows() {
        return rows;
    }

    long tokens() {
        return rows.address();
    }

    long positions() {
        return rows.address() + (long) Integer.BYTES * mostRows;
    }

    long slots() {
        return rows.address() + 2L * Integer.BYTES * mostRows;
    }

    /** Address of the number of an output's row. */
    long output(int index) {
        return rows.address() + Integer.BYTES * (3L * mostRows + index);
    }

    /** Rows of logits and of ids. */
    int outputs() {
        return outputs;
    }

    long residual() {
        return residual.address();
    }

    long hidden() {
        return hidden.address();
    }

    long qkv() {
        return qkv.address();
    }

    long queries() {
        return queries.address();
    }

    long attended() {
        return attended.address();
    }

    long delta() {
        return delta.address();
    }

    long gateUp() {
        return gateUp.address();
    }

    long activated() {
        return activated.address();
    }

    long gathered() {
        return gathered.address();
    }

    long last() {
        return last.address();
    }

    DeviceBuffer logits() {
        return logits;
    }

    /** Elements from row to row of the logits. */
    int logitsStride() {
        return logitsStride;
    }

    DeviceBuffer ids() {
        return ids;
    }

    long partials() {
        return partials.address();
    }

    long counters() {
        return counters.address();
    }

    @Override
    public void close() {
        Closing.all(owned);
    }
}
