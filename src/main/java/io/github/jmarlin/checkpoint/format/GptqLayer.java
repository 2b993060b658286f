package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.Words;
import java.nio.ByteBuffer;

/**
 * A GPTQ layer of codes of b bits: codes {@code [k b / 32][n]} words that run down a column, zero points {@code [groups][n b / 32]} words
 * that run along a row, scales {@code [groups][n]}.
 */
final class GptqLayer extends LayerSource {
    private final Tensor codes;
    private final Tensor zeros;
    private final Tensor scales;
    private final int bits;
    private final int perWord;
    /** Undoes version 1's "minus one" of all zero points of a word, borrows between them included. */
    private final int zeroOffset;
    /** The matrix row of each row of the file, or null if they are the same. */
    private final int[] rowOf;

    GptqLayer(Facts facts, Tensor codes, Tensor zeros, Tensor scales, int bits, boolean version2) {
        super(facts);
        this.codes = codes;
        this.zeros = zeros;
        this.scales = scales;
        this.bits = bits;
        this.perWord = Integer.SIZE / bits;
        this.zeroOffset = version2 ? 0 : ones(bits);
        this.rowOf = facts.inputOrder() == null ? null : InputOrder.inverse(facts.inputOrder());
    }

    /** A word with a 1 in each of its fields. */
    static int ones(int bits) {
        return bits == 4 ? 0x11111111 : 0x01010101;
    }

    @Override
    void fill(QuantizedMatrix.Builder matrix, int from, int to) {
        if (bits == Byte.SIZE) {
            fillBytes(matrix, from, to);
        } else {
            fillNibbles(matrix, from, to);
        }
        for (int group = 0; group < groups(); group++) {
            long row = (long) fileGroup(group) * n();
            putScales(matrix, group, Floats.read(scales, row + from, row + to));
            if (hasZeroPoints()) {
                fillZeroPoints(matrix, group, from, to);
            }
        }
    }

    private void fillNibbles(QuantizedMatrix.Builder matrix, int from, int to) {
        CodeRows target = new CodeRows(matrix, to - from);
        int[][] rows = target.buffers(Nibbles.PER_WORD);
        int[] words = new int[to - from];
        for (int first = 0; first < k(); first += Nibbles.PER_WORD) {
            Words.read(codes, (long) first / Nibbles.PER_WORD * n() + from, words);
            for (int column = 0; column < words.length; column += Nibbles.PER_WORD) {
                Nibbles.transpose(words, column, rows, 0, column / Nibbles.PER_WORD);
            }
            for (int i = 0; i < Nibbles.PER_WORD; i++) {
                target.put(target(first + i), rows[i]);
            }
        }
    }

    private void fillBytes(QuantizedMatrix.Builder matrix, int from, int to) {
        int width = to - from;
        int[] words = new int[width];
        byte[] row = new byte[width];
        for (int first = 0; first < k(); first += perWord) {
            Words.read(codes, (long) first / perWord * n() + from, words);
            for (int i = 0; i < perWord; i++) {
                for (int column = 0; column < width; column++) {
                    row[column] = (byte) (words[column] >>> Byte.SIZE * i);
                }
                matrix.codes().copyFrom((long) target(first + i) * width, ByteBuffer.wrap(row));
            }
        }
    }

    private int target(int row) {
        return rowOf == null ? row : rowOf[row];
    }

    private void fillZeroPoints(QuantizedMatrix.Builder matrix, int group, int from, int to) {
        int[] words = new int[(to - from) / perWord];
        Words.read(zeros, ((long) fileGroup(group) * n() + from) / perWord, words);
        for (int column = 0; column < to - from; column++) {
            int word = words[column / perWord] + zeroOffset;
            matrix.setZeroPoint(group, column, word >>> bits * (column % perWord) & (1 << bits) - 1);
        }
    }
}
