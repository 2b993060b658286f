package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.layout.WeightForm;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * compressed-tensors' "pack-quantized": codes {@code [n][k / 8]} words along k, scales {@code [n][groups]}, zero points
 * {@code [n / 8][groups]} words along n. Both codes and zero points are stored plus 8, which cancels in their difference.
 */
final class CompressedTensorsFormat implements WeightFormat {
    private static final String FORMAT = "pack-quantized";
    private static final String SPARSE_FORMAT = "marlin-24";

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
        return "compressed-tensors " + config.get("format").string(FORMAT);
    }

    @Override
    public String marker() {
        return "weight_packed";
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
        if (checkScheme(scheme, weights).equals(SPARSE_FORMAT)) {
            return Marlin24Format.ofCompressedTensors(weights).layer(tensors, name);
        }
        boolean symmetric = weights.get("symmetric").bool(true);

        Tensor codes = tensors.require(name + ".weight_packed");
        Tensor scales = tensors.require(name + ".weight_scale");
        Tensor zeros = symmetric ? null : tensors.require(name + ".weight_zero_point");
        Tensor shape = tensors.require(name + ".weight_shape");
        Tensor groupIndex = tensors.find(name + ".weight_g_idx");
        Tensor bias = tensors.find(name + ".bias");
        if (symmetric && tensors.find(name + ".weight_zero_point") != null) {
            throw tensors.require(name + ".weight_zero_point").malformed("a zero point tensor",
                    "key " + weights.path() + ".symmetric is true, which leaves none");
        }

        long[] size = shape(shape);
        int n = Shapes.extent(shape, "n", size[0]);
        int k = Shapes.extent(shape, "k", size[1]);
        int groupSize = groupSize(weights, k);
        int groups = (k - 1) / groupSize + 1;
        Shapes.requireType(codes, TensorType.I32);
        Shapes.require(codes, n, Nibbles.words(k));
        Shapes.requireType(scales, TensorType.F16, TensorType.BF16, TensorType.F32);
        Shapes.require(scales, n, groups);
        List<Tensor> parts = new ArrayList<>(List.of(codes, scales, shape));
        if (zeros != null) {
            Shapes.requireType(zeros, TensorType.I32);
            Shapes.require(zeros, Nibbles.words(n), groups);
            parts.add(zeros);
        }
        int[] inputOrder = null;
        if (groupIndex != null) {
            inputOrder = InputOrder.of(groupIndex, k, groupSize);
            parts.add(groupIndex);
        }
        WeightForm form = WeightForm.int4(GroupSizes.forFile(groupSize, k), zeros != null);
        LayerSource.Facts facts = new LayerSource.Facts(name, "compressed-tensors " + FORMAT, k, n, groupSize, form,
                Floats.scaleTypes(scales), bias, inputOrder, parts);
        return new CompressedTensorsLayer(facts, codes, zeros, scales);
    }

    /** Returns the layer's format. */
    private String checkScheme(ConfigNode scheme, ConfigNode weights) {
        ConfigNode format = scheme.get("format").isNull() ? config.agreed("format") : scheme.get("format");
        if (!List.of(FORMAT, SPARSE_FORMAT).contains(format.string(FORMAT))) {
            throw format.unsupported("format \"" + FORMAT + "\" or \"" + SPARSE_FORMAT + "\"");
        }
        if (weights.get("num_bits").number() != 4) {
            throw weights.get("num_bits").unsupported("4 bits");
        }
        if (!weights.get("type").string("int").equals("int")) {
            throw weights.get("type").unsupported("type \"int\"");
        }
        if (!scheme.get("input_activations").isNull()) {
            throw scheme.get("input_activations").unsupported("null: activations are not quantized");
        }
        if (!scheme.get("output_activations").isNull()) {
            throw scheme.get("output_activations").unsupported("null: outputs are not quantized");
        }
        return format.string(FORMAT);
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

    /** The two numbers of {@code weight_shape}: n, k. Older writers use I32. */
    private static long[] shape(Tensor tensor) {
        Shapes.requireType(tensor, TensorType.I64, TensorType.I32);
        Shapes.require(tensor, 2);
        var bytes = tensor.slice(0, (int) tensor.bytes());
        return tensor.type() == TensorType.I64
                ? new long[] {bytes.getLong(0), bytes.getLong(Long.BYTES)}
                : new long[] {bytes.getInt(0), bytes.getInt(Integer.BYTES)};
    }
}
