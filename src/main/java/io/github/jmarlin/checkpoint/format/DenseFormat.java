package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.quantize.GptqOptions;
import io.github.jmarlin.quantize.GptqQuantizer;
import io.github.jmarlin.quantize.Pruning;
import io.github.jmarlin.quantize.RoundToNearest;
import io.github.jmarlin.quantize.WeightSource;
import java.lang.ref.SoftReference;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/**
 * Linear layers in full precision, quantized when they are read: {@code weight [n][k]}, or {@code [k][n]} where
 * {@link Architecture} says so.
 */
public final class DenseFormat implements WeightFormat {
    private static final Set<TensorType> TYPES = Set.of(TensorType.F16, TensorType.BF16, TensorType.F32);

    /** Part of the mean diagonal that GPTQ adds to a Hessian. */
    private static final double DAMPING = 0.01;

    private final DenseQuantization how;
    private final Architecture architecture;
    private final TensorStore tensors;

    /** The full-precision layers of {@code tensors}. */
    public DenseFormat(DenseQuantization how, Architecture architecture, TensorStore tensors) {
        this.how = how;
        this.architecture = architecture;
        this.tensors = tensors;
    }

    @Override
    public String scheme() {
        return "full precision";
    }

    @Override
    public String marker() {
        return "weight";
    }

    /** Why a matrix, or stack of them, in full precision stays as it is; null if it is the weight of a layer to be quantized. */
    public String whyLeft(Tensor tensor) {
        return how.usesDefaults() ? architecture.whyNoLayer(tensor, tensors)
                : architecture.whyNoMatrix(tensor, tensors, how.excluded());
    }

    /** Whether the tensor is a matrix in full precision, or a stack of them. */
    public boolean isMatrix(Tensor tensor) {
        return TYPES.contains(tensor.type()) && tensor.shape().size() >= 2;
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        Tensor weight = tensors.require(name + "." + marker());
        Shapes.requireRank(weight, 2);
        Shapes.requireType(weight, TensorType.F16, TensorType.BF16, TensorType.F32);
        boolean inOut = architecture.isInOut(weight, tensors);
        int n = Shapes.extent(weight, "n", weight.shape().get(inOut ? 1 : 0));
        int k = Shapes.extent(weight, "k", weight.shape().get(inOut ? 0 : 1));
        int groupSize = how.groupSize() == -1 ? k : how.groupSize();
        DataType scaleType = weight.type() == TensorType.BF16 ? DataType.BF16 : DataType.FP16;
        boolean calibrated = how.calibration() != null && how.calibration().has(name);
        if (how.pruning() == Pruning.SPARSE_GPT && !calibrated) {
            throw new UnsupportedCheckpointException(weight.file(), "tensor " + weight.name(), "no calibration of layer " + name,
                    "the inputs of every layer that is to be pruned");
        }
        boolean actOrdered = calibrated && how.pruning() != Pruning.GIVEN;
        int[] inputOrder = actOrdered ? GptqQuantizer.actOrder(how.calibration().diagonal(name, k), how.pruning()) : null;
        WeightForm form = WeightForm.int4(GroupSizes.forFile(groupSize, k), !how.symmetric()).withSparsity(how.sparsity());
        LayerSource.Facts facts = new LayerSource.Facts(name, scheme() + " " + weight.type()
                + (inOut ? " [in][out]" : "") + method(calibrated), k, n,
                groupSize, form, new Floats.ScaleTypes(scaleType, scaleType), tensors.find(name + ".bias"),
                inputOrder, List.of(weight));
        return calibrated ? new CalibratedLayer(facts, weight, inOut, how) : new NearestLayer(facts, weight, inOut, how);
    }

    private String method(boolean calibrated) {
        return switch (how.pruning()) {
            case NONE -> calibrated ? ", GPTQ" : "";
            case GIVEN -> calibrated ? ", 2:4, GPTQ" : ", 2:4";
            case MAGNITUDE, SPARSE_GPT -> ", pruned to 2:4, GPTQ";
        };
    }

