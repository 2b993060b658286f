package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.layout.WeightForm;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * compressed-tensors. Scales are {@code [n][groups]}; a model may have several of these formats, each for the layers of its own group.
 *
 * <pre>
 *   pack-quantized         weight_packed I32 [n][k b / 32] along k, weight_zero_point I32 [n b / 32][groups] along n, b = 4 or 8 bits;
 *                          both stored plus half their range, which cancels in their difference
 *   int-quantized          weight I8 [n][k], weight_zero_point I8 [n][groups]
 *   nvfp4-pack-quantized   4-bit floats ({@link E2m1Layer}), weight_global_scale divides
 *   mxfp4-pack-quantized   4-bit floats
 *   marlin-24              {@link Marlin24Format}
 * </pre>
 *
 * Those of 4-bit floats and of bytes may come with settings for rounding activations too: ours stay as they are.
 */
final class CompressedTensorsFormat implements WeightFormat {
    private static final String PACKED = "pack-quantized";
    private static final String INT8 = "int-quantized";
    private static final String NVFP4 = "nvfp4-pack-quantized";
    private static final String MXFP4 = "mxfp4-pack-quantized";
    private static final String SPARSE = "marlin-24";
    private static final List<String> FORMATS = List.of(PACKED, INT8, NVFP4, MXFP4, SPARSE);

    private final QuantizationConfig config;
    private final List<Scheme> schemes = new ArrayList<>();

    /** One of the {@code config_groups}: how the layers that its targets name are quantized. */
    private record Scheme(ConfigNode where, List<String> names, List<BoundedRegex> patterns, boolean everyLinear) {
        static Scheme of(ConfigNode group) {
            List<String> names = new ArrayList<>();
            List<BoundedRegex> patterns = new ArrayList<>();
            boolean everyLinear = false;
            for (ConfigNode target : group.get("targets").items()) {
                String text = target.string();
                if (text.startsWith("re:")) {
                    patterns.add(new BoundedRegex(target, text.substring("re:".length())));
                } else if (text.equals("Linear")) {
                    everyLinear = true;
                } else {
                    names.add(text);
                }
            }
            return new Scheme(group, names, patterns, everyLinear);
        }

        boolean names(String layer) {
            return names.contains(layer) || patterns.stream().anyMatch(pattern -> pattern.matches(layer));
        }
    }

    CompressedTensorsFormat(QuantizationConfig config) {
        this.config = config;
        ConfigNode sparsity = config.agreed("sparsity_config");
        if (sparsity.isObject() && !sparsity.get("format").string("dense").equals("dense")) {
            throw sparsity.get("format").unsupported("no sparsity (format \"dense\")");
        }
        ConfigNode transform = config.agreed("transform_config");
        if (transform.isObject() && !transform.get("config_groups").isNull()
                && !transform.get("config_groups").entries().isEmpty()) {
            throw transform.unsupported("no transforms: activations would have to be transformed too");
        }
        for (Map.Entry<String, ConfigNode> group : config.agreed("config_groups").entries().entrySet()) {
            schemes.add(Scheme.of(group.getValue()));
        }
    }

    @Override
    public String scheme() {
        return "compressed-tensors " + config.get("format").string(PACKED);
    }

    @Override
    public String marker() {
        return "weight_packed";
    }

    @Override
    public String layerOf(Tensor tensor, TensorStore tensors) {
        String end = ".weight";
        if (tensor.type() != TensorType.I8 || !tensor.name().endsWith(end)) {
            return WeightFormat.super.layerOf(tensor, tensors);
        }
        String layer = tensor.name().substring(0, tensor.name().length() - end.length());
        return tensors.find(layer + ".weight_scale") != null ? layer : null;
    }

    /** The scheme that names the layer, or the one for every linear layer. */
    private ConfigNode schemeOf(String layer) {
        for (Scheme scheme : schemes) {
            if (scheme.names(layer)) {
                return scheme.where;
            }
        }
        for (Scheme scheme : schemes) {
            if (scheme.everyLinear) {
                return scheme.where;
            }
        }
        throw config.get("config_groups").malformed("one group must have layer \"" + layer
                + "\" or \"Linear\" among its targets");
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        ConfigNode scheme = schemeOf(name);
        ConfigNode weights = scheme.get("weights");
        return switch (format(scheme)) {
            case SPARSE -> {
                requireIntegers(scheme, weights, 4);
                requireActivations(scheme, false);
                yield Marlin24Format.ofCompressedTensors(weights).layer(tensors, name);
            }
            case NVFP4, MXFP4 -> floats(tensors, name, scheme, weights);
            default -> integers(tensors, name, scheme, weights);
        };
    }

