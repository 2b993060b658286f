package io.github.jmarlin.llama;

import java.util.Arrays;
import java.util.List;

/**
 * How well a model foretells texts: for each token but the first of a text, from those before it.
 *
 * @param argmaxes the token that it thinks most likely, for each of them
 * @param meanLogProbability the mean natural logarithm of the probability that it gives the true ones; NaN if a logit is
 */
public record Evaluation(int[] argmaxes, double meanLogProbability) {
    /**
     * Runs texts through a decoder's first sequence; whatever was in it is forgotten.
     *
     * @param texts tokens of each, at least two
     * @throws IllegalArgumentException if one is shorter, or longer than the decoder's positions plus one
     */
    public static Evaluation of(Decoder decoder, List<int[]> texts) {
        for (int[] text : texts) {
            if (text.length < 2 || text.length - 1 > decoder.positions()) {
                throw new IllegalArgumentException("a text of " + text.length + " tokens: must be in 2.." + (decoder.positions() + 1L));
            }
        }
        int vocabulary = decoder.config().vocabulary();
        int[] argmaxes = new int[texts.stream().mapToInt(text -> text.length - 1).sum()];
        double sum = 0;
        int scored = 0;
        for (int[] text : texts) {
            for (int from = 0; from < text.length - 1; ) {
                int to = Math.min(text.length - 1, from + decoder.mostRows());
                float[] logits = decoder.logits(Step.prompt(0, from, Arrays.copyOfRange(text, from, to), true));
                for (int row = 0; row < to - from; row++) {
                    argmaxes[scored++] = Sampler.argmax(logits, row * vocabulary, vocabulary);
                    sum += logProbability(logits, row * vocabulary, vocabulary, text[from + row + 1]);
                }
                from = to;
            }
        }
        return new Evaluation(argmaxes, sum / scored);
    }

    private static double logProbability(float[] logits, int at, int count, int token) {
        double most = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < count; i++) {
            most = Math.max(most, logits[at + i]);
        }
        double exponentials = 0;
        for (int i = 0; i < count; i++) {
            exponentials += Math.exp(logits[at + i] - most);
        }
        return logits[at + token] - most - Math.log(exponentials);
    }

    /** The share of argmaxes that are also the other's, which saw the same texts. */
    public double shareOf(Evaluation other) {
        if (argmaxes.length != other.argmaxes.length) {
            throw new IllegalArgumentException(argmaxes.length + " argmaxes and " + other.argmaxes.length + " are not of the same texts");
        }
        int kept = 0;
        for (int i = 0; i < argmaxes.length; i++) {
            kept += argmaxes[i] == other.argmaxes[i] ? 1 : 0;
        }
        return (double) kept / argmaxes.length;
    }
}
