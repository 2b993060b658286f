package io.github.jmarlin.llama;

import java.util.Map;

/** The same models a second time, from the formulas, in fp64, without a cache: every row anew, one sequence. */
final class SlowLlama {
    private final Map<String, float[]> tensors;
    private final int hidden;
    private final int intermediate;
    private final int heads;
    private final int keyValueHeads;
    private final int headSize;
    private final double epsilon;
    private final double[] frequencies;

    /** @param frequencies radians per position of the pairs of a head */
    SlowLlama(TinyLlama model, int headSize, double[] frequencies) {
        tensors = model.tensors;
        hidden = TinyLlama.HIDDEN;
        intermediate = TinyLlama.INTERMEDIATE;
        heads = TinyLlama.HEADS;
        keyValueHeads = TinyLlama.KEY_VALUE_HEADS;
        this.headSize = headSize;
        epsilon = Double.parseDouble(model.config.get("rms_norm_eps"));
        this.frequencies = frequencies;
    }

    static double[] plainFrequencies(int headSize) {
        double[] frequencies = new double[headSize / 2];
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] = 1 / Math.pow(10_000, 2.0 * i / headSize);
        }
        return frequencies;
    }

    /** Logits of every row, {@code [tokens][vocabulary]}. */
    double[] logits(int[] tokens) {
        double[][] x = new double[tokens.length][hidden];
        for (int row = 0; row < tokens.length; row++) {
            for (int i = 0; i < hidden; i++) {
                x[row][i] = tensors.get("model.embed_tokens.weight")[tokens[row] * hidden + i];
            }
        }
        for (int layer = 0; layer < TinyLlama.LAYERS; layer++) {
            String prefix = "model.layers." + layer + ".";
            double[][] attended = attention(prefix + "self_attn.", normed(x, prefix + "input_layernorm.weight"));
            add(x, product(attended, prefix + "self_attn.o_proj"));
            double[][] normed = normed(x, prefix + "post_attention_layernorm.weight");
            double[][] gate = product(normed, prefix + "mlp.gate_proj");
            double[][] up = product(normed, prefix + "mlp.up_proj");
            for (int row = 0; row < x.length; row++) {
                for (int i = 0; i < intermediate; i++) {
                    gate[row][i] = gate[row][i] / (1 + Math.exp(-gate[row][i])) * up[row][i];
                }
            }
            add(x, product(gate, prefix + "mlp.down_proj"));
        }
        boolean tied = !tensors.containsKey("lm_head.weight");
        double[][] logits = product(normed(x, "model.norm.weight"), tied ? "model.embed_tokens" : "lm_head");
        double[] flat = new double[tokens.length * TinyLlama.VOCABULARY];
        for (int row = 0; row < tokens.length; row++) {
            System.arraycopy(logits[row], 0, flat, row * TinyLlama.VOCABULARY, TinyLlama.VOCABULARY);
        }
        return flat;
    }

    private double[][] attention(String prefix, double[][] x) {
        double[][] queries = heads(product(x, prefix + "q_proj"), heads, prefix + "q_norm.weight");
        double[][] keys = heads(product(x, prefix + "k_proj"), keyValueHeads, prefix + "k_norm.weight");
        double[][] values = product(x, prefix + "v_proj");
        double[][] result = new double[x.length][heads * headSize];
        for (int row = 0; row < x.length; row++) {
            for (int head = 0; head < heads; head++) {
                int shared = head * keyValueHeads / heads * headSize;
                double[] weights = new double[row + 1];
                double sum = 0;
                for (int other = 0; other <= row; other++) {
                    double score = 0;
                    for (int i = 0; i < headSize; i++) {
                        score += queries[row][head * headSize + i] * keys[other][shared + i];
                    }
                    weights[other] = Math.exp(score / Math.sqrt(headSize));
                    sum += weights[other];
                }
                for (int other = 0; other <= row; other++) {
                    for (int i = 0; i < headSize; i++) {
                        result[row][head * headSize + i] += weights[other] / sum * values[other][shared + i];
                    }
                }
            }
        }
        return result;
    }

    /** Each head normed, where there are factors, and turned. */
    private double[][] heads(double[][] x, int count, String norm) {
        float[] factors = tensors.get(norm);
        for (int row = 0; row < x.length; row++) {
            for (int head = 0; head < count; head++) {
                double[] part = new double[headSize];
                System.arraycopy(x[row], head * headSize, part, 0, headSize);
                if (factors != null) {
                    part = norm(part, factors);
                }
                for (int i = 0; i < headSize / 2; i++) {
                    double angle = row * frequencies[i];
                    double a = part[i];
                    double b = part[headSize / 2 + i];
                    x[row][head * headSize + i] = a * Math.cos(angle) - b * Math.sin(angle);
                    x[row][head * headSize + headSize / 2 + i] = b * Math.cos(angle) + a * Math.sin(angle);
                }
            }
        }
        return x;
    }

    private double[][] normed(double[][] x, String name) {
        double[][] result = new double[x.length][];
        for (int row = 0; row < x.length; row++) {
            result[row] = norm(x[row], tensors.get(name));
        }
        return result;
    }

    private double[] norm(double[] x, float[] factors) {
        double squares = 0;
        for (double value : x) {
            squares += value * value;
        }
        double[] result = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            result[i] = x[i] / Math.sqrt(squares / x.length + epsilon) * factors[i];
        }
        return result;
    }

    private double[][] product(double[][] x, String layer) {
        float[] weight = tensors.get(layer + ".weight");
        float[] bias = tensors.get(layer + ".bias");
        int k = x[0].length;
        int n = weight.length / k;
        double[][] result = new double[x.length][n];
        for (int row = 0; row < x.length; row++) {
            for (int column = 0; column < n; column++) {
                double sum = bias == null ? 0 : bias[column];
                for (int i = 0; i < k; i++) {
                    sum += x[row][i] * weight[column * k + i];
                }
                result[row][column] = sum;
            }
        }
        return result;
    }

    private static void add(double[][] x, double[][] update) {
        for (int row = 0; row < x.length; row++) {
            for (int i = 0; i < x[row].length; i++) {
                x[row][i] += update[row][i];
            }
        }
    }
}
