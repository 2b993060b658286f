package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.Words;
import io.github.jmarlin.layout.WeightForm;
import java.util.Arrays;
import java.util.List;

/**
 * The original Marlin layout: codes {@code B [k / 16][2 n]}, scales {@code s [groups][n]} in an order of their own, symmetric.
 *
 * <pre>
 *   B is a row of tiles of 16 rows and 64 columns, 128 words each:
 *     word    (n / 64) * 128 + lane * 4 + j     lane = (c % 8) * 4 + (kk % 8) / 2, j = (n % 64) / 16, c = n % 16, kk = k % 16
 *     nibble  ORDER[4 * (c / 8) + 2 * (kk / 8) + kk % 2]
 *   s, several groups:    within 64 columns position 8 a + b holds column a + 8 b
 *   s, one group:         within 32 columns position 8 a + b holds column 2 a + CHANNEL[b]
 * </pre>
 */
final class MarlinFormat implements WeightFormat {
    private static final int TILE_ROWS = 16;
    private static final int TILE_COLUMNS = 64;
    private static final int TILE_WORDS = 128;
    private static final int[] ORDER = {0, 4, 1, 5, 2, 6, 3, 7};
    private static final int[] CHANNEL = {0, 1, 8, 9, 16, 17, 24, 25};

    /** What Marlin's own kernel works on at a time; its writers refuse other shapes. */
    private static final int WHOLE_ROWS = 128;

    private final List<ConfigNode> groupSizes;

    MarlinFormat(QuantizationConfig config) {
        ConfigNode bits = config.agreed("bits");
        if (bits.number(4) != 4) {
            throw bits.unsupported("4 bits");
        }
        this.groupSizes = config.all("group_size");
        groupSizes.forEach(ConfigNode::number);
    }

    @Override
    public String scheme() {
        return "Marlin";
    }

    @Override
    public String marker() {
        return "B";
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        Tensor codes = tensors.require(name + ".B");
        Tensor scales = tensors.require(name + ".s");
        Tensor bias = tensors.find(name + ".bias");

        Shapes.requireRank(codes, 2);
        Shapes.requireType(codes, TensorType.I32);
        long tileRows = codes.shape().get(0);
        int k = Shapes.extent(codes, "k", tileRows <= Shapes.LARGEST_EXTENT ? tileRows * TILE_ROWS : -1);
        int n = Shapes.extent(codes, "n", codes.shape().get(1) / 2);
        if (codes.shape().get(1) % TILE_WORDS != 0) {
            throw codes.malformed("shape " + codes.shape(), "the second dimension must be a multiple of " + TILE_WORDS);
        }
        if (k % WHOLE_ROWS != 0) {
            throw codes.malformed("shape " + codes.shape() + ", k " + k, "k must be a multiple of " + WHOLE_ROWS
                    + ": Marlin stores whole tiles");
        }
        Shapes.requireRank(scales, 2);
        int rows = GroupSizes.ofFile(name, groupSizes, -1, k, scales.shape().get(0));
        if (k % rows != 0) {
            throw codes.malformed("k " + k + " in groups of " + rows, "the groups must divide k: Marlin stores whole tiles");
        }
        int groups = k / rows;
        Shapes.requireType(scales, TensorType.F16, TensorType.BF16, TensorType.F32);
        Shapes.require(scales, groups, n);
        WeightForm form = WeightForm.int4(GroupSizes.forFile(rows, k), false);
        return new Layer(new LayerSource.Facts(name, scheme(), k, n, rows, form, Floats.scaleTypes(scales), bias, null,
                List.of(codes, scales)), codes, scales);
    }

    private static final class Layer extends LayerSource {
        private final Tensor codes;
        private final Tensor scales;

        Layer(Facts facts, Tensor codes, Tensor scales) {
            super(facts);
            this.codes = codes;
            this.scales = scales;
        }

        @Override
        void fill(QuantizedMatrix.Builder matrix, int from, int to) {
            int width = to - from;
            int[] words = new int[2 * width];
            CodeRows target = new CodeRows(matrix, width);
            int[][] rows = target.buffers(TILE_ROWS);
            for (int tileRow = 0; tileRow < k() / TILE_ROWS; tileRow++) {
                Words.read(codes, (long) tileRow * 2 * n() + 2L * from, words);
                for (int[] row : rows) {
                    Arrays.fill(row, 0);
                }
                for (int i = 0; i < words.length; i++) {
                    unpack(words[i], i, rows);
                }
                for (int row = 0; row < TILE_ROWS; row++) {
                    target.put(tileRow * TILE_ROWS + row, rows[row]);
                }
            }
            for (int group = 0; group < groups(); group++) {
                putScales(matrix, group, scales(fileGroup(group), from, to));
            }
        }

        /** Puts the eight codes of word {@code index} of a row of tiles where they belong. */
        private static void unpack(int word, int index, int[][] rows) {
            int tile = index / TILE_WORDS;
            int lane = index % TILE_WORDS / 4;
            int j = index % 4;
            int column = lane / 4;
            int row = lane % 4 * 2;
            for (int e = 0; e < ORDER.length; e++) {
                int wordOfRow = tile * (TILE_COLUMNS / Nibbles.PER_WORD) + 2 * j + e / 4;
                rows[row + e % 2 + e / 2 % 2 * 8][wordOfRow] |= Nibbles.get(word, ORDER[e]) << 4 * column;
            }
        }

        private float[] scales(int group, int from, int to) {
            float[] stored = Floats.read(scales, (long) group * n() + from, (long) group * n() + to);
            boolean oneGroup = scales.shape().get(0) == 1;
            float[] natural = new float[stored.length];
            for (int i = 0; i < stored.length; i++) {
                int a = oneGroup ? i % 32 / 8 : i % 64 / 8;
                int b = i % 8;
                int column = oneGroup ? i / 32 * 32 + 2 * a + CHANNEL[b] : i / 64 * 64 + a + 8 * b;
                natural[column] = stored[i];
            }
            return natural;
        }
    }
}
