package io.github.jmarlin.bench.peers;

import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.layout.HalfFloats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** JMarlin's CPU path with fp16 activations and outputs, or fp32 ones. */
final class JMarlinProduct implements Peer {
    private final PackedWeights weights;
    private final LinearLayer layer;
    private final DataType type;
    private final ByteBuffer a;
    private final ByteBuffer c;
    private final int m;

    JMarlinProduct(CpuDevice device, QuantizedMatrix matrix, DataType type, float[] activations, int m) {
        this.type = type;
        this.m = m;
        weights = PackedWeights.pack(matrix, DataType.FP16);
        layer = device.place(weights);
        a = ByteBuffer.allocateDirect(m * matrix.k() * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        c = ByteBuffer.allocateDirect(m * matrix.n() * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : activations) {
            if (type == DataType.FP32) {
                a.putFloat(value);
            } else {
                a.putShort(HalfFloats.encode(type, value));
            }
        }
        a.flip();
    }

    @Override
    public void multiply() {
        layer.multiply(type, a, m, c);
    }

    @Override
    public float output(int index) {
        return type == DataType.FP32 ? c.getFloat(index * Float.BYTES) : HalfFloats.decode(type, c.getShort(index * Short.BYTES));
    }

    @Override
    public void close() {
        layer.close();
        weights.close();
    }
}
