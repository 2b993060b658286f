package io.github.jmarlin.llama;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a model thinks of texts that are there already, token by token; for small models, as it holds all that they say.
 *
 * @param meanLogProbability of each token but the first of a text, given those before it; natural logarithm
 * @param argmaxes the most probable token after each token but the last
 * @param logProbabilities of all tokens of the vocabulary, there
 */
public record Evaluation(double meanLogProbability, int[] argmaxes, List<float[]> logProbabilities) {
    /**
     * Evaluates sequences with place 0 of a decoder's cache.
     *
     * @param sequences tokens of each, at least 2
     */
    public static Evaluation of(Decoder decoder, List<int[]> sequences) {
        int vocabulary = decoder.config().vocabulary();
        List<float[]> logProbabilities = new ArrayList<>();
        double sum = 0;
        for (int[] tokens : sequences) {
            if (tokens.length < 2) {
                throw new IllegalArgumentException(tokens.length + " tokens: at least 2 expected");
            }
            for (int from = 0; from < tokens.length - 1; from += decoder.mostRows()) {
                int to = Math.min(tokens.length - 1, from + decoder.mostRows());
                float[] logits = decoder.logits(Step.prompt(0, from, Arrays.copyOfRange(tokens, from, to), true));
                for (int i = from; i < to; i++) {
                    float[] row = logProbabilities(logits, (i - from) * vocabulary, vocabulary);
                    logProbabilities.add(row);
                    sum += row[tokens[i + 1]];
                }
            }
        }
        int[] argmaxes = logProbabilities.stream().mapToInt(row -> Sampler.argmax(row, 0, vocabulary)).toArray();
        return new Evaluation(sum / argmaxes.length, argmaxes, List.copyOf(logProbabilities));
    }

    private static float[] logProbabilities(float[] logits, int at, int count) {
        double most = logits[at + Sampler.argmax(logits, at, count)];
        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += Math.exp(logits[at + i] - most);
        }
        double whole = most + Math.log(sum);
        float[] row = new float[count];
        for (int i = 0; i < count; i++) {
            row[i] = (float) (logits[at + i] - whole);
        }
        return row;
    }

    /** The share of equal argmaxes, in [0, 1]. */
    public double agreement(Evaluation other) {
        checkSameTexts(other);
        int equal = 0;
        for (int i = 0; i < argmaxes.length; i++) {
            equal += argmaxes[i] == other.argmaxes[i] ? 1 : 0;
        }
        return (double) equal / argmaxes.length;
    }

    /** The mean Kullback-Leibler divergence from what a reference says, in nats: 0 if it is the same, NaN if one of them is. */
    public double divergence(Evaluation reference) {
        checkSameTexts(reference);
        double sum = 0;
        for (int i = 0; i < argmaxes.length; i++) {
            float[] expected = reference.logProbabilities.get(i);
            float[] found = logProbabilities.get(i);
            for (int token = 0; token < expected.length; token++) {
                sum += Math.exp(expected[token]) * ((double) expected[token] - found[token]);
            }
        }
        return sum / argmaxes.length;
    }

    private void checkSameTexts(Evaluation other) {
        if (other.argmaxes.length != argmaxes.length) {
            throw new IllegalArgumentException(argmaxes.length + " and " + other.argmaxes.length + " tokens were evaluated");
        }
    }
}
