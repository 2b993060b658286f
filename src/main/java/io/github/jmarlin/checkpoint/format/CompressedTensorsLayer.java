package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.Words;

/** A pack-quantized layer; see {@link CompressedTensorsFormat}. Everything lies transposed, one row per out-feature. */
final class CompressedTensorsLayer extends LayerSource {
    /** Words read along k before turning to the next eight out-features: one cache line of each, reused from the cache. */
    private static final int WORDS_AT_ONCE = 16;

    private final Tensor codes;
    private final Tensor zeros;
    private final Tensor scales;
    private final int[] rowOf;

    CompressedTensorsLayer(Facts facts, Tensor codes, Tensor zeros, Tensor scales) {
        super(facts);
        this.codes = codes;
        this.zeros = zeros;
        this.scales = scales;
        this.rowOf = facts.inputOrder() == null ? null : InputOrder.inverse(facts.inputOrder());
    }

    @Override
    void fill(QuantizedMatrix.Builder matrix, int from, int to) {
        int width = to - from;
        CodeRows target = new CodeRows(matrix, width);
        int wordsPerColumn = Math.toIntExact(Nibbles.words(k()));
        int[][] rows = target.buffers(WORDS_AT_ONCE * Nibbles.PER_WORD);
        for (int word = 0; word < wordsPerColumn; word += WORDS_AT_ONCE) {
            int count = Math.min(WORDS_AT_ONCE, wordsPerColumn - word);
            for (int column = 0; column < width; column += Nibbles.PER_WORD) {
                transpose(from + column, Math.min(Nibbles.PER_WORD, width - column), word, count, rows,
                        column / Nibbles.PER_WORD);
            }
            int first = word * Nibbles.PER_WORD;
            for (int i = 0; i < count * Nibbles.PER_WORD && first + i < k(); i++) {
                target.put(rowOf == null ? first + i : rowOf[first + i], rows[i]);
            }
        }
        fillScales(matrix, from, to);
        if (hasZeroPoints()) {
            fillZeroPoints(matrix, from, to);
        }
    }

    /** Turns {@code count} words of up to eight out-features into rows of words along n. */
    private void transpose(int column, int columns, int word, int count, int[][] rows, int at) {
        long wordsPerColumn = Nibbles.words(k());
        int[] eight = new int[Nibbles.PER_WORD];
        int[][] lines = new int[Nibbles.PER_WORD][count];
        for (int i = 0; i < columns; i++) {
            Words.read(codes, (column + i) * wordsPerColumn + word, lines[i]);
        }
        for (int w = 0; w < count; w++) {
            for (int i = 0; i < Nibbles.PER_WORD; i++) {
                eight[i] = lines[i][w];
            }
            Nibbles.transpose(eight, 0, rows, w * Nibbles.PER_WORD, at);
        }
    }

    private void fillScales(QuantizedMatrix.Builder matrix, int from, int to) {
        int fileGroups = Math.toIntExact(scales.shape().get(1));
        for (int column = from; column < to; column++) {
            long first = (long) column * fileGroups;
            float[] values = Floats.read(scales, first, first + fileGroups);
            for (int group = 0; group < groups(); group++) {
                matrix.setScale(group, column - from, values[fileGroup(group)]);
            }
        }
    }

    private void fillZeroPoints(QuantizedMatrix.Builder matrix, int from, int to) {
        int fileGroups = Math.toIntExact(zeros.shape().get(1));
        int[] words = new int[fileGroups];
        for (int column = from; column < to; column++) {
            if ((column - from) % Nibbles.PER_WORD == 0) {
                Words.read(zeros, (long) column / Nibbles.PER_WORD * fileGroups, words);
            }
            for (int group = 0; group < groups(); group++) {
                matrix.setZeroPoint(group, column - from, Nibbles.get(words[fileGroup(group)], column % Nibbles.PER_WORD));
            }
        }
    }
}
