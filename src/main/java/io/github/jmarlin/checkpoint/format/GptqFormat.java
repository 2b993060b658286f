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
import io.github.jmarlin.layout.WeightForm;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * GPTQ as AutoGPTQ and GPTQModel write it, with codes of 4 or 8 bits, eight or four to a word.
 *
 * <p>Version 1 ({@code checkpoint_format} "gptq" or absent) stores zero points minus one, version 2 ("gptq_v2") as they are. A
 * zero point of 0 becomes -1 in version 1 and spills over the higher nibbles of its word; adding 0x11111111 to the whole word
 * (0x01010101 of 8 bits)
 * undoes that exactly if the writer subtracted it from the whole word, as GPTQModel does from 0.9.0 on. AutoGPTQ's own
 * asymmetric files cannot be told apart from damaged ones, so version 1 with zero points other than 8 is read only from that
 * writer. Symmetric files need no trust: their words are one and the same, 8 or 7, and say themselves which version they are.
 */
final class GptqFormat implements WeightFormat {
    private static final String FIRST_TRUSTED = "0.9.0";
    private static final String[] BITS = {"bits", "w_bit", "wbits"};
    private static final String[] GROUP_SIZE = {"group_size", "q_group_size"};

    /** How zero points are stored. */
    enum Version {
        /** Minus one. */
        V1,
        /** As they are. */
        V2,
        /** Nobody says: only symmetric layers can be read, whose words decide. */
        UNKNOWN
    }

    private final QuantizationConfig config;
    private final Version version;
    private final boolean trustedWriter;
    private final String writer;
    private final LayerRules rules;

    /** @param version what {@code checkpoint_format} says in the place taken */
    GptqFormat(QuantizationConfig config, Version version) {
        this.config = config;
        this.version = version;
        this.rules = LayerRules.of(config);
        this.writer = writer(config);
        this.trustedWriter = Arrays.stream(writer.split(", ")).anyMatch(GptqFormat::isTrusted);
        for (String[] keys : new String[][] {BITS, GROUP_SIZE}) {
            config.all(keys).forEach(ConfigNode::number);
        }
        isSymmetric();
        ConfigNode packType = config.agreed("pack_dtype");
        if (!packType.string("int32").equals("int32")) {
            throw packType.unsupported("pack_dtype \"int32\"");
        }
    }

    /** The tools that worked on the file, as one line. A list may hold several, and one of them packed it. */
    private static String writer(QuantizationConfig config) {
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
        return version == Version.V2 ? "GPTQ v2" : version == Version.V1 ? "GPTQ v1" : "GPTQ";
    }

    @Override
    public String marker() {
        return "qweight";
    }

    /** Only a witness: what the words of a layer say counts. */
    private boolean isSymmetric() {
        ConfigNode symmetric = config.get("sym");
        return symmetric.isNull() ? !config.get("zero_point").bool(false) : symmetric.bool(true);
    }

    private LayerRules.Rule ruleOf(TensorStore tensors, String name) {
        LayerRules.Rule rule = rules.of(name);
        if (rule != null && rule.skip()) {
            throw new MalformedCheckpointException(rule.where().file(), "key " + rule.where().path(),
                    "a skipped layer \"" + name + "\" with tensor " + tensors.require(name + ".qweight"),
                    "a layer that \"-:\" matches is not quantized");
        }
        return rule;
    }

