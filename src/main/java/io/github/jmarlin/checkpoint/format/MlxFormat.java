package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.ByteScales;
import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.layout.WeightForm;
import java.util.List;

/**
 * MLX: codes {@code [n][k bits / 32]} words along k, the first in the lowest bits; scales and biases {@code [n][k / g]};
 * {@code weight = scale * code + bias}. Settings of single layers stand under their names beside those of all, and inherit nothing from
 * them. The modes "mxfp4" and "nvfp4" are 4-bit floats in the same words, with scales of one byte and no biases.
 */
final class MlxFormat implements WeightFormat {
    private final QuantizationConfig config;

    MlxFormat(QuantizationConfig config) {
        this.config = config;
        config.get("bits").number(4);
        config.get("group_size").number(64);
        config.get("mode").string("affine");
    }

    /** Whether a tensor holds MLX's codes, which no other tool stores as U32. */
    static boolean isCodes(Tensor tensor, TensorStore tensors) {
        return tensor.type() == TensorType.U32 && tensor.name().endsWith(".weight")
                && tensors.find(tensor.name().substring(0, tensor.name().length() - "weight".length()) + "scales") != null;
    }

    @Override
    public String scheme() {
        return "MLX";
    }

    @Override
    public String marker() {
        return "weight";
    }

    @Override
    public String layerOf(Tensor tensor, TensorStore tensors) {
        return isCodes(tensor, tensors) ? WeightFormat.super.layerOf(tensor, tensors) : null;
    }

    /**
     * What the layer's own settings say if it has any, else what those of all do. A key that is not in an object of its own has MLX's
     * default, whatever those of all say: the object is all that MLX hands to the layer's {@code to_quantized}.
     */
    private ConfigNode stated(String layer, String key) {
        ConfigNode own = config.get(layer);
        if (!own.isNull() && !own.isObject() && !own.bool(true)) {
            throw own.malformed("a layer that is not quantized has no U32 weight, but " + layer + " has");
        }
        return own.isObject() ? own.get(key) : config.agreed(key);
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        Tensor codes = tensors.require(name + ".weight");
        Tensor scales = tensors.require(name + ".scales");
        if (codes.shape().size() == 3) {
            throw Stacks.refuse(codes);
        }
        Shapes.requireRank(codes, 2);
        ConfigNode mode = stated(name, "mode");
        return switch (mode.string("affine")) {
            case "affine" -> affine(tensors, name, codes, scales);
            case "mxfp4" -> floats(tensors, name, codes, scales, E2m1Layer.Numbers.MXFP4, "MLX mxfp4");
            case "nvfp4" -> floats(tensors, name, codes, scales, new E2m1Layer.Numbers(ByteScales.E4M3, 16, Float.NaN), "MLX nvfp4");
            default -> throw new UnsupportedCheckpointException(mode.file(), "layer " + name + ", key " + mode.path(),
                    "mode \"" + mode.string() + "\"", "mode \"affine\", \"mxfp4\" or \"nvfp4\"");
        };
    }

    private static LayerSource floats(TensorStore tensors, String name, Tensor codes, Tensor scales, E2m1Layer.Numbers numbers,
            String scheme) {
        return E2m1Layer.of(name, scheme, codes, scales, numbers, tensors.find(name + ".bias"), List.of(codes, scales));
    }

    private LayerSource affine(TensorStore tensors, String name, Tensor codes, Tensor scales) {
        ConfigNode bits = stated(name, "bits");
        if (bits.number(4) != 4 && bits.number() != 8) {
            throw new UnsupportedCheckpointException(bits.file(), "layer " + name + ", key " + bits.path(), "bits " + bits.number(),
                    "4 or 8 bits");
        }
        Tensor zeros = tensors.require(name + ".biases");
        int width = (int) bits.number(4);
        int n = Shapes.extent(codes, "n", codes.shape().get(0));
        long words = codes.shape().get(1);
        int k = Shapes.extent(codes, "k", words <= Shapes.LARGEST_EXTENT / Integer.SIZE * width ? words * Integer.SIZE / width : -1);
        Shapes.requireRank(scales, 2);
        ConfigNode size = stated(name, "group_size");
        int rows = GroupSizes.ofFile(name, size.isNull() ? List.of() : List.of(size), 64, k, scales.shape().get(1));
        if (k % rows != 0) {
            throw codes.malformed("k " + k + " in groups of " + rows, "the groups must divide k");
        }
        for (Tensor parameters : List.of(scales, zeros)) {
            Shapes.requireType(parameters, TensorType.F16, TensorType.BF16, TensorType.F32);
            Shapes.require(parameters, n, k / rows);
        }
        WeightForm form = WeightForm.of(width == 4 ? WeightForm.Code.INT4 : WeightForm.Code.INT8, WeightForm.Offset.FLOAT_ZERO,
                GroupSizes.forFile(rows, k));
        return new Layer(new LayerSource.Facts(name, "MLX " + width + "-bit", k, n, rows, form,
                Floats.scaleTypes(scales).with(Floats.scaleTypes(zeros)), tensors.find(name + ".bias"), null,
                List.of(codes, scales, zeros)), codes, width, scales, zeros);
    }

    private static final class Layer extends LayerSource {
        private final ColumnCodes codes;
        private final Tensor scales;
        private final Tensor zeros;

        Layer(Facts facts, Tensor codes, int bits, Tensor scales, Tensor zeros) {
            super(facts);
            this.codes = new ColumnCodes(codes, bits, 0, facts.k(), null);
            this.scales = scales;
            this.zeros = zeros;
        }

        @Override
        void fill(QuantizedMatrix.Builder matrix, int from, int to) {
            codes.fill(matrix, from, to);
            int fileGroups = Math.toIntExact(scales.shape().get(1));
            putColumns(matrix.scales(), from, to, column -> Floats.read(scales, (long) column * fileGroups, (column + 1L) * fileGroups));
            putColumns(matrix.floatZeros(), from, to, column -> Floats.read(zeros, (long) column * fileGroups, (column + 1L) * fileGroups));
        }
    }
}
