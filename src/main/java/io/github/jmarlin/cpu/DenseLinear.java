package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.memory.UseCount;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;

/**
 * A linear layer in full precision on the processor, {@code C[m][n] = A[m][k] * W^T + bias}, for what of a model is not quantized: weights
 * {@code [n][k]} as checkpoints hold them, read where they lie, activations and results in fp32.
 *
 * <p>One thread at a time. A row's bits do not depend on the rows beside it nor on the number of threads; among native kernels not on the
 * instruction set either.
 */
public final class DenseLinear implements AutoCloseable {
    /** As in dense.h. */
    private static final int MOST_ROWS = 64;
    private static final int CALL_WORDS = 7;
    /** Weights of a task: long enough that starting it costs nothing. */
    private static final int TASK_ELEMENTS = 1 << 17;
    /** What the native kernels take at once. */
    private static final int COLUMNS = 4;

    private final CpuDevice device;
    private final DataType type;
    private final NativeMemory weights;
    private final int k;
    private final int n;
    private final NativeMemory bias;
    /** Null where native kernels multiply. */
    private final DenseRows rows;
    private final NativeMemory call = NativeMemory.allocate(CALL_WORDS * Long.BYTES, Long.BYTES);
    private final UseCount uses;

    /**
     * Takes the weights into use; they must stay open until {@link #close}.
     *
     * @param type FP16, BF16 or FP32
     * @param weights {@code [n][k]}, finite, little-endian, each row contiguous
     * @param bias {@code [n]}, or null
     * @throws IllegalArgumentException if the sizes contradict each other
     */
    public DenseLinear(CpuDevice device, DataType type, NativeMemory weights, int k, int n, float[] bias) {
        Objects.requireNonNull(type, "type");
        if (k < 1 || n < 1 || weights.size() != (long) n * k * type.bytes() || bias != null && bias.length != n) {
            throw new IllegalArgumentException("weights of " + weights.size() + " bytes" + (bias == null ? "" : " and a bias of "
                    + bias.length) + " given for [n " + n + "][k " + k + "] " + type);
        }
        this.device = device;
        this.type = type;
        this.weights = weights;
        this.k = k;
        this.n = n;
        uses = new UseCount("dense layer of k " + k + ", n " + n);
        boolean isNative = device.instructionSet() != InstructionSet.JAVA && weights.slice(0, 0).isDirect();
        rows = isNative ? null : new DenseRows(device.pool(), type, weights, k, n, bias);
        this.bias = bias == null ? null : NativeMemory.allocate((long) n * Float.BYTES, (long) n * Float.BYTES);
        for (int column = 0; bias != null && column < n; column++) {
            this.bias.putFloat((long) column * Float.BYTES, bias[column]);
        }
        weights.acquire();
    }

    /** In-features. */
    public int k() {
        return k;
    }

    /** Out-features. */
    public int n() {
        return n;
    }

    /**
     * Multiplies direct buffers, each from its beginning on, little-endian.
     *
     * @param a activations {@code [m][k]}
     * @param c results {@code [m][n]}
     * @throws IllegalArgumentException if one is on the heap or too short
     * @throws IllegalStateException after {@link #close}
     */
    public void multiply(ByteBuffer a, int m, ByteBuffer c) {
        check("a", a, m, k);
        check("c", c, m, n);
        uses.acquire();
        try {
            for (int row = 0; row < m; row += MOST_ROWS) {
                int count = Math.min(MOST_ROWS, m - row);
                if (rows != null) {
                    rows.multiply(floats(a, row, count, k), count, floats(c, row, count, n));
                } else {
                    multiplyNative(a, row, count, c);
                }
            }
        } finally {
            uses.release();
        }
    }

    private static void check(String name, ByteBuffer buffer, int m, int extent) {
        if (!buffer.isDirect() || m < 0 || buffer.capacity() < (long) m * extent * Float.BYTES) {
            throw new IllegalArgumentException(name + " of " + buffer.capacity() + " bytes" + (buffer.isDirect() ? "" : " on the heap")
                    + ": a direct buffer for [m " + m + "][" + extent + "] fp32 expected");
        }
    }

    private static ByteBuffer floats(ByteBuffer buffer, int row, int rows, int extent) {
        return buffer.slice(Math.multiplyExact(row * extent, Float.BYTES), rows * extent * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    }

    private void multiplyNative(ByteBuffer a, int row, int count, ByteBuffer c) {
        long[] words = {NativeLayer.typeNumber(type), k, n, count, NativeCpu.address(a) + (long) row * k * Float.BYTES,
            NativeCpu.address(c) + (long) row * n * Float.BYTES,
            bias == null ? 0 : NativeCpu.address(bias.slice(0, n * Float.BYTES))};
        for (int i = 0; i < CALL_WORDS; i++) {
            call.putLong((long) i * Long.BYTES, words[i]);
        }
        ByteBuffer callBytes = call.slice(0, CALL_WORDS * Long.BYTES);
        long callAddress = NativeCpu.address(callBytes);
        int set = device.instructionSet().number();
        int columns = Math.max(1, TASK_ELEMENTS / k / COLUMNS) * COLUMNS;
        int rowBytes = k * type.bytes();
        device.pool().forEach((n - 1) / columns + 1, task -> {
            int end = Math.min(n, (task + 1) * columns);
            for (int first = task * columns; first < end; ) {
                // Weights may lie in several segments.
                long offset = (long) first * rowBytes;
                int together = Math.min(end - first, weights.contiguous(offset, (long) (end - first) * rowBytes) / rowBytes);
                ByteBuffer part = weights.slice(offset, together * rowBytes);
                NativeCpu.multiplyDense(set, callAddress, NativeCpu.address(part), first, first + together);
                Reference.reachabilityFence(part);
                first += together;
            }
        });
        Reference.reachabilityFence(a);
        Reference.reachabilityFence(c);
        Reference.reachabilityFence(this);
    }

    /** Gives the weights back. A second call does nothing. */
    @Override
    public void close() {
        if (uses.close()) {
            call.close();
            if (bias != null) {
                bias.close();
            }
            weights.release();
        }
    }
}
