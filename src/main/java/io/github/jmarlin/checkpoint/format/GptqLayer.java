package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.Words;
import java.nio.ByteBuffer;

/**
 * A GPTQ layer: codes {@code [k / 8][n]} words that run down a column, zero points {@code [groups][n / 8]} words that run along a
 * row, scales {@code [groups][n]}.
 */
final class GptqLayer extends LayerSource {
    /** Undoes "minus one" of all eight zero points of a word, borrows between them included. */
    private static final int VERSION1_OFFSET = 0x11111111;

    private final Tensor codes;
    private final Tensor zeros;
    private final Tensor scales;
    private final boolean version2;
    /** The matrix row of each row of the file, or null if they are the same. */
    private final int[] rowOf;

    GptqLayer(Facts facts, Tensor codes, Tensor zeros, Tensor scales, boolean version2) {
        super(facts);
        this.codes = codes;
        this.zeros = zeros;
        this.scales = scales;
        this.version2 = version2;
        this.rowOf = facts.inputOrder() == null ? null : InputOrder.inverse(facts.inputOrder());
    }

    @Override
    void fill(QuantizedMatrix.Builder matrix, int from, int to) {
        fillCodes(matrix, from, to);
        for (int group = 0; group < groups(); group++) {
            long row = (long) fileGroup(group) * n();
            putScales(matrix, group, Floats.read(scales, row + from, row + to));
            if (hasZeroPoints()) {
                fillZeroPoints(matrix, group, from, to);
            }
        }
    }

    private void fillCodes(QuantizedMatrix.Builder matrix, int from, int to) {
        CodeRows target = new CodeRows(matrix, to - from);
        int[][] rows = target.buffers(Nibbles.PER_WORD);
        int[] words = new int[to - from];
        for (int first = 0; first < k(); first += Nibbles.PER_WORD) {
            Words.read(codes, (long) first / Nibbles.PER_WORD * n() + from, words);
            for (int column = 0; column < words.length; column += Nibbles.PER_WORD) {
                Nibbles.transpose(words, column, rows, 0, column / Nibbles.PER_WORD);
            }
            for (int i = 0; i < Nibbles.PER_WORD; i++) {
                target.put(rowOf == null ? first + i : rowOf[first + i], rows[i]);
            }
        }
    }

    private void fillZeroPoints(QuantizedMatrix.Builder matrix, int group, int from, int to) {
        int[] words = new int[(to - from) / Nibbles.PER_WORD];
        Words.read(zeros, ((long) fileGroup(group) * n() + from) / Nibbles.PER_WORD, words);
        ByteBuffer row = matrix.zeroPoints().slice((long) group * (to - from), to - from);
        for (int column = 0; column < to - from; column++) {
            int word = words[column / Nibbles.PER_WORD] + (version2 ? 0 : VERSION1_OFFSET);
            row.put(column, (byte) Nibbles.get(word, column % Nibbles.PER_WORD));
        }
    }
}
