package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Arrays;

/**
 * The Java half of {@link DenseLinear}. A task widens some rows of the weights to floats and multiplies all activations with them while
 * they are in the cache.
 *
 * <p>NOTES on what the JIT compiler (C2 of JDK 17) makes vectors of: loops over ints with masks and shifts, and sums element by
 * element, but neither a sum over an array nor the conversion of a short. So 16-bit elements are taken in pairs as ints, whose halves
 * go apart (the activations are arranged alike), and a dot product is {@link #LANES} sums that are added up at its end.
 */
final class DenseRows {
    private static final int LANES = 64;
    /** Elements of a row that the loop takes at once: four for each sum. */
    private static final int STRIDE = 4 * LANES;
    /** Floats of widened rows that should stay in the second-level cache. */
    private static final int WIDENED_FLOATS = 1 << 15;
    private static final int TASKS_PER_THREAD = 4;
    /** Brings a half's exponent, which stands where a float's does, to the float's bias. */
    private static final float HALF_UNIT = 0x1p112f;

    private final TaskPool pool;
    private final DataType type;
    private final NativeMemory data;
    private final int k;
    private final int n;
    private final float[] bias;
    /** k rounded up to whole strides; what is added is zero. */
    private final int paddedK;
    /** 16-bit elements in pairs: evens first, then odds. */
    private final boolean paired;
    private float[] activations = {};
    private float[] arranged = {};
    private float[] results = {};

    DenseRows(TaskPool pool, DataType type, NativeMemory data, int k, int n, float[] bias) {
        this.pool = pool;
        this.type = type;
        this.data = data;
        this.k = k;
        this.n = n;
        this.bias = bias;
        paddedK = Math.multiplyExact((k - 1) / STRIDE + 1, STRIDE);
        paired = type.is16Bit() && k % 2 == 0;
    }

    /** As {@link DenseLinear#multiply}. */
    void multiply(ByteBuffer a, int m, ByteBuffer c) {
        if (arranged.length < Math.multiplyExact(m, paddedK)) {
            activations = new float[m * k];
            arranged = new float[m * paddedK];
            results = new float[Math.multiplyExact(m, n)];
        }
        a.asFloatBuffer().get(0, activations, 0, m * k);
        for (int row = 0; row < m; row++) {
            arrange(row);
        }
        int columns = Math.max(1, WIDENED_FLOATS / paddedK);
        int blocks = (n - 1) / columns + 1;
        int tasks = Math.min(blocks, pool.threads() * TASKS_PER_THREAD);
        pool.forEach(tasks, task -> {
            Widening widening = new Widening(Math.min(columns, n));
            for (int block = (int) ((long) blocks * task / tasks); block < (int) ((long) blocks * (task + 1) / tasks); block++) {
                multiply(widening, m, block * columns, Math.min(n, (block + 1) * columns));
            }
        });
        c.asFloatBuffer().put(0, results, 0, m * n);
    }

    /** Where element i of a widened row lies, the activation that it meets lies too. */
    private void arrange(int row) {
        if (!paired) {
            System.arraycopy(activations, row * k, arranged, row * paddedK, k);
            return;
        }
        for (int i = 0; i < k / 2; i++) {
            arranged[row * paddedK + i] = activations[row * k + 2 * i];
            arranged[row * paddedK + paddedK / 2 + i] = activations[row * k + 2 * i + 1];
        }
    }

    private void multiply(Widening widening, int m, int begin, int end) {
        for (int column = begin; column < end; column++) {
            widening.read(column, (column - begin) * paddedK);
        }
        float[] sums = widening.sums;
        for (int row = 0; row < m; row++) {
            for (int column = begin; column < end; column++) {
                Arrays.fill(sums, 0);
                for (int i = 0; i < paddedK; i += STRIDE) {
                    addFour(sums, arranged, row * paddedK + i, widening.weights, (column - begin) * paddedK + i);
                }
                results[row * n + column] = total(sums) + (bias == null ? 0 : bias[column]);
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

    /** Rows of the weights as floats. Memory of one task. */
    private final class Widening {
        private final float[] sums = new float[LANES];
        private final float[] weights;
        private final int[] words = new int[paired ? k / 2 : 0];
        private final int[] low = new int[words.length];
        private final int[] high = new int[words.length];
        private final IntBuffer bits;
        private final FloatBuffer floats;

        Widening(int columns) {
            weights = new float[columns * paddedK];
            // A bulk copy through bytes turns an int's bits into a float, without a loop that the compiler would not vectorize.
            ByteBuffer pun = ByteBuffer.allocate(words.length * Integer.BYTES).order(ByteOrder.nativeOrder());
            bits = pun.asIntBuffer();
            floats = pun.asFloatBuffer();
        }

        void read(int column, int at) {
            ByteBuffer row = data.slice((long) column * k * type.bytes(), k * type.bytes());
            if (paired) {
                row.asIntBuffer().get(words);
                if (type == DataType.BF16) {
                    splitBf16(words, low, high);
                } else {
                    splitFp16(words, low, high);
                }
                copy(low, at);
                copy(high, at + paddedK / 2);
            } else if (type == DataType.FP32) {
                row.asFloatBuffer().get(weights, at, k);
            } else {
                for (int i = 0; i < k; i++) {
                    weights[at + i] = HalfFloats.decode(type, row.getShort(i * Short.BYTES));
                }
            }
        }

        private void copy(int[] half, int at) {
            bits.put(0, half);
            floats.get(0, weights, at, half.length);
            if (type == DataType.FP16) {
                scale(weights, at, half.length);
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
}
