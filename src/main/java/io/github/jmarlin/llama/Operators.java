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
     * @param query the first of these heads, one behind the other; divided by the root
     * @param keys {@code [head size][stride]}
     * @param values {@code [positions][head size]}
     * @param to gets as many elements as there are of the query
     */
    static void attend(float[] query, int queryAt, int heads, float[] keys, float[] values, int headSize, int stride, int position,
            float[] to, int toAt) {
        int count = position + 1;
        float scale = (float) (1 / Math.sqrt(headSize));
        float[] sums = new float[headSize];
        for (int head = 0; head < heads; head++) {
            int at = queryAt + head * headSize;
            float[] weights = new float[count];
            for (int i = at; i < at + headSize; i++) {
                query[i] *= scale;
            }
            addRows(weights, query, at, headSize, keys, stride);
            float total = softmax(weights);
            Arrays.fill(sums, 0);
            addRows(sums, weights, 0, count, values, headSize);
            for (int i = 0; i < headSize; i++) {
                to[toAt + head * headSize + i] = sums[i] / total;
            }
        }
    }

    /** Adds rows of a matrix, each times its factor, row after row; four at a time, so that sums are read and written a fourth as often. */
    private static void addRows(float[] sums, float[] factors, int factorsAt, int rows, float[] matrix, int stride) {
        int row = 0;
        for (; row + 4 <= rows; row += 4) {
            int at = factorsAt + row;
            addFour(sums, factors[at], factors[at + 1], factors[at + 2], factors[at + 3], matrix, row * stride, stride);
        }
        for (; row < rows; row++) {
            addFour(sums, factors[factorsAt + row], 0, 0, 0, matrix, row * stride, 0);
        }
    }

    /** A method of its own, and plain indices: this is the loop that the compiler must vectorize. */
    private static void addFour(float[] sums, float a, float b, float c, float d, float[] matrix, int at, int stride) {
        int atB = at + stride;
        int atC = atB + stride;
        int atD = atC + stride;
        for (int i = 0; i < sums.length; i++) {
            sums[i] += a * matrix[at + i] + b * matrix[atB + i] + c * matrix[atC + i] + d * matrix[atD + i];
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
