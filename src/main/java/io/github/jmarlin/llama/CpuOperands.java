package io.github.jmarlin.llama;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Off-heap memory for the activations and results of products, which all of a decoder share, and the time that they take. One thread at
 * a time.
 */
final class CpuOperands {
    private ByteBuffer activations = buffer(0);
    private ByteBuffer results = buffer(0);
    private long nanos;

    /** A product on direct buffers of floats. */
    interface Product {
        void multiply(ByteBuffer activations, int m, ByteBuffer results);
    }

    private static ByteBuffer buffer(int floats) {
        return ByteBuffer.allocateDirect(Math.multiplyExact(floats, Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** {@link CpuProduct#multiply} of {@code shape}, computed by {@code product}. */
    void multiply(float[] a, int m, float[] c, CpuProduct shape, Product product) {
        int in = Math.multiplyExact(m, shape.k());
        int out = Math.multiplyExact(m, shape.n());
        if (activations.capacity() < in * (long) Float.BYTES) {
            activations = buffer(in);
        }
        if (results.capacity() < out * (long) Float.BYTES) {
            results = buffer(out);
        }
        activations.asFloatBuffer().put(a, 0, in);
        long start = System.nanoTime();
        product.multiply(activations, m, results);
        nanos += System.nanoTime() - start;
        results.asFloatBuffer().get(c, 0, out);
    }

    /** Seconds spent in products so far. */
    double seconds() {
        return nanos * 1e-9;
    }
}
