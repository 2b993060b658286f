package io.github.jmarlin.bench.gpu;

import io.github.jmarlin.bench.AnswerCheck;
import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.cuda.CudaGemm;
import io.github.jmarlin.cuda.DeviceWeights;
import io.github.jmarlin.cuda.Workspace;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.PlanOptions;
import java.util.List;
import java.util.function.IntFunction;

/** JMarlin as an engine calls it. */
final class JMarlinContender implements GpuContender {
    /** What offsets may add to the error: 4.5e-4 instead of 3e-4. */
    private static final double OFFSETS = 1.5;

    private final String name;
    private final boolean dense;
    private final LayerWeights layer;
    private final WeightForm form;
    private final int m;
    private final Activations activations;
    private final List<DeviceWeights> copies;
    private final List<CudaGemm> products;
    private final Workspace workspace;
    private IntFunction<CudaGemm> next = slot -> null;

    /**
     * @param form what the weights are
     * @param options the planner's own choice, or a kernel or tile whose name is then added to the contender's
     * @param slots copies of the weights
     */
    JMarlinContender(Gpu gpu, LayerWeights layer, WeightForm form, int m, PlanOptions options, int slots) {
        this.layer = layer;
        this.form = form;
        this.m = m;
        dense = options.asks(KernelFamily.DENSE);
        name = name(options) + (KernelSet.of(form) == KernelSet.INT4 ? "" : " " + form.tag());
        copies = layer.copies(form, slots);
        products = copies.stream().map(copy -> copy.gemm(options)).toList();
        activations = layer.activations(m);
        try {
            workspace = gpu.engine().newWorkspace(gpu.stream(), products.get(0).workspaceFor(m));
            products.forEach(product -> product.workspaceFor(m));
        } catch (RuntimeException e) {
            activations.close();
            throw e;
        }
    }

    /** The contender that asks for this. */
    static String name(PlanOptions options) {
        if (options.asks(KernelFamily.DENSE)) {
            return Contenders.DEQUANTIZE_CUBLAS;
        }
        String family = options.asks(KernelFamily.HOPPER) ? Contenders.JMARLIN_HOPPER
                : options.asks(KernelFamily.STRIPED) && options.tile().isEmpty() ? Contenders.JMARLIN_STRIPED : Contenders.JMARLIN;
        return family + options.tile().map(t -> " " + t).orElse("") + options.hopperTile().map(t -> " " + t).orElse("");
    }

    /** The product that runs right after a slot's. */
    void prefetch(IntFunction<CudaGemm> productAfter) {
        next = productAfter;
    }

    CudaGemm product(int slot) {
        return products.get(slot % products.size());
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int groupSize() {
        return form.groupSize();
    }

    @Override
    public int slots() {
        return copies.size();
    }

    /** The dense weights are written and read. */
    @Override
    public double bytes() {
        return copies.get(0).deviceBytes() + (dense ? 4.0 * layer.shape().weights() : 0) + activations.bytes();
    }

    @Override
    public double flops() {
        return 2.0 * m * layer.shape().weights();
    }

    @Override
    public Verdict check() {
        AnswerCheck check = layer.check(form, m);
        return new Verdict(activations.error(check, () -> enqueue(0)), check.bound(layer.type()) * (form.storesOffsets() ? OFFSETS : 1));
    }

    @Override
    public void enqueue(int slot) {
        products.get(slot).launch(activations.input(slot).address(), activations.lda(), activations.output(slot).address(),
                layer.shape().n(), m, workspace, next.apply(slot));
    }

    @Override
    public void close() {
        activations.close();
        workspace.close();
    }
}
