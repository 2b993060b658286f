package io.github.jmarlin.llama;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.stream.IntStream;

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
    /** Ranges of rows that are looked through one by one: many for each processor, so that all end at the same time. */
    private static final int SCAN_PARTS = 256;

    /** Checks the size. */
    public DenseMatrix {
        if (data.size() != (long) n * k * type.bytes() || bias != null && bias.length != n) {
            throw new IllegalArgumentException("a matrix of n " + n + ", k " + k + ", " + type + " is not " + data.size()
                    + " bytes" + (bias == null ? "" : " with a bias of " + bias.length));
        }
    }

    /** The first element that is infinite or NaN, counted over all rows; -1 if there is none. Reads everything, on all processors. */
    long firstNonFinite() {
        int parts = Math.min(n, SCAN_PARTS);
        return IntStream.range(0, parts).parallel()
                .mapToLong(part -> firstNonFinite((int) ((long) n * part / parts), (int) ((long) n * (part + 1) / parts)))
                .filter(place -> place >= 0).min().orElse(-1);
    }

    private long firstNonFinite(int begin, int end) {
        int[] bits = new int[rowBytes() / Integer.BYTES];
        for (int row = begin; row < end; row++) {
            if (rowBytes() % Integer.BYTES == 0) {
                data.slice((long) row * rowBytes(), rowBytes()).asIntBuffer().get(bits);
            }
            if (rowBytes() % Integer.BYTES != 0 || !isFinite(bits)) {
                float[] values = new float[k];
                row(row, values, 0);
                for (int i = 0; i < k; i++) {
                    if (!Float.isFinite(values[i])) {
                        return (long) row * k + i;
                    }
                }
            }
        }
        return -1;
    }

    /** Whether no element's exponent is all ones: one more in its place would carry into the sign. */
    private boolean isFinite(int[] bits) {
        int exponent = switch (type) {
            case FP16 -> 0x7c007c00;
            case BF16 -> 0x7f807f80;
            case FP32 -> 0x7f800000;
        };
        int one = switch (type) {
            case FP16 -> 0x04000400;
            case BF16 -> 0x00800080;
            case FP32 -> 0x00800000;
        };
        int carried = 0;
        for (int word : bits) {
            carried |= (word & exponent) + one;
        }
        return (carried & (type == DataType.FP32 ? 0x80000000 : 0x80008000)) == 0;
    }

    /** Memory of a matrix in FP32, each row contiguous. */
    static NativeMemory memory(int n, int k) {
        return NativeMemory.allocate((long) n * k * Float.BYTES, (long) k * Float.BYTES);
    }

    /**
     * The weights that codes stand for, in FP32.
     *
     * @param data of this size, see {@link #memory}; filled
     */
    static DenseMatrix dequantized(QuantizedMatrix matrix, NativeMemory data) {
        int k = matrix.k();
        IntBuffer order = matrix.inputOrder();
        IntStream.range(0, matrix.n()).parallel().forEach(column -> {
            for (int row = 0; row < k; row++) {
                long activation = order == null ? row : order.get(row);
                data.putFloat(((long) column * k + activation) * Float.BYTES, matrix.weight(row, column));
            }
        });
        return new DenseMatrix(DataType.FP32, data, matrix.n(), k, matrix.bias());
    }

    /** Writes a row as floats to {@code [at, at + k)} of {@code values}. */
    void row(int row, float[] values, int at) {
        ByteBuffer bytes = data.slice((long) row * rowBytes(), rowBytes());
        if (type == DataType.FP32) {
            bytes.asFloatBuffer().get(values, at, k);
            return;
        }
        for (int i = 0; i < k; i++) {
            values[at + i] = HalfFloats.decode(type, bytes.getShort(i * Short.BYTES));
        }
    }

    /** Bytes of a row. */
    public int rowBytes() {
        return k * type.bytes();
    }
}
