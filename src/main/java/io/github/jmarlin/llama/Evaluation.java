package io.github.jmarlin.llama;

import java.util.Arrays;

/**
 * What a model thinks of a text that is there already, token by token.
 *
 * @param meanLogProbability of each token but the first, given those before it; natural logarithm
 * @param argmaxes the most probable token after each token but the last
 */
public record Evaluation(double meanLogProbability, int[] argmaxes) {
    /**
     * Evaluates a sequence with place 0 of a decoder's cache.
     *
     * @param tokens at least 2
     */
    public static Evaluation of(Decoder decoder, int[] tokens) {
        if (tokens.length < 2) {
            throw new IllegalArgumentException(tokens.length + " tokens: at least 2 expected");
        }
        int vocabulary = decoder.config().vocabulary();
        int[] argmaxes = new int[tokens.length - 1];
        double sum = 0;
        for (int from = 0; from < argmaxes.length; from += decoder.mostRows()) {
            int to = Math.min(argmaxes.length, from + decoder.mostRows());
            float[] logits = decoder.logits(Step.prompt(0, from, Arrays.copyOfRange(tokens, from, to), true));
            for (int i = from; i < to; i++) {
                int at = (i - from) * vocabulary;
                argmaxes[i] = Sampler.argmax(logits, at, vocabulary);
                sum += logits[at + tokens[i + 1]] - logSumExp(logits, at, vocabulary);
            }
        }
        return new Evaluation(sum / argmaxes.length, argmaxes);
    }

    /** The share of equal argmaxes, in [0, 1]. */
    public double agreement(Evaluation other) {
        if (other.argmaxes.length != argmaxes.length) {
            throw new IllegalArgumentException(argmaxes.length + " and " + other.argmaxes.length + " tokens were evaluated");
        }
        int equal = 0;
        for (int i = 0; i < argmaxes.length; i++) {
            equal += argmaxes[i] == other.argmaxes[i] ? 1 : 0;
        }
        return (double) equal / argmaxes.length;
    }

    private static double logSumExp(float[] logits, int at, int count) {
        double most = logits[at + Sampler.argmax(logits, at, count)];
        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += Math.exp(logits[at + i] - most);
        }
        return most + Math.log(sum);
    }
}
