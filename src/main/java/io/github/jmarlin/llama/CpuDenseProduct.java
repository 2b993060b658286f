package io.github.jmarlin.llama;

import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.cpu.DenseLinear;

/** A product with a matrix in full precision behind Java arrays. */
final class CpuDenseProduct implements CpuProduct {
    private final DenseLinear layer;
    private final CpuOperands operands;

    CpuDenseProduct(CpuDevice device, DenseMatrix matrix, CpuOperands operands) {
        layer = new DenseLinear(device, matrix.type(), matrix.data(), matrix.k(), matrix.n(), matrix.bias());
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
        operands.multiply(a, m, c, this, layer::multiply);
    }

    @Override
    public void close() {
        layer.close();
    }
}
