package io.github.jmarlin.testing;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.layout.MatrixShards;
import java.util.stream.Stream;

/**
 * The weights of one decoder block of the Llama kind, random: attention and a gated MLP, each behind an RMSNorm and with a residual.
 * Small, and wide enough for four ranks: every head, and every rank's share of the MLP, is whole blocks of 64.
 */
public final class LlamaBlock implements AutoCloseable {
    /** Elements of a token's hidden state. */
    public static final int HIDDEN = 256;
    /** Elements of a head of q, k or v, as many as a quantization group. */
    public static final int HEAD = 64;
    /** Heads, each with a k and a v of its own. */
    public static final int HEADS = HIDDEN / HEAD;
    /** Elements between the two products of the MLP. */
    public static final int INNER = 512;
    private static final float EPSILON = 1e-5f;

    private final QuantizedMatrix q = layer(HIDDEN, HIDDEN, 1);
    private final QuantizedMatrix k = layer(HIDDEN, HIDDEN, 2);
    private final QuantizedMatrix v = layer(HIDDEN, HIDDEN, 3);
    private final QuantizedMatrix o = layer(HIDDEN, HIDDEN, 4);
    private final QuantizedMatrix gateUp;
    private final QuantizedMatrix down = layer(INNER, HIDDEN, 7);

    public LlamaBlock() {
        try (QuantizedMatrix gate = layer(HIDDEN, INNER, 5); QuantizedMatrix up = layer(HIDDEN, INNER, 6)) {
            gateUp = MatrixShards.interleave(gate, up);
        }
    }

    private static QuantizedMatrix layer(int k, int n, long seed) {
        return TestMatrices.layer(k, n, HEAD, DataType.FP16, seed % 2 == 0, true, seed);
    }

    /** Cut along n, a head or more to a rank. */
    public QuantizedMatrix q() {
        return q;
    }

    /** As {@link #q}. */
    public QuantizedMatrix k() {
        return k;
    }

    /** As {@link #q}. */
    public QuantizedMatrix v() {
        return v;
    }

    /** Cut along k, where the heads of a rank come in. */
    public QuantizedMatrix o() {
        return o;
    }

    /** Columns of gate and up in turn, cut along n. */
    public QuantizedMatrix gateUp() {
        return gateUp;
    }

    /** Cut along k, where a rank's part of the inner state comes in. */
    public QuantizedMatrix down() {
        return down;
    }

    /** What comes out for {@code [tokens][HIDDEN]}, in double precision but for what enters a product. */
    public double[] reference(float[] x, int tokens) {
        float[] a = rmsNorm(x, tokens);
        float[] attended = attention(floats(ReferenceProduct.multiply(q, a, tokens)), floats(ReferenceProduct.multiply(k, a, tokens)),
                floats(ReferenceProduct.multiply(v, a, tokens)), tokens, HEADS);
        double[] middle = plus(x, ReferenceProduct.multiply(o, attended, tokens));
        double[] gatesAndUps = ReferenceProduct.multiply(gateUp, rmsNorm(floats(middle), tokens), tokens);
        float[] inner = new float[tokens * INNER];
        for (int i = 0; i < inner.length; i++) {
            double gate = gatesAndUps[2 * i];
            inner[i] = (float) (gate / (1 + Math.exp(-gate)) * gatesAndUps[2 * i + 1]);
        }
        double[] out = ReferenceProduct.multiply(down, inner, tokens);
        for (int i = 0; i < out.length; i++) {
            out[i] += middle[i];
        }
        return out;
    }

    private static double[] plus(float[] x, double[] sums) {
        double[] y = sums.clone();
        for (int i = 0; i < y.length; i++) {
            y[i] += x[i];
        }
        return y;
    }

    private static float[] floats(double[] values) {
        float[] rounded = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            rounded[i] = (float) values[i];
        }
        return rounded;
    }

    /** Every token by its root mean square. */
    public static float[] rmsNorm(float[] x, int tokens) {
        float[] y = new float[x.length];
        for (int token = 0; token < tokens; token++) {
            double squares = 0;
            for (int i = 0; i < HIDDEN; i++) {
                squares += (double) x[token * HIDDEN + i] * x[token * HIDDEN + i];
            }
            double factor = 1 / Math.sqrt(squares / HIDDEN + EPSILON);
            for (int i = 0; i < HIDDEN; i++) {
                y[token * HIDDEN + i] = (float) (x[token * HIDDEN + i] * factor);
            }
        }
        return y;
    }

    /** Of {@code [tokens][heads * HEAD]} each: a token attends to itself and those before it. */
    public static float[] attention(float[] q, float[] k, float[] v, int tokens, int heads) {
        int width = heads * HEAD;
        float[] attended = new float[tokens * width];
        for (int token = 0; token < tokens; token++) {
            for (int head = 0; head < heads; head++) {
                attend(q, k, v, attended, token, width, head * HEAD);
            }
        }
        return attended;
    }

    private static void attend(float[] q, float[] k, float[] v, float[] attended, int token, int width, int from) {
        double[] scores = new double[token + 1];
        double largest = Double.NEGATIVE_INFINITY;
        for (int other = 0; other <= token; other++) {
            for (int i = from; i < from + HEAD; i++) {
                scores[other] += (double) q[token * width + i] * k[other * width + i];
            }
            scores[other] /= Math.sqrt(HEAD);
            largest = Math.max(largest, scores[other]);
        }
        double total = 0;
        for (int other = 0; other <= token; other++) {
            scores[other] = Math.exp(scores[other] - largest);
            total += scores[other];
        }
        for (int i = from; i < from + HEAD; i++) {
            double sum = 0;
            for (int other = 0; other <= token; other++) {
                sum += scores[other] * v[other * width + i];
            }
            attended[token * width + i] = (float) (sum / total);
        }
    }

    @Override
    public void close() {
        Stream.of(q, k, v, o, gateUp, down).forEach(QuantizedMatrix::close);
    }
}
