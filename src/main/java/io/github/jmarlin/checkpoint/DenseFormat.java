package io.github.jmarlin.checkpoint;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import java.util.List;
import java.util.Set;

/** Linear layers in full precision, {@code weight [n][k]}, quantized when they are read. */
final class DenseFormat implements WeightFormat {
    private static final Set<TensorType> TYPES = Set.of(TensorType.F16, TensorType.BF16, TensorType.F32);

    private final DenseQuantization how;

    DenseFormat(DenseQuantization how) {
        this.how = how;
    }

    @Override
    public String scheme() {
        return "full precision";
    }

    @Override
    public String marker() {
        return "weight";
    }

    /** Whether the tensor is the weight of a linear layer. */
    boolean isLayer(Tensor tensor) {
        String suffix = "." + marker();
        return tensor.name().endsWith(suffix)
                && tensor.shape().size() == 2
                && tensor.shape().get(0) > 1
                && tensor.shape().get(1) > 1
                && TYPES.contains(tensor.type())
                && !how.excluded().matcher(tensor.name().substring(0, tensor.name().length() - suffix.length())).find();
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        Tensor weight = tensors.require(name + "." + marker());
        Shapes.requireRank(weight, 2);
        Shapes.requireType(weight, TensorType.F16, TensorType.BF16, TensorType.F32);
        int n = Shapes.extent(weight, "n", weight.shape().get(0));
        int k = Shapes.extent(weight, "k", weight.shape().get(1));
        int groupSize = how.groupSize() == -1 ? k : how.groupSize();
        DataType scaleType = weight.type() == TensorType.BF16 ? DataType.BF16 : DataType.FP16;
        return new Layer(new LayerSource.Facts(name, scheme() + " " + weight.type(), k, n, groupSize, !how.symmetric(), scaleType,
                tensors.find(name + ".bias"), null, List.of(weight)), weight);
    }

    private static final class Layer extends LayerSource {
        private final Tensor weight;

        Layer(Facts facts, Tensor weight) {
            super(facts);
            this.weight = weight;
        }

        @Override
        void fill(QuantizedMatrix.Builder matrix, int from, int to) {
            throw new UnsupportedOperationException(weight.name());
        }
    }
}
