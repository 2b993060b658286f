package io.github.jmarlin.checkpoint;

import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.layout.HalfFloats;
import java.nio.ByteBuffer;
import java.util.Random;

/** Bytes of tensors put together bit by bit, as a format's description says where each number lies. */
public final class BitWriter {
    private final ByteBuffer bytes;

    /** That many zero bytes. */
    public BitWriter(long count) {
        bytes = TestModel.buffer(Math.toIntExact(count));
    }

    /** Sets bits {@code [bit, bit + width)}, the lowest of the first byte first. */
    public BitWriter put(long bit, int width, int value) {
        for (int i = 0; i < width; i++) {
            int at = (int) ((bit + i) / 8);
            int mask = 1 << (bit + i) % 8;
            bytes.put(at, (byte) (value >>> i & 1) == 0 ? (byte) (bytes.get(at) & ~mask) : (byte) (bytes.get(at) | mask));
        }
        return this;
    }

    public ByteBuffer bytes() {
        return bytes;
    }

    /** Random codes {@code [k][n]} of that many bits, with the smallest and the largest among them. */
    public static int[][] codes(int k, int n, int bits, long seed) {
        Random random = new Random(seed);
        int[][] codes = new int[k][n];
        for (int[] row : codes) {
            for (int column = 0; column < n; column++) {
                row[column] = random.nextInt(1 << bits);
            }
        }
        codes[0][0] = 0;
        codes[k - 1][n - 1] = (1 << bits) - 1;
        return codes;
    }

    /** Numbers between {@code from} and {@code to} that the type holds exactly. */
    public static float[] numbers(int count, float from, float to, TensorType type, long seed) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            float value = from + (to - from) * random.nextFloat();
            values[i] = type == TensorType.F16 ? HalfFloats.fromFp16(HalfFloats.toFp16(value))
                    : type == TensorType.BF16 ? HalfFloats.fromBf16(HalfFloats.toBf16(value)) : value;
        }
        return values;
    }

    /** Codes along k, a row for each out-feature, rows of whole {@code unit} bytes: compressed-tensors, MLX, 4-bit floats. */
    public static ByteBuffer alongK(int[][] codes, int bits, int unit) {
        int n = codes[0].length;
        long stride = ((long) codes.length * bits + 8L * unit - 1) / (8L * unit) * unit;
        BitWriter writer = new BitWriter(stride * n);
        for (int row = 0; row < codes.length; row++) {
            for (int column = 0; column < n; column++) {
                writer.put(8 * stride * column + (long) row * bits, bits, codes[row][column]);
            }
        }
        return writer.bytes();
    }
}
