package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Draws have the distribution that they say. */
final class SamplerTest {
    /** Probabilities 1/2, 1/4, 1/8, 1/8 behind two logits of others. */
    private static final float[] LOGITS = {99, 99, (float) Math.log(8), (float) Math.log(4), (float) Math.log(2), (float) Math.log(2)};
    private static final int DRAWS = 20_000;

    private static double[] shares(double temperature, double topP) {
        Sampler sampler = new Sampler(temperature, topP, 1);
        double[] shares = new double[4];
        for (int i = 0; i < DRAWS; i++) {
            shares[sampler.next(LOGITS, 2, 4)] += 1.0 / DRAWS;
        }
        return shares;
    }

    private static void assertShares(double[] actual, double... expected) {
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], actual[i], expected[i] == 0 ? 0 : 0.015, "token " + i);
        }
    }

    @Test
    void softmax() {
        assertShares(shares(1, 1), 0.5, 0.25, 0.125, 0.125);
        // Squares of the probabilities, at half the temperature.
        assertShares(shares(0.5, 1), 16 / 22.0, 4 / 22.0, 1 / 22.0, 1 / 22.0);
    }

    @Test
    void nucleus() {
        assertShares(shares(1, 0.75), 2 / 3.0, 1 / 3.0, 0, 0);
        // Of equal ones the first.
        assertShares(shares(1, 0.8), 4 / 7.0, 2 / 7.0, 1 / 7.0, 0);
        assertShares(shares(1, 1e-9), 1, 0, 0, 0);
    }

    /** Against sorting everything, on weights of which most are left out before. */
    @Test
    void nucleusOfManyTokens() {
        Random random = new Random(3);
        for (double topP : new double[] {0.1, 0.5, 0.9, 0.999}) {
            double[] weights = random.doubles(5000).map(x -> Math.exp(20 * x)).toArray();
            double sum = Arrays.stream(weights).sum();
            double[] sorted = Arrays.stream(weights).map(w -> -w).sorted().map(w -> -w).toArray();
            int count = 0;
            double own = 0;
            while (own < topP * sum) {
                own += sorted[count++];
            }
            Nucleus nucleus = Nucleus.of(weights, sum, topP);
            assertEquals(count, nucleus.tokens().length, "top-p " + topP);
            for (int i = 0; i < count; i++) {
                assertEquals(sorted[i], weights[nucleus.tokens()[i]]);
            }
        }
    }

    @Test
    void greedyTakesTheFirstOfEqualOnes() {
        assertEquals(1, new Sampler(0, 1, 7).next(new float[] {1, 3, 3, Float.NaN}, 0, 4));
    }

    @Test
    void sameSeedSameDraws() {
        Sampler a = new Sampler(1, 0.9, 5);
        Sampler b = new Sampler(1, 0.9, 5);
        Sampler other = new Sampler(1, 0.9, 6);
        boolean differs = false;
        for (int i = 0; i < 50; i++) {
            int token = a.next(LOGITS, 2, 4);
            assertEquals(token, b.next(LOGITS, 2, 4));
            differs |= token != other.next(LOGITS, 2, 4);
        }
        assertTrue(differs);
    }

    @Test
    void badValues() {
        assertEquals("temperature -0.5: must be 0 or more", message(-0.5, 1));
        assertEquals("temperature NaN: must be 0 or more", message(Double.NaN, 1));
        assertEquals("top-p 0.0: must be above 0 and at most 1", message(1, 0));
        assertEquals("top-p 1.5: must be above 0 and at most 1", message(1, 1.5));
        assertEquals("the logits of this row are no numbers (the first is NaN)", assertThrows(IllegalArgumentException.class,
                () -> new Sampler(0, 1, 1).next(new float[] {Float.NaN, Float.NEGATIVE_INFINITY}, 0, 2)).getMessage());
        assertTrue(assertThrows(IllegalArgumentException.class, () -> new Sampler(1, 1, 1).next(new float[] {Float.NaN, 1}, 0, 2))
                .getMessage().startsWith("the logits of this row are no numbers"));
    }

    private static String message(double temperature, double topP) {
        return assertThrows(IllegalArgumentException.class, () -> new Sampler(temperature, topP, 1)).getMessage();
    }
}
