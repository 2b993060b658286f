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
import java.nio.ShortBuffer;
import java.util.Arrays;
import java.util.List;

/**
 * Sparse-Marlin's layout of weights with 2:4 sparsity: of every four neighbouring rows of a column two codes, and which two they are.
 * Symmetric, groups of 128 or one per column, scales in FP16.
 *
 * <pre>
 *   codes [k / 32][2 n], 32 bits. Tiles of 32 rows and 64 columns, 128 words each:
 *     word    (n / 64) * 128 + lane * 4 + j      column 8 (lane / 4) + 4 (e / 4) + j of the tile
 *     nibble  ORDER[e], e = 0 .. 7               stored row 2 (lane % 4) + e % 2 + 8 (e / 2 % 2) of 16: two for each four rows
 *   meta  [k / 32][2 n], 16 bits. Of column 64 G + 8 r + 4 b + j and rows 16 c .. 16 c + 15 of a tile, c = 0 or 1:
 *     128 G + 64 (j / 2) + 8 r + 4 (j % 2) + 2 c + b     nibble q: which of the rows 4 q .. 4 q + 3, first | second &lt;&lt; 2
 *   scales [groups][n]: several groups: place 8 i + p of 64 holds column 8 i + ORDER[p]; one group: as they are
 * </pre>
 */
final class Marlin24Format implements WeightFormat {
    private static final int TILE_ROWS = 32;
    private static final int STORED_ROWS = 16;
    private static final int TILE_COLUMNS = 64;
    private static final int TILE_WORDS = 128;
    private static final int GROUP = 128;
    private static final int[] ORDER = {0, 4, 1, 5, 2, 6, 3, 7};

    /** What the tensors of a layer are called. */
    enum Spelling {
        /** GPTQ with checkpoint_format "marlin_24". */
        GPTQ("B_24", "B_meta", "s"),
        /** compressed-tensors with format "marlin-24". */
        COMPRESSED_TENSORS("weight_packed", "meta", "scale_packed");

        private final String codes;
        private final String meta;
        private final String scales;

        Spelling(String codes, String meta, String scales) {
            this.codes = codes;
            this.meta = meta;
            this.scales = scales;
        }
    }

    private final Spelling spelling;
    private final List<ConfigNode> groupSizes;

    private Marlin24Format(Spelling spelling, List<ConfigNode> groupSizes) {
        this.spelling = spelling;
        this.groupSizes = groupSizes;
        groupSizes.forEach(ConfigNode::number);
    }

    static Marlin24Format ofGptq(QuantizationConfig config) {
        ConfigNode bits = config.agreed("bits");
        if (bits.number(4) != 4) {
            throw bits.unsupported("4 bits");
        }
        return new Marlin24Format(Spelling.GPTQ, config.all("group_size"));
    }

    /** @param weights the section of a scheme of compressed-tensors, checked but for symmetry and groups */
    static Marlin24Format ofCompressedTensors(ConfigNode weights) {
        if (!weights.get("symmetric").bool(true)) {
            throw weights.get("symmetric").unsupported("true");
        }
        ConfigNode size = weights.get("group_size");
        return new Marlin24Format(Spelling.COMPRESSED_TENSORS, size.isNull() ? List.of() : List.of(size));
    }

    @Override
    public String scheme() {
        return "Sparse-Marlin";
    }

    @Override
    public String marker() {
        return spelling.codes;
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        Tensor codes = tensors.require(name + "." + spelling.codes);
        Tensor meta = tensors.require(name + "." + spelling.meta);
        Tensor scales = tensors.require(name + "." + spelling.scales);
        Shapes.requireRank(codes, 2);
        Shapes.requireType(codes, TensorType.I32);
        long tileRows = codes.shape().get(0);
        int k = Shapes.extent(codes, "k", tileRows <= Shapes.LARGEST_EXTENT / TILE_ROWS ? tileRows * TILE_ROWS : -1);
        int n = Shapes.extent(codes, "n", codes.shape().get(1) / 2);
        if (codes.shape().get(1) % TILE_WORDS != 0) {
            throw codes.malformed("shape " + codes.shape(), "the second dimension must be a multiple of " + TILE_WORDS);
        }
        Shapes.requireType(meta, TensorType.I16);
        Shapes.require(meta, k / TILE_ROWS, 2L * n);
        Shapes.requireType(scales, TensorType.F16, TensorType.BF16);
        Shapes.requireRank(scales, 2);
        int rows = GroupSizes.ofFile(name, groupSizes, -1, k, scales.shape().get(0));
        if (rows != k && rows != GROUP) {
            throw scales.malformed("k " + k + " in groups of " + rows, "groups of " + GROUP + " or one per column expected");
        }
        Shapes.require(scales, (k - 1) / rows + 1, n);
        WeightForm form = WeightForm.int4(GroupSizes.forFile(rows, k), false).withSparsity(WeightForm.Sparsity.TWO_OF_FOUR);
        return new Layer(new LayerSource.Facts(name, scheme() + " 2:4", k, n, rows, form, Floats.scaleTypes(scales),
                tensors.find(name + ".bias"), null, List.of(codes, meta, scales)), codes, meta, scales);
    }

