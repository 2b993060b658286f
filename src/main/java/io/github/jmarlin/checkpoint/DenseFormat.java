package io.github.jmarlin.checkpoint;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.quantize.RoundToNearest;
import io.github.jmarlin.quantize.WeightSource;
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
                tensors.find(name + ".bias"), null, List.of(weight)), weight, how);
    }

    private static final class Layer extends LayerSource {
        private final Tensor weight;
        private final DenseQuantization how;

        Layer(Facts facts, Tensor weight, DenseQuantization how) {
            super(facts);
            this.weight = weight;
            this.how = how;
        }

        @Override
        void fill(QuantizedMatrix.Builder matrix, int from, int to) {
            RoundToNearest nearest = new RoundToNearest(groupSize(), scaleType(), !how.symmetric(), how.clippingSearch());
            try (QuantizedMatrix quantized = nearest.quantize(new Columns(weight, k(), from, to))) {
                copy(quantized.codes(), matrix.codes(), QuantizedMatrix.codeStride(to - from));
                copy(quantized.scales(), matrix.scales(), (long) (to - from) * Short.BYTES);
                if (!how.symmetric()) {
                    copy(quantized.zeroPoints(), matrix.zeroPoints(), to - from);
                }
            } catch (IllegalArgumentException e) {
                throw new MalformedCheckpointException(weight.file(), "tensor " + weight.name(), e.getMessage(),
                        "must be quantizable", e);
            }
        }

        private static void copy(NativeMemory source, NativeMemory target, long unit) {
            for (long at = 0; at < source.size(); at += unit) {
                target.copyFrom(at, source.slice(at, (int) unit));
            }
        }
    }

    /** Out-features {@code [from, to)} of a weight {@code [n][k]}, as a quantizer wants to see them. */
    private record Columns(Tensor weight, int k, int from, int to) implements WeightSource {
        @Override
        public int n() {
            return to - from;
        }

        @Override
        public void read(int row, int column, int count, float[][] rows) {
            for (int j = 0; j < count; j++) {
                long first = (long) (from + column + j) * k + row;
                float[] values = Floats.read(weight, first, first + rows.length);
                for (int i = 0; i < rows.length; i++) {
                    rows[i][j] = values[i];
                }
            }
        }
    }
}
