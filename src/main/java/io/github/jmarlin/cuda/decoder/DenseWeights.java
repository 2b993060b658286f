package io.github.jmarlin.cuda.decoder;

import io.github.jmarlin.DataType;
import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.Closing;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A matrix of 16-bit numbers on a device, {@code [n][k]} as checkpoints hold it, and a bias. Immutable; safe for any number of threads. */
public final class DenseWeights implements AutoCloseable {
    private static final int CHUNK_ELEMENTS = 1 << 20;

    private final DataType type;
    private final int n;
    private final int k;
    private final DeviceBuffer matrix;
    private final DeviceBuffer bias;

    /**
     * Copies a matrix to the device, rounding each element to the type.
     *
     * @param type FP16 or BF16
     * @param from the type of {@code data}: FP16, BF16 or FP32, little-endian
     * @param data {@code n * k} elements
     * @param k elements of a row, a multiple of 8
     * @param bias a float for every row, or null
     * @throws IllegalArgumentException if a size is wrong, or an element does not fit the type
     */
    public DenseWeights(CudaEngine engine, DataType type, DataType from, NativeMemory data, int n, int k, float[] bias) {
        if (n < 1 || k < 8 || k % 8 != 0 || data.size() != (long) n * k * from.bytes() || bias != null && bias.length != n) {
            throw new IllegalArgumentException("n " + n + ", k " + k + ", " + from + ", " + data.size() + " bytes, bias "
                    + (bias == null ? "none" : bias.length) + ": k must be a multiple of 8, and there must be n * k elements and n biases");
        }
        this.type = type;
        this.n = n;
        this.k = k;
        matrix = engine.allocate((long) n * k * Short.BYTES, "weights of n " + n + ", k " + k);
        DeviceBuffer newBias = null;
        try {
            if (from == type) {
                copy(data);
            } else {
                convert(from, data);
            }
            newBias = bias == null ? null : Floats.upload(engine, bias, "bias");
        } catch (Throwable e) {
            Closing.after(e, matrix);
            throw e;
        }
        this.bias = newBias;
    }

    private void copy(NativeMemory data) {
        for (long at = 0; at < data.size();) {
            int length = data.contiguous(at, data.size() - at);
            matrix.upload(at, data.slice(at, length));
            at += length;
        }
    }

    private void convert(DataType from, NativeMemory data) {
        long elements = (long) n * k;
        int most = (int) Math.min(CHUNK_ELEMENTS, elements);
        ByteBuffer rounded = ByteBuffer.allocateDirect(Short.BYTES * most).order(ByteOrder.LITTLE_ENDIAN);
        for (long first = 0; first < elements; first += CHUNK_ELEMENTS) {
            int count = (int) Math.min(CHUNK_ELEMENTS, elements - first);
            for (int i = 0; i < count; i++) {
                long at = (first + i) * from.bytes();
                float value = from == DataType.FP32 ? data.getFloat(at) : HalfFloats.decode(from, data.getShort(at));
                short bits = HalfFloats.encode(type, value);
                if (!HalfFloats.isFinite(type, bits)) {
                    throw new IllegalArgumentException("weight [" + (first + i) / k + "][" + (first + i) % k + "] is " + value
                            + " and does not fit " + type);
                }
                rounded.putShort(i * Short.BYTES, bits);
            }
            matrix.upload(first * Short.BYTES, rounded.slice(0, count * Short.BYTES));
        }
    }

    /** Out-features, or entries of a table. */
    public int n() {
        return n;
    }

    /** In-features, or elements of an entry. */
    public int k() {
        return k;
    }

    DataType type() {
        return type;
    }

    long address() {
        return matrix.address();
    }

    /** 0 without. */
    long bias() {
        return bias == null ? 0 : bias.address();
    }

    /** Frees the device memory. A second call does nothing. */
    @Override
    public void close() {
        Closing.all(matrix, bias);
    }
}
