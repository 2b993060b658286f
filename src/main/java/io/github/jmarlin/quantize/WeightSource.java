package io.github.jmarlin.quantize;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The weights of a layer, {@code [k][n]}, wherever they are: a mapped file, an array, a generator. A quantizer asks for one
 * rectangle after the other, so the whole matrix never has to be on the heap. Safe for concurrent calls.
 */
public interface WeightSource {
    /** How a matrix with k in-features and n out-features lies in memory. */
    enum Order {
        /** {@code [k][n]}: the out-features of an in-feature are next to each other. */
        K_BY_N,
        /** {@code [n][k]}, as torch stores a linear layer: the in-features of an out-feature are next to each other. */
        N_BY_K
    }

    /** Rows (in-features). */
    int k();

    /** Columns (out-features). */
    int n();

    /**
     * Copies rows {@code row} to {@code row + rows.length - 1}, of each the first {@code count} columns from {@code column} on.
     *
     * @param rows arrays of at least {@code count} elements
     */
    void read(int row, int column, int count, float[][] rows);

    /** Weights {@code [k][n]} in an array, which is not copied. */
    static WeightSource of(float[] weights, int k, int n) {
        if (k < 1 || n < 1 || weights.length != (long) k * n) {
            throw new IllegalArgumentException(weights.length + " weights given for k " + k + ", n " + n + ": k * n expected");
        }
        return new WeightSource() {
            @Override
            public int k() {
                return k;
            }

            @Override
            public int n() {
                return n;
            }

            @Override
            public void read(int row, int column, int count, float[][] rows) {
                for (int i = 0; i < rows.length; i++) {
                    System.arraycopy(weights, (row + i) * n + column, rows[i], 0, count);
                }
            }
        };
    }

    /** Weights off-heap, little-endian, of any type; they must stay open while they are read. */
    static WeightSource of(NativeMemory weights, DataType type, Order order, int k, int n) {
        if (k < 1 || n < 1 || weights.size() != (long) k * n * type.bytes()) {
            throw new IllegalArgumentException(weights.size() + " bytes of weights given for k " + k + ", n " + n + ", " + type
                    + ": k * n * " + type.bytes() + " expected");
        }
        return new WeightSource() {
            @Override
            public int k() {
                return k;
            }

            @Override
            public int n() {
                return n;
            }

            @Override
            public void read(int row, int column, int count, float[][] rows) {
                if (order == Order.K_BY_N) {
                    ByteBuffer bytes = ByteBuffer.allocate(count * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
                    for (int i = 0; i < rows.length; i++) {
                        weights.copyTo(((long) (row + i) * n + column) * type.bytes(), bytes);
                        for (int j = 0; j < count; j++) {
                            rows[i][j] = element(type, bytes, j);
                        }
                    }
                } else {
                    ByteBuffer bytes = ByteBuffer.allocate(rows.length * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
                    for (int j = 0; j < count; j++) {
                        weights.copyTo(((long) (column + j) * k + row) * type.bytes(), bytes);
                        for (int i = 0; i < rows.length; i++) {
                            rows[i][j] = element(type, bytes, i);
                        }
                    }
                }
            }
        };
    }

    private static float element(DataType type, ByteBuffer bytes, int index) {
        return switch (type) {
            case FP32 -> bytes.getFloat(index * Float.BYTES);
            case FP16 -> HalfFloats.fromFp16(bytes.getShort(index * Short.BYTES));
            case BF16 -> HalfFloats.fromBf16(bytes.getShort(index * Short.BYTES));
        };
    }
}
