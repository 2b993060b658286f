package io.github.jmarlin.bench.gpu;

import io.github.jmarlin.bench.AnswerCheck;
import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.cuda.DeviceBuffer;
import java.util.ArrayList;
import java.util.List;

/** Expands the packed weights, then lets cuBLAS multiply: what a kernel for large m has to beat. */
final class DequantizeContender implements GpuContender {
    private final Cublas cublas;
    private final LayerWeights layer;
    private final int groupSize;
    private final int m;
    private final List<Dequantizer> dequantizers = new ArrayList<>();
    private final List<DeviceBuffer> dense = new ArrayList<>();
    private final Activations activations;

    DequantizeContender(Gpu gpu, Cublas cublas, LayerWeights layer, int groupSize, int m) {
        this.cublas = cublas;
        this.layer = layer;
        this.groupSize = groupSize;
        this.m = m;
        activations = layer.activations(m);
        try {
            long denseBytes = Dequantizer.denseBytes(layer.shape().k(), layer.shape().n());
            for (int slot = Activations.slots(gpu, denseBytes); slot > 0; slot--) {
                dequantizers.add(new Dequantizer(gpu, layer.packed(groupSize)));
                dense.add(gpu.allocate(denseBytes, "dense weights"));
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    @Override
    public String name() {
        return Contenders.DEQUANTIZE_CUBLAS;
    }

    @Override
    public int groupSize() {
        return groupSize;
    }

    @Override
    public int slots() {
        return dense.size();
    }

    /** The dense weights are written and read. */
    @Override
    public double bytes() {
        return layer.packed(groupSize).byteSize() + 4.0 * layer.shape().weights() + activations.bytes();
    }

    @Override
    public double flops() {
        return 2.0 * m * layer.shape().weights();
    }

    @Override
    public Verdict check() {
        AnswerCheck check = layer.check(groupSize, m);
        return new Verdict(activations.error(check, () -> enqueue(0)), check.baselineBound(layer.type()));
    }

    @Override
    public void enqueue(int slot) {
        dequantizers.get(slot).launch(dense.get(slot));
        CublasContender.multiply(cublas, layer, m, dense.get(slot), activations, slot);
    }

    @Override
    public void close() {
        activations.close();
        dequantizers.forEach(Dequantizer::close);
        dense.forEach(DeviceBuffer::close);
    }
}
