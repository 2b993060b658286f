package io.github.jmarlin.bench.gpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.bench.AnswerCheck;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.Operands;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.cuda.Dequantizer;
import io.github.jmarlin.cuda.DeviceWeights;
import io.github.jmarlin.cuda.Workspace;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.plan.WorkspaceSize;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The weights of one layer in every form that contenders ask for: made once, kept for all batch sizes, copied for rotation. */
final class LayerWeights implements AutoCloseable {
    private final Gpu gpu;
    private final LayerShape shape;
    private final DataType type;
    private final float[] activations;
    private final Map<WeightForm, Quantized> quantized = new HashMap<>();
    private final List<DeviceBuffer> dense = new ArrayList<>();
    private int denseGroupSize;

    /** The weights in one form. */
    private static final class Quantized {
        private QuantizedMatrix matrix;
        private PackedWeights packed;
        private final List<DeviceWeights> copies = new ArrayList<>();
    }

    LayerWeights(Gpu gpu, LayerShape shape, DataType type) {
        this.gpu = gpu;
        this.shape = shape;
        this.type = type;
        activations = Operands.activations(shape.k(), type);
    }

    LayerShape shape() {
        return shape;
    }

    DataType type() {
        return type;
    }

    /** Copies of the activations and outputs of m rows. */
    Activations activations(int m) {
        return new Activations(gpu, activations, m, shape.k(), shape.n(), type);
    }

    /** The fp64 reference of m rows. */
    AnswerCheck check(WeightForm form, int m) {
        return new AnswerCheck(quantized(form).matrix, activations, m);
    }

    /** The weights on the host. */
    PackedWeights packed(WeightForm form) {
        return quantized(form).packed;
    }

    private Quantized quantized(WeightForm form) {
        Quantized known = quantized.computeIfAbsent(form, f -> new Quantized());
        if (known.packed == null) {
            known.matrix = Operands.weights(shape, form, type);
            known.packed = PackedWeights.pack(known.matrix, type);
        }
        return known;
    }

    /** At least so many copies on the device. */
    List<DeviceWeights> copies(WeightForm form, int slots) {
        Quantized weights = quantized(form);
        while (weights.copies.size() < slots) {
            weights.copies.add(gpu.engine().upload(weights.packed));
        }
        return weights.copies.subList(0, slots);
    }

    /** At least so many copies of the dense weights that the 4-bit integers of a group size stand for. */
    List<DeviceBuffer> dense(int groupSize, int slots) {
        if (denseGroupSize != groupSize) {
            closeDense();
            denseGroupSize = groupSize;
        }
        if (dense.size() < slots) {
            DeviceWeights weights = copies(WeightForm.int4(groupSize, false), 1).get(0);
            Dequantizer dequantizer = weights.dequantizer();
            try (Workspace workspace = gpu.engine().newWorkspace(gpu.stream(), WorkspaceSize.NONE)) {
                while (dense.size() < slots) {
                    DeviceBuffer copy = gpu.allocate(weights.shape().denseBytes(), "dense weights");
                    dense.add(copy);
                    dequantizer.launch(copy.address(), workspace);
                }
                gpu.synchronize();
            }
        }
        return dense.subList(0, slots);
    }

    private void closeDense() {
        dense.forEach(DeviceBuffer::close);
        dense.clear();
    }

    @Override
    public void close() {
        closeDense();
        for (Quantized weights : quantized.values()) {
            weights.copies.forEach(DeviceWeights::close);
            if (weights.packed != null) {
                weights.packed.close();
                weights.matrix.close();
            }
        }
    }
}
