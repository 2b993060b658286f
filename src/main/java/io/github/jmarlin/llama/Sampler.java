package io.github.jmarlin.llama;

import java.util.Random;

/**
 * Chooses a token by its logits. Not thread-safe: each sequence has one of its own, seeded alike, so that what it draws does not depend
 * on its neighbours.
 */
public final class Sampler {
    private final double temperature;
    private final double topP;
    private final Random random;

    /**
     * @param temperature 0 for the largest logit; above, logits are divided by it before the softmax
     * @param topP draws among the fewest most probable tokens that together have at least this probability, in (0, 1]
     */
    public Sampler(double temperature, double topP, long seed) {
        if (!(temperature >= 0) || Double.isInfinite(temperature)) {
            throw new IllegalArgumentException("temperature " + temperature + ": must be 0 or more");
        }
        if (!(topP > 0) || topP > 1) {
            throw new IllegalArgumentException("top-p " + topP + ": must be above 0 and at most 1");
        }
        this.temperature = temperature;
        this.topP = topP;
        random = new Random(seed);
    }

    /** Whether it takes the largest logit, so that {@link Decoder#argmax} does as well. */
    public boolean isGreedy() {
        return temperature == 0;
    }

    /**
     * The index of the largest of {@code count} logits from {@code at} on, of equal ones the first; a NaN is never chosen.
     *
     * @throws IllegalArgumentException if none of them is a number
     */
    public static int argmax(float[] logits, int at, int count) {
        int best = 0;
        float most = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < count; i++) {
            if (logits[at + i] > most) {
                most = logits[at + i];
                best = i;
            }
        }
        if (most == Float.NEGATIVE_INFINITY) {
            throw new IllegalArgumentException("the logits of this row are no numbers (the first is " + logits[at] + ")");
        }
        return best;
    }

    /** A token of the {@code count} whose logits stand from {@code at} on. */
    public int next(float[] logits, int at, int count) {
        int best = argmax(logits, at, count);
        if (isGreedy()) {
            return best;
        }
        double[] weights = new double[count];
        double sum = 0;
        for (int i = 0; i < count; i++) {
            weights[i] = Math.exp((logits[at + i] - logits[at + best]) / temperature);
            sum += weights[i];
        }
        if (!(sum > 0) || Double.isInfinite(sum)) {
            throw new IllegalArgumentException("the logits of this row are no numbers (their exponentials add up to " + sum + ")");
        }
        Nucleus nucleus = topP < 1 ? Nucleus.of(weights, sum, topP) : Nucleus.all(count, sum);
        double drawn = random.nextDouble() * nucleus.sum();
        for (int token : nucleus.tokens()) {
            drawn -= weights[token];
            if (drawn < 0) {
                return token;
            }
        }
        return nucleus.tokens()[nucleus.tokens().length - 1];
    }
}