    private static final class Layer extends LayerSource {
        private final Tensor codes;
        private final Tensor meta;
        private final Tensor scales;

        Layer(Facts facts, Tensor codes, Tensor meta, Tensor scales) {
            super(facts);
            this.codes = codes;
            this.meta = meta;
            this.scales = scales;
        }

        @Override
        void fill(QuantizedMatrix.Builder matrix, int from, int to) {
            int[] words = new int[2 * (to - from)];
            CodeRows target = new CodeRows(matrix, to - from);
            int[][] stored = target.buffers(STORED_ROWS);
            int[][] rows = target.buffers(TILE_ROWS);
            for (int tileRow = 0; tileRow < k() / TILE_ROWS; tileRow++) {
                long first = (long) tileRow * 2 * n() + 2L * from;
                Words.read(codes, first, words);
                clear(stored, 0);
                for (int i = 0; i < words.length; i++) {
                    unpack(words[i], i, stored);
                }
                clear(rows, 0x88888888);
                spread(meta.slice(first * Short.BYTES, words.length * Short.BYTES).asShortBuffer(), stored, rows, tileRow, from);
                for (int row = 0; row < TILE_ROWS; row++) {
                    target.put(tileRow * TILE_ROWS + row, rows[row]);
                }
            }
            for (int group = 0; group < groups(); group++) {
                putScales(matrix, group, scales(fileGroup(group), from, to));
            }
        }

        private static void clear(int[][] rows, int word) {
            for (int[] row : rows) {
                Arrays.fill(row, word);
            }
        }

        /** Puts the eight codes of word {@code index} of a row of tiles into the stored rows. */
        private static void unpack(int word, int index, int[][] stored) {
            int lane = index % TILE_WORDS / 4;
            for (int e = 0; e < ORDER.length; e++) {
                int column = index / TILE_WORDS * TILE_COLUMNS + 8 * (lane / 4) + 4 * (e / 4) + index % 4;
                int row = 2 * (lane % 4) + e % 2 + 8 * (e / 2 % 2);
                put(stored[row], column, Nibbles.get(word, ORDER[e]));
            }
        }

        /** Puts the stored rows of a row of tiles where their metadata says. */
        private void spread(ShortBuffer places, int[][] stored, int[][] rows, int tileRow, int from) {
            int columns = places.capacity() / 2;
            for (int column = 0; column < columns; column++) {
                int r = column % TILE_COLUMNS / 8;
                int b = column % 8 / 4;
                int j = column % 4;
                for (int c = 0; c < 2; c++) {
                    int at = column / TILE_COLUMNS * TILE_WORDS + 64 * (j / 2) + 8 * r + 4 * (j % 2) + 2 * c + b;
                    int word = places.get(at);
                    for (int q = 0; q < 4; q++) {
                        int nibble = Nibbles.get(word, q);
                        int one = nibble & 3;
                        int two = nibble >>> 2;
                        int row = 16 * c + 4 * q;
                        if (one >= two) {
                            throw meta.malformed("places " + one + " and " + two + " of column " + (from + column) + ", rows "
                                    + (tileRow * TILE_ROWS + row) + " to " + (tileRow * TILE_ROWS + row + 3),
                                    "the first must come before the second");
                        }
                        put(rows[row + one], column, Nibbles.get(stored[8 * c + 2 * q][column / Nibbles.PER_WORD], column % 8));
                        put(rows[row + two], column, Nibbles.get(stored[8 * c + 2 * q + 1][column / Nibbles.PER_WORD], column % 8));
                    }
                }
            }
        }

        private static void put(int[] row, int column, int code) {
            int shift = 4 * (column % Nibbles.PER_WORD);
            int word = column / Nibbles.PER_WORD;
            row[word] = row[word] & ~(15 << shift) | code << shift;
        }

        private float[] scales(int group, int from, int to) {
            float[] stored = Floats.read(scales, (long) group * n() + from, (long) group * n() + to);
            if (scales.shape().get(0) == 1) {
                return stored;
            }
            float[] natural = new float[stored.length];
            for (int i = 0; i < stored.length; i++) {
                natural[i / 8 * 8 + ORDER[i % 8]] = stored[i];
            }
            return natural;
        }
    }
}
