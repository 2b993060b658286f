package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * ModelOpt's 4-bit floats: {@code weight} U8 {@code [n][k / 2]}. NVFP4: {@code weight_scale} E4M3 {@code [n][k / 16]} and
 * {@code weight_scale_2}, a float that multiplies; MXFP4: {@code weight_scale} U8 {@code [n][k / 32]}, exponents. {@code input_scale}
 * is for products that round their inputs, which ours do not.
 */
final class ModelOptFormat implements WeightFormat {
    private static final String ACCEPTED = "quant_algo \"NVFP4\", \"NVFP4_AWQ\", \"W4A16_NVFP4\", \"W4A8_NVFP4_FP8\", \"MXFP4\", "
            + "\"W4A8_MXFP4_FP8\" or \"MIXED_PRECISION\"";
    private static final Set<String> ALGORITHMS = Set.of("nvfp4", "nvfp4_awq", "w4a16_nvfp4", "w4a8_nvfp4_fp8", "mxfp4",
            "w4a8_mxfp4_fp8", "mixed_precision");

    ModelOptFormat(QuantizationConfig config) {
        ConfigNode algorithm = config.agreed("quant_algo");
        if (algorithm.isNull() || !ALGORITHMS.contains(algorithm.string().toLowerCase(Locale.ROOT))) {
            throw algorithm.unsupported(ACCEPTED);
        }
    }

    @Override
    public String scheme() {
        return "ModelOpt";
    }

    @Override
    public String marker() {
        return "weight";
    }

    /** Layers in full precision or in 8-bit floats lie beside these under the same name. */
    @Override
    public String layerOf(Tensor tensor, TensorStore tensors) {
        String layer = WeightFormat.super.layerOf(tensor, tensors);
        return layer != null && tensor.type() == TensorType.U8 && tensors.find(layer + ".weight_scale") != null ? layer : null;
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        Tensor codes = tensors.require(name + ".weight");
        Tensor scales = tensors.require(name + ".weight_scale");
        if (codes.shape().size() == 3) {
            throw Stacks.refuse(codes);
        }
        Shapes.requireRank(codes, 2);
        Tensor smoothing = tensors.find(name + ".pre_quant_scale");
        if (smoothing != null) {
            throw new UnsupportedCheckpointException(smoothing.file(), "tensor " + smoothing, "a factor for each input of the layer",
                    "layers whose inputs are taken as they are");
        }
        List<Tensor> parts = new ArrayList<>(List.of(codes, scales));
        boolean mxfp4 = scales.type() != TensorType.F8_E4M3;
        E2m1Layer.Numbers numbers = E2m1Layer.Numbers.MXFP4;
        if (!mxfp4) {
            Tensor factor = tensors.require(name + ".weight_scale_2");
            numbers = E2m1Layer.Numbers.nvfp4(E2m1Layer.factor(factor, false));
            parts.add(factor);
        }
        String unused = tensors.find(name + ".input_scale") == null ? "" : ", input_scale not used";
        return E2m1Layer.of(name, "ModelOpt " + (mxfp4 ? "MXFP4" : "NVFP4") + unused, codes, scales, numbers,
                tensors.find(name + ".bias"), parts);
    }
}