    /** What a layer's own rule says, else what the places do. */
    private List<ConfigNode> stated(LayerRules.Rule rule, String... keys) {
        return rule == null || rule.where().firstOf(keys).isNull() ? config.all(keys) : List.of(rule.where().firstOf(keys));
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        LayerRules.Rule rule = ruleOf(tensors, name);
        Tensor codes = tensors.require(name + ".qweight");
        int bits = bits(stated(rule, BITS), tensors, name);
        int perWord = Integer.SIZE / bits;
        Tensor zeros = tensors.require(name + ".qzeros");
        Tensor scales = tensors.require(name + ".scales");
        Tensor groupIndex = tensors.find(name + ".g_idx");
        Tensor bias = tensors.find(name + ".bias");

        Shapes.requireRank(codes, 2);
        Shapes.requireType(codes, TensorType.I32);
        int k = Shapes.extent(codes, "k", codes.shape().get(0) <= Shapes.LARGEST_EXTENT
                ? codes.shape().get(0) * perWord : -1);
        int n = Shapes.extent(codes, "n", codes.shape().get(1));
        if (n % perWord != 0) {
            throw codes.malformed("shape " + codes.shape(), "n must be a multiple of " + perWord + ": zero points are packed along it");
        }
        Shapes.requireRank(scales, 2);
        int groupSize = GroupSizes.ofFile(name, stated(rule, GROUP_SIZE), -1, k, scales.shape().get(0));
        int groups = (k - 1) / groupSize + 1;
        Shapes.requireType(scales, TensorType.F16, TensorType.BF16, TensorType.F32);
        Shapes.require(scales, groups, n);
        Shapes.requireType(zeros, TensorType.I32);
        Shapes.require(zeros, groups, n / perWord);

        int[] inputOrder = null;
        List<Tensor> parts = new ArrayList<>(List.of(codes, zeros, scales));
        if (groupIndex != null) {
            inputOrder = InputOrder.of(groupIndex, k, groupSize);
            parts.add(groupIndex);
        }
        WeightForm form = WeightForm.of(bits == 4 ? WeightForm.Code.INT4 : WeightForm.Code.INT8,
                hasZeroPoints(zeros, bits) ? WeightForm.Offset.ZERO_POINT : WeightForm.Offset.MIDDLE, GroupSizes.forFile(groupSize, k));
        LayerSource.Facts facts = new LayerSource.Facts(name, scheme() + (bits == 4 ? "" : " 8-bit"), k, n, groupSize, form,
                Floats.scaleTypes(scales), bias, inputOrder, parts);
        return new GptqLayer(facts, codes, zeros, scales, bits, version == Version.V2);
    }

    /** Where places differ, the words of zero points per row of scales decide: n bits / 32. */
    private static int bits(List<ConfigNode> stated, TensorStore tensors, String name) {
        List<ConfigNode> fitting = stated;
        Tensor zeros = tensors.find(name + ".qzeros");
        Tensor scales = tensors.find(name + ".scales");
        if (stated.size() > 1 && zeros != null && scales != null && zeros.shape().size() == 2 && scales.shape().size() == 2) {
            fitting = stated.stream().filter(node -> node.number() > 0 && node.number() <= Integer.SIZE
                    && scales.shape().get(1) * node.number() == zeros.shape().get(1) * Integer.SIZE).toList();
        }
        for (ConfigNode bits : fitting) {
            if (bits.number() != 4 && bits.number() != 8) {
                throw new UnsupportedCheckpointException(bits.file(), "layer " + name + ", key " + bits.path(),
                        "bits " + bits.number(), "4 or 8 bits");
            }
        }
        return fitting.isEmpty() ? 4 : (int) fitting.get(0).number();
    }

    /**
     * Judges by the words themselves. Symmetric words are one and the same everywhere, 8 (of 8 bits 128) as it is or minus one, so
     * that they say themselves how they are stored, whatever the configuration says; other zero points need to know it.
     */
    private boolean hasZeroPoints(Tensor zeros, int bits) {
        int middle = bits == 4 ? 0x88888888 : 0x80808080;
        int minusOne = middle - GptqLayer.ones(bits);
        long different = Words.firstOther(zeros, version == Version.V2 ? middle : minusOne);
        if (different < 0) {
            return false;
        }
        if (isSymmetric() && Words.firstOther(zeros, version == Version.V2 ? minusOne : middle) < 0) {
            return false;
        }
        List<ConfigNode> formats = config.all("checkpoint_format", "format");
        if (formats.size() > 1) {
            throw QuantizationConfig.disagree(formats.get(0), formats.get(1), "tensor " + zeros.name()
                    + " has zero points other than " + (1 << bits - 1) + ", and how they are stored depends on it");
        }
        if (version == Version.UNKNOWN || version == Version.V1 && !trustedWriter) {
            throw new UnsupportedCheckpointException(zeros.file(),
                    "tensor " + zeros.name() + ", file offset " + (zeros.fileOffset() + different),
                    "zero points other than " + (1 << bits - 1) + " (sym = " + isSymmetric() + ") in " + scheme() + " written by \""
                    + writer + "\"",
                    "such zero points in gptq_v2, or in v1 when meta.quantizer is gptqmodel >= " + FIRST_TRUSTED
                    + ": other writers lose zero points of 0");
        }
        return true;
    }
}
