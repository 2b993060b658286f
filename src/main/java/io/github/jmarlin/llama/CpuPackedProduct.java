package io.github.jmarlin.llama;

import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.cpu.CpuDevice;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A JMarlin layer behind Java arrays. */
final class CpuPackedProduct implements CpuProduct {
    private final LinearLayer layer;
    private final Operands operands;

    /** Off-heap memory for activations and results, which all products of a decoder share. */
    static final class Operands {
        private ByteBuffer activations = buffer(0);
        private ByteBuffer results = buffer(0);

        private static ByteBuffer buffer(int floats) {
            return ByteBuffer.allocateDirect(Math.multiplyExact(floats, Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
        }

        void multiply(LinearLayer layer, float[] a, int m, float[] c) {
            int in = Math.multiplyExact(m, layer.k());
            int out = Math.multiplyExact(m, layer.n());
            if (activations.capacity() < in * (long) Float.BYTES) {
                activations = buffer(in);
            }
            if (results.capacity() < out * (long) Float.BYTES) {
                results = buffer(out);
            }
            activations.asFloatBuffer().put(a, 0, in);
            layer.multiply(DataType.FP32, activations, m, results);
            results.asFloatBuffer().get(c, 0, out);
        }
    }

    CpuPackedProduct(CpuDevice device, PackedWeights weights, Operands operands) {
        layer = device.place(weights);
        this.operands = operands;
    }

    @Override
    public int k() {
        return layer.k();
    }

    @Override
    public int n() {
        return layer.n();
    }

    @Override
    public void multiply(float[] a, int m, float[] c) {
        operands.multiply(layer, a, m, c);
    }

    @Override
    public void close() {
        layer.close();
    }
}
