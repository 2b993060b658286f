package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.container.Words;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * GPTQ as AutoGPTQ and GPTQModel write it.
 *
 * <p>Version 1 ({@code checkpoint_format} "gptq" or absent) stores zero points minus one, version 2 ("gptq_v2") as they are. A
 * zero point of 0 becomes -1 in version 1 and spills over the higher nibbles of its word; adding 0x11111111 to the whole word
 * undoes that exactly if the writer subtracted it from the whole word, as GPTQModel does from 0.9.0 on. AutoGPTQ's own
 * asymmetric files cannot be told apart from damaged ones, so version 1 with zero points other than 8 is read only from that
 * writer.
 */
final class GptqFormat implements WeightFormat {
    private static final String FIRST_TRUSTED = "0.9.0";

    private final boolean version2;
    private final boolean trustedWriter;
    private final String writer;
    private final Settings settings;
    private final List<Rule> rules = new ArrayList<>();

    /**
     * What the configuration says about a layer.
     *
     * @param where the place that said so last
     * @param groupSize -1 for one group per column
     */
    private record Settings(ConfigNode where, long bits, long groupSize, boolean symmetric) {
        Settings overriddenBy(ConfigNode node) {
            return new Settings(node, node.firstOf("bits", "w_bit", "wbits").number(bits),
                    node.firstOf("group_size", "q_group_size").number(groupSize), isSymmetric(node, symmetric));
        }

        private static boolean isSymmetric(ConfigNode node, boolean otherwise) {
            return node.get("sym").isNull() ? !node.get("zero_point").bool(!otherwise) : node.get("sym").bool(otherwise);
        }
    }

    /** One entry of {@code dynamic}: the layers whose name starts with a match are skipped, or have settings of their own. */
    private record Rule(ConfigNode where, BoundedRegex layers, boolean skip) {
    }

    /** @param config the quantization configuration; {@code format} its checkpoint_format, "gptq" or "gptq_v2" */
    GptqFormat(ConfigNode config, String format) {
        this.version2 = format.equals("gptq_v2");
        this.settings = new Settings(config, 4, -1, true).overriddenBy(config);
        this.writer = writer(config);
        this.trustedWriter = isTrusted(writer);
        ConfigNode packType = config.get("pack_dtype");
        if (!packType.string("int32").equals("int32")) {
            throw packType.unsupported("pack_dtype \"int32\"");
        }
        ConfigNode dynamic = config.get("dynamic");
        if (dynamic.isNull() || !dynamic.isObject() && !dynamic.bool(false)) {
            return;
        }
        for (Map.Entry<String, ConfigNode> entry : dynamic.entries().entrySet()) {
            String pattern = entry.getKey();
            boolean skip = pattern.startsWith("-:");
            String regex = skip || pattern.startsWith("+:") ? pattern.substring(2) : pattern;
            rules.add(new Rule(entry.getValue(), new BoundedRegex(entry.getValue(), regex), skip));
        }
    }

    private static String writer(ConfigNode config) {
        ConfigNode meta = config.get("meta");
        if (!meta.isObject() || meta.get("quantizer").isNull()) {
            return "unknown";
        }
        ConfigNode quantizer = meta.get("quantizer");
        return quantizer.isList() ? String.join(", ", quantizer.strings()) : quantizer.string();
    }

    /** Whether {@code "gptqmodel:x.y.z"} is at least 0.9.0; suffixes such as "-dev" or "+cu128" do not count. */
    static boolean isTrusted(String writer) {
        String prefix = "gptqmodel:";
        if (!writer.startsWith(prefix)) {
            return false;
        }
        String[] version = writer.substring(prefix.length()).split(",")[0].split("\\.");
        String[] least = FIRST_TRUSTED.split("\\.");
        for (int i = 0; i < least.length; i++) {
            String digits = i < version.length ? version[i].replaceFirst("[^0-9].*", "") : "";
            if (digits.isEmpty() || digits.length() > 9) {
                return false;
            }
            int order = Integer.compare(Integer.parseInt(digits), Integer.parseInt(least[i]));
            if (order != 0) {
                return order > 0;
            }
        }
        return true;
    }

    @Override
    public String scheme() {
        return version2 ? "GPTQ v2" : "GPTQ v1";
    }

    @Override
    public String marker() {
        return "qweight";
    }

