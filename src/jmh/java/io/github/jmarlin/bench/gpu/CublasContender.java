package io.github.jmarlin.bench.gpu;

import io.github.jmarlin.bench.AnswerCheck;
import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.cuda.Cublas;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.layout.WeightForm;
import java.util.List;

/** cuBLAS with the dense weights that the packed ones stand for. */
final class CublasContender implements GpuContender {
    private final Cublas cublas;
    private final LayerWeights layer;
    private final int groupSize;
    private final int m;
    private final List<DeviceBuffer> dense;
    private final int stride;
    private final Activations activations;

    /**
     * @param groupSize of the weights that are made dense
     * @param slots copies of the weights
     */
    CublasContender(Cublas cublas, LayerWeights layer, int groupSize, int m, int slots) {
        this.cublas = cublas;
        this.layer = layer;
        this.groupSize = groupSize;
        this.m = m;
        dense = layer.dense(groupSize, slots);
        stride = Math.toIntExact(layer.copies(WeightForm.int4(groupSize, false), 1).get(0).shape().denseStride());
        activations = layer.activations(m);
    }

    @Override
    public String name() {
        return Contenders.CUBLAS;
    }

    @Override
    public int groupSize() {
        return 0;
    }

    @Override
    public int slots() {
        return dense.size();
    }

    @Override
    public double bytes() {
        return 2.0 * layer.shape().weights() + activations.bytes();
    }

    @Override
    public double flops() {
        return 2.0 * m * layer.shape().weights();
    }

    @Override
    public Verdict check() {
        AnswerCheck check = layer.check(WeightForm.int4(groupSize, false), m);
        return new Verdict(activations.error(check, () -> enqueue(0)), check.baselineBound(layer.type()));
    }

    @Override
    public void enqueue(int slot) {
        int k = layer.shape().k();
        int n = layer.shape().n();
        cublas.multiply(layer.type(), m, n, k, dense.get(slot).address(), stride, activations.input(slot).address(),
                Math.toIntExact(activations.lda()), activations.output(slot).address(), n, layer.type());
    }

    @Override
    public void close() {
        activations.close();
    }
}
