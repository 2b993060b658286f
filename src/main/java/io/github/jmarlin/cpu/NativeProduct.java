package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The product by the native library, a strip of 64 columns per task. Rows that its integers cannot hold (infinities, NaN, extreme
 * magnitudes) are computed in Java, each alone, so that its bits do not depend on the others either.
 */
final class NativeProduct implements AutoCloseable {
    /** Tasks per thread: enough that one which starts late or is interrupted does not leave the others waiting. */
    private static final int TASKS_PER_THREAD = 16;

    private final CpuDevice device;
    private final PackedWeights weights;
    private final NativeLayer layer;
    private final int set;
    /** Made by the first row that needs it: it holds the scales a second time. */
    private JavaProduct refusedRows;

    private NativeProduct(CpuDevice device, PackedWeights weights, NativeLayer layer) {
        this.device = device;
        this.weights = weights;
        this.layer = layer;
        set = device.instructionSet().number();
    }

    /** Null if the device computes in Java or the weights lie where native code cannot read them. */
    static NativeProduct of(CpuDevice device, PackedWeights weights) {
        NativeLayer layer = device.instructionSet() == InstructionSet.JAVA ? null : NativeLayer.of(weights);
        return layer == null ? null : new NativeProduct(device, weights, layer);
    }

    /**
     * Computes m rows.
     *
     * @param type of the activations
     * @param a begins with row 0, little-endian
     */
    void multiply(DataType type, ByteBuffer a, long m, Outputs outputs) {
        ByteBuffer from = a.isDirect() ? a : copy(a, m * weights.k() * type.bytes());
        Outputs to = outputs.direct(m);
        NativeCall call = device.takeCall();
        try {
            for (long row = 0; row < m; row += NativeCall.MOST_ROWS) {
                multiplyRows(call, type, from, row, (int) Math.min(NativeCall.MOST_ROWS, m - row), to);
            }
        } finally {
            device.giveBack(call);
            Reference.reachabilityFence(from);
            Reference.reachabilityFence(to);
            Reference.reachabilityFence(this);
        }
        outputs.copyBack(to, m);
    }

    static ByteBuffer copy(ByteBuffer buffer, long bytes) {
        return allocate(bytes).put(0, buffer, 0, (int) bytes);
    }

    static ByteBuffer allocate(long bytes) {
        return ByteBuffer.allocateDirect(Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
    }

    private void multiplyRows(NativeCall call, DataType type, ByteBuffer a, long firstRow, int rows, Outputs outputs) {
        TaskPool pool = device.pool();
        call.prepare(layer, type, rows, NativeCpu.address(a) + firstRow * weights.k() * type.bytes(), outputs, firstRow);
        long address = call.address();
        int units = (rows - 1) / NativeCall.UNIT_ROWS + 1;
        pool.forEach(units, unit -> NativeCpu.read(set, address, unit));
        int strips = layer.strips();
        int tasks = Math.min(strips, pool.threads() * TASKS_PER_THREAD);
        pool.forEach(tasks, task -> NativeCpu.multiply(set, address, (long) strips * task / tasks, (long) strips * (task + 1) / tasks));
        for (int row = 0; row < rows; row++) {
            if (call.refused(row)) {
                refusedRows().multiply(type, a, firstRow + row, firstRow + row + 1, outputs);
            }
        }
    }

    private synchronized JavaProduct refusedRows() {
        if (refusedRows == null) {
            refusedRows = new JavaProduct(device.pool(), weights);
        }
        return refusedRows;
    }

    @Override
    public void close() {
        layer.close();
    }
}
