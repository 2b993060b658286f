package io.github.jmarlin.llama;

import java.util.Arrays;

/**
 * What a block computes between its products, in floats, a row at a time: every sum has one order, so that a row's bits depend on
 * nothing else.
 */
final class Operators {
    private Operators() {
    }

    /** {@code to = from / sqrt(mean(from^2) + epsilon) * factors}, element by element; both may be the same elements. */
    static void norm(float[] from, int fromAt, float[] factors, float epsilon, float[] to, int toAt) {
        double squares = 0;
        for (int i = 0; i < factors.length; i++) {
            squares += (double) from[fromAt + i] * from[fromAt + i];
        }
        float scale = (float) (1 / Math.sqrt(squares / factors.length + epsilon));
        for (int i = 0; i < factors.length; i++) {
            to[toAt + i] = from[fromAt + i] * scale * factors[i];
        }
    }

    /** Turns each pair (i, i + half) of a head by the angle whose cosine and sine stand at {@code angles + i}. */
    static void rotate(float[] head, int at, float[] cosines, float[] sines, int angles, int half) {
        for (int i = 0; i < half; i++) {
            float x = head[at + i];
            float y = head[at + half + i];
            head[at + i] = x * cosines[angles + i] - y * sines[angles + i];
            head[at + half + i] = y * cosines[angles + i] + x * sines[angles + i];
        }
    }

    /** {@code to = silu(gate) * up}, with {@code silu(x) = x / (1 + exp(-x))}. */
    static void siluMul(float[] gate, int gateAt, float[] up, int upAt, float[] to, int toAt, int count) {
        for (int i = 0; i < count; i++) {
            float x = gate[gateAt + i];
            to[toAt + i] = (float) (x / (1 + Math.exp(-x))) * up[upAt + i];
        }
    }

    static void add(float[] to, float[] from, int count) {
        for (int i = 0; i < count; i++) {
            to[i] += from[i];
        }
    }

    /**
     * Attention of one row, for the query heads that share a key/value head: {@code softmax(q K / sqrt(head size)) V} over positions
     * 0 to {@code position}.
     *
     * @param query the first of these heads, one behind the other
     * @param to gets as many elements
     */
    static void attend(float[] query, int queryAt, int heads, float[] keys, float[] values, int headSize, int stride, int position,
            float[] to, int toAt) {
        int count = position + 1;
        float[][] scores = new float[heads][count];
        float scale = (float) (1 / Math.sqrt(headSize));
        for (int element = 0; element < headSize; element++) {
            for (int head = 0; head < heads; head++) {
                addScaled(scores[head], 0, keys, element * stride, query[queryAt + head * headSize + element] * scale, count);
            }
        }
        float[] sums = new float[headSize];
        for (int head = 0; head < heads; head++) {
            float total = softmax(scores[head]);
            Arrays.fill(sums, 0);
            for (int other = 0; other < count; other++) {
                addScaled(sums, 0, values, other * headSize, scores[head][other], headSize);
            }
            for (int i = 0; i < headSize; i++) {
                to[toAt + head * headSize + i] = sums[i] / total;
            }
        }
    }

    /** A method of its own, and plain indices: this is the loop that the compiler must vectorize. */
    private static void addScaled(float[] sums, int sumsAt, float[] values, int at, float factor, int count) {
        for (int i = 0; i < count; i++) {
            sums[sumsAt + i] += factor * values[at + i];
        }
    }

    /** Exponentials of the differences to the largest, and their sum. */
    private static float softmax(float[] scores) {
        float most = Float.NEGATIVE_INFINITY;
        for (float score : scores) {
            most = Math.max(most, score);
        }
        double total = 0;
        for (int i = 0; i < scores.length; i++) {
            scores[i] = (float) Math.exp(scores[i] - most);
            total += scores[i];
        }
        return (float) total;
    }
}
