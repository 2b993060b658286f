package io.github.jmarlin.llama;

import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.cpu.CpuDevice;

/** A JMarlin layer behind Java arrays. */
final class CpuPackedProduct implements CpuProduct {
    private final LinearLayer layer;
    private final CpuOperands operands;

    CpuPackedProduct(CpuDevice device, PackedWeights weights, CpuOperands operands) {
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
        operands.multiply(a, m, c, this, (activations, rows, results) -> layer.multiply(DataType.FP32, activations, rows, results));
    }

    @Override
    public void close() {
        layer.close();
    }
}
