package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;
import io.github.jmarlin.plan.KernelFamily;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * What a run measures, the most telling first: what does not fit the time is left for {@code --resume}.
 *
 * @param cases in the order in which they run; cases that share weights stand together
 */
public record BenchPlan(List<BenchCase> cases) {
    private static final int[] ALL_BATCHES = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
    private static final int[] QUICK_BATCHES = {1, 16, 32, 64, 128, 1024};
    private static final int[] BLOCK_BATCHES = {1, 16, 64};
    private static final int[] CPU_BATCHES = {1, 4, 16};
    private static final List<TimingMode> GPU_MODES = List.of(TimingMode.GRAPH, TimingMode.STREAM, TimingMode.FLUSHED);
    private static final List<Integer> BOTH_GROUPS = List.of(-1, 128);
    private static final List<Integer> USUAL_GROUP = List.of(128);

    /** How much to measure. */
    public enum Extent {
        /** The square matrix and the blocks of two models: minutes. */
        QUICK,
        /** The square in all variants, every layer of every model, every block. */
        FULL,
        /** Every shape in both types and both group sizes; takes as long as it takes. */
        ALL
    }

    /** The plan for a GPU. */
    public static BenchPlan gpu(Extent extent) {
        List<BenchCase> cases = new ArrayList<>();
        GPU_MODES.forEach(mode -> cases.add(BenchCase.device(mode)));
        addLayer(cases, ModelShapes.SQUARE, extent == Extent.QUICK ? QUICK_BATCHES : ALL_BATCHES, DataType.FP16, GPU_MODES,
                BOTH_GROUPS, false);
        List<ModelShapes.Model> models = extent == Extent.QUICK
                ? List.of(ModelShapes.model("Llama-3.1 8B"), ModelShapes.model("Llama-3.1 70B")) : ModelShapes.MODELS;
        for (ModelShapes.Model model : models) {
            for (int m : BLOCK_BATCHES) {
                cases.add(BenchCase.block(model, m, DataType.FP16, TimingMode.GRAPH, USUAL_GROUP));
            }
        }
        if (extent != Extent.QUICK) {
            addLayer(cases, ModelShapes.SQUARE, ALL_BATCHES, DataType.BF16, GPU_MODES, BOTH_GROUPS, false);
            for (LayerShape shape : otherShapes()) {
                addLayer(cases, shape, ALL_BATCHES, DataType.FP16, List.of(TimingMode.GRAPH), USUAL_GROUP, false);
            }
        }
        if (extent == Extent.ALL) {
            for (LayerShape shape : otherShapes()) {
                addLayer(cases, shape, ALL_BATCHES, DataType.FP16, List.of(TimingMode.GRAPH), List.of(-1), false);
                addLayer(cases, shape, ALL_BATCHES, DataType.BF16, List.of(TimingMode.GRAPH), BOTH_GROUPS, false);
            }
        }
        return new BenchPlan(List.copyOf(cases));
    }

    /** The plan for a CPU: layers of the smallest models. */
    public static BenchPlan cpu(Extent extent) {
        List<BenchCase> cases = new ArrayList<>();
        cases.add(BenchCase.device(TimingMode.HOST));
        List<LayerShape> layers = ModelShapes.model("Llama-3.1 8B").layers();
        for (LayerShape layer : extent == Extent.QUICK ? layers.subList(1, 2) : layers) {
            LayerShape named = new LayerShape("Llama-3.1 8B " + layer.name(), layer.k(), layer.n());
            addLayer(cases, named, CPU_BATCHES, DataType.FP32, List.of(TimingMode.HOST), BOTH_GROUPS, false);
        }
        return new BenchPlan(List.copyOf(cases));
    }

    /** One shape and nothing else, at given batch sizes: for tests and for questions. */
    public static BenchPlan of(LayerShape shape, int[] batches, DataType type, List<TimingMode> modes, List<Integer> groupSizes,
            boolean everyKernel) {
        List<BenchCase> cases = new ArrayList<>();
        modes.forEach(mode -> cases.add(BenchCase.device(mode)));
        addLayer(cases, shape, batches, type, modes, groupSizes, everyKernel);
        return new BenchPlan(List.copyOf(cases));
    }

    /** The same cases with the kernels of these families alone, so that what another one does to the device cannot matter. */
    public BenchPlan only(Set<KernelFamily> families) {
        return new BenchPlan(cases.stream().map(each -> each.only(families)).toList());
    }

    /** The same cases with more kinds of weights in the products of one layer. */
    public BenchPlan with(List<WeightKind> kinds) {
        return new BenchPlan(cases.stream().map(each -> each.with(kinds)).toList());
    }

    private static List<LayerShape> otherShapes() {
        List<LayerShape> shapes = ModelShapes.distinct();
        shapes.remove(ModelShapes.SQUARE);
        return shapes;
    }

    private static void addLayer(List<BenchCase> cases, LayerShape shape, int[] batches, DataType type, List<TimingMode> modes,
            List<Integer> groupSizes, boolean everyKernel) {
        for (int m : batches) {
            for (TimingMode mode : modes) {
                cases.add(BenchCase.layer(shape, m, type, mode, groupSizes, everyKernel));
            }
        }
    }
}