    private abstract static class Layer extends LayerSource {
        final Tensor weight;
        final boolean inOut;
        final DenseQuantization how;

        Layer(Facts facts, Tensor weight, boolean inOut, DenseQuantization how) {
            super(facts);
            this.weight = weight;
            this.inOut = inOut;
            this.how = how;
        }

        /** Out-features {@code [from, to)}, with the layer's group size, scale type and zero points. */
        abstract QuantizedMatrix quantize(int from, int to);

        @Override
        final void fill(QuantizedMatrix.Builder matrix, int from, int to) {
            try (QuantizedMatrix quantized = quantizeChecked(from, to)) {
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

        private QuantizedMatrix quantizeChecked(int from, int to) {
            if (how.pruning() == Pruning.GIVEN) {
                Pruning.requireGiven(columns(from, to), k(), from);
            }
            return quantize(from, to);
        }

        /** Out-features {@code [from, to)} as {@code [to - from][k]}. */
        final float[] columns(int from, int to) {
            if (!inOut) {
                return Floats.read(weight, (long) from * k(), (long) to * k());
            }
            float[] columns = new float[Math.multiplyExact(to - from, k())];
            for (int row = 0; row < k(); row++) {
                float[] values = Floats.read(weight, (long) row * n() + from, (long) row * n() + to);
                for (int j = 0; j < values.length; j++) {
                    columns[j * k() + row] = values[j];
                }
            }
            return columns;
        }

        private static void copy(NativeMemory source, NativeMemory target, long unit) {
            for (long at = 0; at < source.size(); at += unit) {
                target.copyFrom(at, source.slice(at, (int) unit));
            }
        }
    }

    private static final class NearestLayer extends Layer {
        NearestLayer(Facts facts, Tensor weight, boolean inOut, DenseQuantization how) {
            super(facts, weight, inOut, how);
        }

        @Override
        QuantizedMatrix quantize(int from, int to) {
            return new RoundToNearest(groupSize(), scaleType(), !how.symmetric(), how.clippingSearch())
                    .quantize(new Columns(weight, inOut, k(), n(), from, to));
        }
    }

    private static final class CalibratedLayer extends Layer {
        /** The decomposed Hessian, kept from one range of columns to the next as long as memory allows. */
        private SoftReference<GptqQuantizer> quantizer = new SoftReference<>(null);

        CalibratedLayer(Facts facts, Tensor weight, boolean inOut, DenseQuantization how) {
            super(facts, weight, inOut, how);
        }

        private synchronized GptqQuantizer quantizer() {
            GptqQuantizer current = quantizer.get();
            if (current == null) {
                GptqOptions options = new GptqOptions(groupSize(), scaleType(), how.symmetric(), isActOrdered(), DAMPING,
                        how.clippingSearch(), how.pruning());
                current = new GptqQuantizer(how.calibration().hessian(name(), k()), options);
                quantizer = new SoftReference<>(current);
            }
            return current;
        }

        @Override
        QuantizedMatrix quantize(int from, int to) {
            QuantizedMatrix quantized = quantizer().quantize(columns(from, to), to - from);
            if (!Objects.equals(quantized.inputOrder(), inputOrder())) {
                throw new IllegalStateException("layer " + name() + ": calibration gave another input order than before");
            }
            return quantized;
        }
    }

    /** Out-features {@code [from, to)} of a weight, as a quantizer wants to see them. */
    private record Columns(Tensor weight, boolean inOut, int k, int allColumns, int from, int to) implements WeightSource {
        @Override
        public int n() {
            return to - from;
        }

        @Override
        public void read(int row, int column, int count, float[][] rows) {
            if (inOut) {
                for (int i = 0; i < rows.length; i++) {
                    long first = (long) (row + i) * allColumns + from + column;
                    System.arraycopy(Floats.read(weight, first, first + count), 0, rows[i], 0, count);
                }
                return;
            }
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
