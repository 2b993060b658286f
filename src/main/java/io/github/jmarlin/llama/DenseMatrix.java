package io.github.jmarlin.llama;

import io.github.jmarlin.DataType;
import io.github.jmarlin.memory.NativeMemory;

/**
 * A matrix in full precision, {@code [n][k]} as checkpoints hold it: row j makes output j. Little-endian; each row is contiguous
 * ({@link NativeMemory#slice}).
 *
 * @param type FP16, BF16 or FP32
 * @param data {@code n * k} elements
 * @param n rows: outputs, or entries of a table
 * @param k elements of a row
 * @param bias a float for every row, or null
 */
public record DenseMatrix(DataType type, NativeMemory data, int n, int k, float[] bias) {
    /** Checks the size. */
    public DenseMatrix {
        if (data.size() != (long) n * k * type.bytes() || bias != null && bias.length != n) {
            throw new IllegalArgumentException("a matrix of n " + n + ", k " + k + ", " + type + " is not " + data.size()
                    + " bytes" + (bias == null ? "" : " with a bias of " + bias.length));
        }
    }

    /** Bytes of a row. */
    public int rowBytes() {
        return k * type.bytes();
    }
}
