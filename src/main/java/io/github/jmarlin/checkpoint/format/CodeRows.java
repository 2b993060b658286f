package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;

/** Writes rows of codes, eight columns to a word, into a matrix under construction. */
final class CodeRows {
    private final NativeMemory codes;
    private final int stride;
    private final int n;

    CodeRows(QuantizedMatrix.Builder matrix, int n) {
        this.codes = matrix.codes();
        this.stride = Math.toIntExact(QuantizedMatrix.codeStride(n));
        this.n = n;
    }

    /** Buffers for {@code rows} rows, to be filled and then {@link #put}. */
    int[][] buffers(int rows) {
        return new int[rows][Math.toIntExact(Nibbles.words(n))];
    }

    /** Writes row {@code row}; nibbles beyond the last column are dropped. */
    void put(int row, int[] words) {
        ByteBuffer target = codes.slice((long) row * stride, stride);
        int whole = n / Nibbles.PER_WORD;
        target.asIntBuffer().put(words, 0, whole);
        for (int column = whole * Nibbles.PER_WORD; column < n; column += 2) {
            int pair = words[whole] >>> 4 * (column % Nibbles.PER_WORD) & (column + 1 < n ? 0xff : 0x0f);
            target.put(column / 2, (byte) pair);
        }
    }
}
