package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.container.Words;
import io.github.jmarlin.layout.WeightForm;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Locale;

/**
 * AutoAWQ's "gemm" version: codes {@code [k][n / 8]} and zero points {@code [k / g][n / 8]}, both words along n with interleaved
 * nibbles, scales {@code [k / g][n]}.
 */
final class AwqFormat implements WeightFormat {
    private static final int DEFAULT_GROUP_SIZE = 128;

    private final QuantizationConfig config;
    private final LayerRules rules;

    AwqFormat(QuantizationConfig config) {
        this.config = config;
        this.rules = LayerRules.of(config);
        ConfigNode bits = config.agreed("bits", "w_bit");
        if (bits.number(4) != 4) {
            throw bits.unsupported("4 bits");
        }
        config.all("group_size", "q_group_size").forEach(ConfigNode::number);
        ConfigNode version = config.agreed("version");
        if (!version.string("gemm").toLowerCase(Locale.ROOT).equals("gemm")) {
            throw version.unsupported("AWQ version \"gemm\"");
        }
    }

    @Override
    public String scheme() {
        return "AWQ gemm";
    }

    @Override
    public String marker() {
        return "qweight";
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        Tensor codes = tensors.require(name + ".qweight");
        Tensor zeros = tensors.require(name + ".qzeros");
        Tensor scales = tensors.require(name + ".scales");
        Tensor bias = tensors.find(name + ".bias");

        Shapes.requireRank(codes, 2);
        Shapes.requireType(codes, TensorType.I32);
        int k = Shapes.extent(codes, "k", codes.shape().get(0));
        int n = Shapes.extent(codes, "n", codes.shape().get(1) <= Shapes.LARGEST_EXTENT
                ? codes.shape().get(1) * Nibbles.PER_WORD : -1);
        LayerRules.Rule rule = rules.of(name);
        if (rule != null && rule.where().get("bits").number(4) != 4) {
            throw new UnsupportedCheckpointException(rule.where().file(), "layer " + name + ", key " + rule.where().path(),
                    "bits " + rule.where().get("bits").number(), "4 bits");
        }
        Shapes.requireRank(scales, 2);
        List<ConfigNode> sizes = rule == null || rule.where().get("group_size").isNull()
                ? config.all("group_size", "q_group_size") : List.of(rule.where().get("group_size"));
        int rows = GroupSizes.ofFile(name, sizes, DEFAULT_GROUP_SIZE, k, scales.shape().get(0));
        int groups = (k - 1) / rows + 1;
        Shapes.requireType(scales, TensorType.F16, TensorType.BF16, TensorType.F32);
        Shapes.require(scales, groups, n);
        Shapes.requireType(zeros, TensorType.I32);
        Shapes.require(zeros, groups, n / Nibbles.PER_WORD);
        boolean zeroPoints = Words.firstOther(zeros, 0x88888888) >= 0;
        WeightForm form = WeightForm.int4(GroupSizes.forFile(rows, k), zeroPoints);
        return new Layer(new LayerSource.Facts(name, scheme(), k, n, rows, form, Floats.scaleTypes(scales), bias, null,
                List.of(codes, zeros, scales)), codes, zeros, scales);
    }

    private static final class Layer extends LayerSource {
        private final Tensor codes;
        private final Tensor zeros;
        private final Tensor scales;

        Layer(Facts facts, Tensor codes, Tensor zeros, Tensor scales) {
            super(facts);
            this.codes = codes;
            this.zeros = zeros;
            this.scales = scales;
        }

        @Override
        void fill(QuantizedMatrix.Builder matrix, int from, int to) {
            int width = to - from;
            int[] words = new int[width / Nibbles.PER_WORD];
            CodeRows target = new CodeRows(matrix, width);
            for (int row = 0; row < k(); row++) {
                readWords(codes, row, from, words);
                target.put(row, words);
            }
            for (int group = 0; group < groups(); group++) {
                long fileRow = (long) fileGroup(group) * n();
                putScales(matrix, group, Floats.read(scales, fileRow + from, fileRow + to));
                if (hasZeroPoints()) {
                    readWords(zeros, fileGroup(group), from, words);
                    ByteBuffer zeroPoints = matrix.zeroPoints().slice((long) group * width, width);
                    for (int column = 0; column < width; column++) {
                        zeroPoints.put(column, (byte) Nibbles.get(words[column / Nibbles.PER_WORD], column % Nibbles.PER_WORD));
                    }
                }
            }
        }

        private void readWords(Tensor tensor, int row, int from, int[] words) {
            Words.read(tensor, ((long) row * n() + from) / Nibbles.PER_WORD, words);
            for (int i = 0; i < words.length; i++) {
                words[i] = Nibbles.fromAwq(words[i]);
            }
        }
    }
}
