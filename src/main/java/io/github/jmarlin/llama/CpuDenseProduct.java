package io.github.jmarlin.llama;

import io.github.jmarlin.DataType;
import io.github.jmarlin.cpu.CpuDevice;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Arrays;

/**
 * The product with a matrix in full precision, read where it lies. A task widens some rows of the matrix to floats and multiplies all
 * activations with them while they are in the cache.
 *
 * <p>NOTES on what the JIT compiler (C2 of JDK 17) makes vectors of: loops over ints with masks and shifts, and sums element by
 * element, but neither a sum over an array nor the conversion of a short. So 16-bit elements are taken in pairs as ints, whose halves
 * go apart (the activations are arranged alike), and a dot product is {@link #LANES} sums that are added up at its end.
 */
final class CpuDenseProduct implements CpuProduct {
    private static final int LANES = 64;
    /** Elements of a row that the loop takes at once: four for each sum. */
    private static final int STRIDE = 4 * LANES;
    /** Floats of widened rows that should stay in the second-level cache. */
    private static final int TASK_FLOATS = 1 << 15;
    /** Brings a half's exponent, which stands where a float's does, to the float's bias. */
    private static final float HALF_UNIT = 0x1p112f;

    private final CpuDevice device;
    private final DenseMatrix matrix;
    private final int k;
    /** k rounded up to whole strides; what is added is zero. */
    private final int paddedK;
    /** 16-bit elements in pairs: evens first, then odds. */
    private final boolean paired;
    private float[] arranged = {};

    CpuDenseProduct(CpuDevice device, DenseMatrix matrix) {
        this.device = device;
        this.matrix = matrix;
        k = matrix.k();
        paddedK = Math.multiplyExact((k - 1) / STRIDE + 1, STRIDE);
        paired = matrix.type().is16Bit() && k % 2 == 0;
    }

    @Override
    public int k() {
        return k;
    }

    @Override
    public int n() {
        return matrix.n();
    }

    @Override
    public void multiply(float[] a, int m, float[] c) {
        int size = Math.multiplyExact(m, paddedK);
        if (arranged.length < size) {
            arranged = new float[size];
        }
        for (int row = 0; row < m; row++) {
            arrange(a, row * k, arranged, row * paddedK);
        }
        int n = matrix.n();
        int columns = Math.max(1, TASK_FLOATS / paddedK);
        device.forEach((n - 1) / columns + 1, task -> multiply(m, c, task * columns, Math.min(n, (task + 1) * columns)));
    }

    /** Where element i of a widened row lies, the activation that it meets lies too. */
    private void arrange(float[] a, int from, float[] to, int at) {
        if (!paired) {
            System.arraycopy(a, from, to, at, k);
            return;
        }
        for (int i = 0; i < k / 2; i++) {
            to[at + i] = a[from + 2 * i];
            to[at + paddedK / 2 + i] = a[from + 2 * i + 1];
        }
    }

    private void multiply(int m, float[] c, int begin, int end) {
        float[] weights = new float[(end - begin) * paddedK];
        Widening widening = new Widening();
        for (int column = begin; column < end; column++) {
            widening.read(column, weights, (column - begin) * paddedK);
        }
        float[] sums = new float[LANES];
        for (int row = 0; row < m; row++) {
            for (int column = begin; column < end; column++) {
                Arrays.fill(sums, 0);
                for (int i = 0; i < paddedK; i += STRIDE) {
                    addFour(sums, arranged, row * paddedK + i, weights, (column - begin) * paddedK + i);
                }
                c[row * matrix.n() + column] = total(sums) + (matrix.bias() == null ? 0 : matrix.bias()[column]);
            }
        }
    }

    /** A method of its own, and plain indices: this is the loop that the compiler must vectorize. */
    private static void addFour(float[] sums, float[] a, int aAt, float[] w, int wAt) {
        for (int i = 0; i < LANES; i++) {
            sums[i] += a[aAt + i] * w[wAt + i] + a[aAt + LANES + i] * w[wAt + LANES + i]
                    + a[aAt + 2 * LANES + i] * w[wAt + 2 * LANES + i] + a[aAt + 3 * LANES + i] * w[wAt + 3 * LANES + i];
        }
    }

    private static float total(float[] sums) {
        for (int half = LANES / 2; half >= 8; half /= 2) {
            for (int i = 0; i < half; i++) {
                sums[i] += sums[half + i];
            }
        }
        return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
    }

    /** Reads rows of the matrix as floats. Memory of one task. */
    private final class Widening {
        private final int[] words = new int[paired ? k / 2 : 0];
        private final int[] low = new int[words.length];
        private final int[] high = new int[words.length];
        private final IntBuffer bits;
        private final FloatBuffer floats;

        Widening() {
            // A bulk copy through bytes turns an int's bits into a float, without a loop that the compiler would not vectorize.
            ByteBuffer pun = ByteBuffer.allocate(words.length * Integer.BYTES).order(ByteOrder.nativeOrder());
            bits = pun.asIntBuffer();
            floats = pun.asFloatBuffer();
        }

        void read(int column, float[] to, int at) {
            if (!paired) {
                matrix.row(column, to, at);
                return;
            }
            matrix.data().slice((long) column * matrix.rowBytes(), matrix.rowBytes()).asIntBuffer().get(words);
            if (matrix.type() == DataType.BF16) {
                splitBf16(words, low, high);
            } else {
                splitFp16(words, low, high);
            }
            copy(low, to, at);
            copy(high, to, at + paddedK / 2);
        }

        private void copy(int[] half, float[] to, int at) {
            bits.put(0, half);
            floats.get(0, to, at, half.length);
            if (matrix.type() == DataType.FP16) {
                scale(to, at, half.length);
            }
        }
    }

    private static void splitBf16(int[] words, int[] low, int[] high) {
        for (int i = 0; i < words.length; i++) {
            low[i] = words[i] << 16;
            high[i] = words[i] & 0xffff0000;
        }
    }

    /** Sign to sign, exponent and mantissa to the lower end of the exponent: what is missing is a factor. */
    private static void splitFp16(int[] words, int[] low, int[] high) {
        for (int i = 0; i < words.length; i++) {
            low[i] = (words[i] & 0x8000) << 16 | (words[i] & 0x7fff) << 13;
            high[i] = words[i] & 0x80000000 | (words[i] & 0x7fff0000) >>> 3;
        }
    }

    private static void scale(float[] values, int at, int count) {
        for (int i = 0; i < count; i++) {
            values[at + i] *= HALF_UNIT;
        }
    }

    /** Holds nothing. */
    @Override
    public void close() {
    }
}
