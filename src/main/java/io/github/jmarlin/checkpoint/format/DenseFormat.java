package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.quantize.GptqOptions;
import io.github.jmarlin.quantize.GptqQuantizer;
import io.github.jmarlin.quantize.RoundToNearest;
import io.github.jmarlin.quantize.WeightSource;
import java.lang.ref.SoftReference;
import java.util.List;
import java.util.Set;

/** Linear layers in full precision, {@code weight [n][k]}, quantized when they are read. */
public final class DenseFormat implements WeightFormat {
    private static final Set<TensorType> TYPES = Set.of(TensorType.F16, TensorType.BF16, TensorType.F32);

    /** Part of the mean diagonal that GPTQ adds to a Hessian. */
    private static final double DAMPING = 0.01;

    private final DenseQuantization how;

    public DenseFormat(DenseQuantization how) {
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
    public boolean isLayer(Tensor tensor) {
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
        boolean calibrated = how.calibration() != null && how.calibration().has(name);
        int[] inputOrder = calibrated ? GptqQuantizer.byImportance(how.calibration().diagonal(name, k)) : null;
        LayerSource.Facts facts = new LayerSource.Facts(name, scheme() + " " + weight.type() + (calibrated ? ", GPTQ" : ""), k, n,
                groupSize, !how.symmetric(), scaleType, tensors.find(name + ".bias"), inputOrder, List.of(weight));
        return calibrated ? new CalibratedLayer(facts, weight, how) : new NearestLayer(facts, weight, how);
    }

    private abstract static class Layer extends LayerSource {
        final Tensor weight;
        final DenseQuantization how;

        Layer(Facts facts, Tensor weight, DenseQuantization how) {
            super(facts);
            this.weight = weight;
            this.how = how;
        }

        /** Out-features {@code [from, to)}, with the layer's group size, scale type and zero points. */
        abstract QuantizedMatrix quantize(int from, int to);

        @Override
        final void fill(QuantizedMatrix.Builder matrix, int from, int to) {
            try (QuantizedMatrix quantized = quantize(from, to)) {
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

    private static final class NearestLayer extends Layer {
        NearestLayer(Facts facts, Tensor weight, DenseQuantization how) {
            super(facts, weight, how);
        }

        @Override
        QuantizedMatrix quantize(int from, int to) {
            return new RoundToNearest(groupSize(), scaleType(), !how.symmetric(), how.clippingSearch())
                    .quantize(new Columns(weight, k(), from, to));
        }
    }

    private static final class CalibratedLayer extends Layer {
        /** The decomposed Hessian, kept from one range of columns to the next as long as memory allows. */
        private SoftReference<GptqQuantizer> quantizer = new SoftReference<>(null);

        CalibratedLayer(Facts facts, Tensor weight, DenseQuantization how) {
            super(facts, weight, how);
        }

        private synchronized GptqQuantizer quantizer() {
            GptqQuantizer current = quantizer.get();
            if (current == null) {
                GptqOptions options = new GptqOptions(groupSize(), scaleType(), how.symmetric(), true, DAMPING,
                        how.clippingSearch());
                current = new GptqQuantizer(how.calibration().hessian(name(), k()), options);
                quantizer = new SoftReference<>(current);
            }
            return current;
        }

        @Override
        QuantizedMatrix quantize(int from, int to) {
            QuantizedMatrix quantized = quantizer().quantize(Floats.read(weight, (long) from * k(), (long) to * k()), to - from);
            if (!quantized.inputOrder().equals(inputOrder())) {
                throw new IllegalStateException("layer " + name() + ": calibration gave another input order than before");
            }
            return quantized;
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