    private String format(ConfigNode scheme) {
        ConfigNode format = scheme.get("format").isNull() ? config.agreed("format") : scheme.get("format");
        if (!FORMATS.contains(format.string(PACKED))) {
            throw format.unsupported("format \"" + String.join("\", \"", FORMATS) + "\"");
        }
        return format.string(PACKED);
    }

    private LayerSource floats(TensorStore tensors, String name, ConfigNode scheme, ConfigNode weights) {
        if (weights.get("num_bits").number() != 4 || !weights.get("type").string("float").equals("float")) {
            throw weights.unsupported("num_bits 4 and type \"float\" with format \"" + format(scheme) + "\"");
        }
        if (!weights.get("symmetric").bool(true)) {
            throw weights.get("symmetric").unsupported("true");
        }
        requireActivations(scheme, true);
        Tensor codes = tensors.require(name + ".weight_packed");
        Tensor scales = tensors.require(name + ".weight_scale");
        Shapes.requireType(codes, TensorType.U8);
        if (codes.shape().size() == 3) {
            throw Stacks.refuse(codes);
        }
        Shapes.requireRank(codes, 2);
        List<Tensor> parts = new ArrayList<>(List.of(codes, scales));
        E2m1Layer.Numbers numbers = E2m1Layer.Numbers.MXFP4;
        if (format(scheme).equals(NVFP4)) {
            Tensor divisor = tensors.require(name + ".weight_global_scale");
            numbers = E2m1Layer.Numbers.nvfp4(E2m1Layer.factor(divisor, true));
            parts.add(divisor);
        }
        return E2m1Layer.of(name, describe(scheme), codes, scales, numbers, tensors.find(name + ".bias"), parts);
    }

    private LayerSource integers(TensorStore tensors, String name, ConfigNode scheme, ConfigNode weights) {
        boolean packed = format(scheme).equals(PACKED);
        int bits = packed ? requireIntegers(scheme, weights, 4, 8) : requireIntegers(scheme, weights, 8);
        requireActivations(scheme, !packed);
        IntegerParts parts = IntegerParts.of(tensors, name, packed, bits, weights.get("symmetric"));
        int groupSize = groupSize(weights, parts.k());
        int groups = (parts.k() - 1) / groupSize + 1;
        parts.requireGroups(groups);
        Tensor groupIndex = tensors.find(name + ".weight_g_idx");
        int[] inputOrder = groupIndex == null ? null : InputOrder.of(groupIndex, parts.k(), groupSize);
        WeightForm form = WeightForm.of(bits == 4 ? WeightForm.Code.INT4 : WeightForm.Code.INT8,
                parts.zeros() == null ? WeightForm.Offset.MIDDLE : WeightForm.Offset.ZERO_POINT, GroupSizes.forFile(groupSize, parts.k()));
        LayerSource.Facts facts = new LayerSource.Facts(name, describe(scheme), parts.k(), parts.n(), groupSize, form,
                Floats.scaleTypes(parts.scales()), tensors.find(name + ".bias"), inputOrder, parts.tensors(groupIndex));
        return new CompressedTensorsLayer(facts, parts.codes(inputOrder), parts.scales(), parts.zeros());
    }

    private String describe(ConfigNode scheme) {
        return "compressed-tensors " + format(scheme) + (scheme.get("input_activations").isNull() ? "" : ", activations as they are");
    }

    /** Returns the bits of integer weights. */
    private static int requireIntegers(ConfigNode scheme, ConfigNode weights, int... accepted) {
        ConfigNode bits = weights.get("num_bits");
        if (Arrays.stream(accepted).noneMatch(width -> width == bits.number())) {
            throw bits.unsupported(accepted.length == 1 ? accepted[0] + " bits" : "4 or 8 bits");
        }
        if (!weights.get("type").string("int").equals("int")) {
            throw weights.get("type").unsupported("type \"int\"");
        }
        return (int) bits.number();
    }

    /** @param rounded whether the format is one whose writers round activations besides, which leaves the weights what they are */
    private static void requireActivations(ConfigNode scheme, boolean rounded) {
        if (!rounded && !scheme.get("input_activations").isNull()) {
            throw scheme.get("input_activations").unsupported("null: activations are not quantized");
        }
        if (!scheme.get("output_activations").isNull()) {
            throw scheme.get("output_activations").unsupported("null: outputs are not quantized");
        }
    }

    private static int groupSize(ConfigNode weights, int k) {
        ConfigNode strategy = weights.get("strategy");
        ConfigNode size = weights.get("group_size");
        String kind = strategy.string(size.number(-1) == -1 ? "channel" : "group");
        switch (kind) {
            case "channel":
                return k;
            case "group":
                long rows = size.number();
                if (!GroupSizes.isSupported(rows, k)) {
                    throw size.unsupported(GroupSizes.ACCEPTED);
                }
                return (int) Math.min(rows, k);
            default:
                throw strategy.unsupported("strategy \"group\" or \"channel\"");
        }
    }
}