    private Settings settingsOf(TensorStore tensors, String name) {
        for (Rule rule : rules) {
            if (rule.layers.matches(name)) {
                if (rule.skip) {
                    throw new MalformedCheckpointException(rule.where.file(), "key " + rule.where.path(),
                            "a skipped layer \"" + name + "\" with tensor " + tensors.require(name + ".qweight"),
                            "a layer that \"-:\" matches is not quantized");
                }
                return settings.overriddenBy(rule.where);
            }
        }
        return settings;
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        Settings own = settingsOf(tensors, name);
        if (own.bits != 4) {
            throw new UnsupportedCheckpointException(own.where.file(), "layer " + name + ", key " + own.where.path(),
                    "bits " + own.bits, "4 bits");
        }
        Tensor codes = tensors.require(name + ".qweight");
        Tensor zeros = tensors.require(name + ".qzeros");
        Tensor scales = tensors.require(name + ".scales");
        Tensor groupIndex = tensors.find(name + ".g_idx");
        Tensor bias = tensors.find(name + ".bias");

        Shapes.requireRank(codes, 2);
        Shapes.requireType(codes, TensorType.I32);
        int k = Shapes.extent(codes, "k", codes.shape().get(0) <= Shapes.LARGEST_EXTENT
                ? codes.shape().get(0) * Nibbles.PER_WORD : -1);
        int n = Shapes.extent(codes, "n", codes.shape().get(1));
        if (n % Nibbles.PER_WORD != 0) {
            throw codes.malformed("shape " + codes.shape(), "n must be a multiple of 8: zero points are packed along it");
        }
        int groupSize = groupSize(own, name, k);
        int groups = (k - 1) / groupSize + 1;
        Shapes.requireType(scales, TensorType.F16, TensorType.BF16, TensorType.F32);
        Shapes.require(scales, groups, n);
        Shapes.requireType(zeros, TensorType.I32);
        Shapes.require(zeros, groups, n / Nibbles.PER_WORD);

        int[] inputOrder = null;
        List<Tensor> parts = new ArrayList<>(List.of(codes, zeros, scales));
        if (groupIndex != null) {
            inputOrder = InputOrder.of(groupIndex, k, groupSize);
            parts.add(groupIndex);
        }
        boolean zeroPoints = hasZeroPoints(zeros, own);
        LayerSource.Facts facts = new LayerSource.Facts(name, scheme(), k, n, groupSize, zeroPoints, Floats.scaleType(scales),
                bias, inputOrder, parts);
        return new GptqLayer(facts, codes, zeros, scales, version2);
    }

    private static int groupSize(Settings own, String name, int k) {
        if (own.groupSize == -1) {
            return k;
        }
        if (!GroupSizes.isSupported(own.groupSize, k)) {
            throw new UnsupportedCheckpointException(own.where.file(), "layer " + name + ", key " + own.where.path(),
                    "group_size " + own.groupSize, GroupSizes.ACCEPTED);
        }
        return (int) Math.min(own.groupSize, k);
    }

    /** Judges by the words themselves; the configuration's {@code sym} is only their witness. */
    private boolean hasZeroPoints(Tensor zeros, Settings own) {
        int allEights = version2 ? 0x88888888 : 0x77777777;
        int otherVersion = version2 ? 0x77777777 : 0x88888888;
        long different = Words.firstOther(zeros, allEights);
        if (different < 0) {
            return false;
        }
        if (own.symmetric && Words.firstOther(zeros, otherVersion) < 0) {
            throw zeros.malformed(0, "0x" + Integer.toHexString(otherVersion) + " in every word", "symmetric " + scheme()
                    + " has 0x" + Integer.toHexString(allEights) + ": checkpoint_format names the wrong version");
        }
        if (!version2 && !trustedWriter) {
            throw new UnsupportedCheckpointException(zeros.file(),
                    "tensor " + zeros.name() + ", file offset " + (zeros.fileOffset() + different),
                    "zero points other than 8 (sym = " + own.symmetric + ") in GPTQ v1 written by \"" + writer + "\"",
                    "such zero points in gptq_v2, or in v1 when meta.quantizer is gptqmodel >= " + FIRST_TRUSTED
                    + ": other writers lose zero points of 0");
        }
        return true;
    }
}
