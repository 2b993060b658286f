package io.github.jmarlin.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** Quantiles, the end of a warm-up, the time budget and the roofline. */
class StatisticsTest {
    @Test
    void quantilesAreInterpolated() {
        assertEquals(new Quantiles(7, 7, 7, 1), Quantiles.of(7));
        Quantiles eleven = Quantiles.of(10, 0, 9, 1, 8, 2, 7, 3, 6, 4, 5);
        assertEquals(new Quantiles(1, 5, 9, 11), eleven);
        assertEquals(1.5, Quantiles.of(2, 1).median());
        assertEquals(1.1, Quantiles.of(2, 1).p10(), 1e-12);
        assertEquals(new Quantiles(2, 10, 18, 11), eleven.times(2));
    }

    @Test
    void quantilesRejectNothingAndNaN() {
        assertEquals("quantiles of []: at least one sample, none NaN",
                assertThrows(IllegalArgumentException.class, Quantiles::of).getMessage());
        assertThrows(IllegalArgumentException.class, () -> Quantiles.of(1, Double.NaN, 2));
    }

    @Test
    void aWarmUpEndsWhenTheLastFiveAgree() {
        Steadiness steadiness = new Steadiness(0.02);
        for (double early : new double[] {200, 150, 120, 101, 100}) {
            assertFalse(steadiness.add(early), "after " + early);
        }
        assertFalse(steadiness.add(101));
        assertFalse(steadiness.add(102), "120 is still among the last five");
        assertTrue(steadiness.add(100.5));
        assertFalse(steadiness.add(102.5), "2.5 % above the least");
        assertFalse(new Steadiness(0.02).add(Double.NaN));
        Steadiness poisoned = new Steadiness(0.02);
        for (int i = 0; i < 5; i++) {
            assertFalse(poisoned.add(Double.NaN), "NaN never agrees");
        }
    }

    @Test
    void theBudgetIsSharedByWhatIsLeft() {
        long[] now = {1000};
        TimeBudget budget = new TimeBudget(Duration.ofNanos(100), () -> now[0]);
        assertEquals(Duration.ofNanos(25), budget.share(4));
        now[0] += 60;
        assertEquals(Duration.ofNanos(40), budget.left());
        assertEquals(Duration.ofNanos(40), budget.share(0));
        assertFalse(budget.isSpent());
        now[0] += 60;
        assertEquals(Duration.ZERO, budget.left());
        assertTrue(budget.isSpent());
        assertThrows(IllegalArgumentException.class, () -> new TimeBudget(Duration.ZERO));
    }

    /** The ideal speedups of the kernels' design, weights alone: 4.3 TB/s and 790 TFLOP/s of an H200. */
    @Test
    void idealSpeedupsAreThoseOfTheDesign() {
        Roofline h200 = new Roofline(4.3e12, 790e12);
        double weights = 8192.0 * 8192;
        assertEquals(4.00, h200.speedup(2 * weights, 0.5 * weights, 2 * weights), 1e-9);
        assertEquals(3.88, h200.speedup(2 * weights, 0.515625 * weights, 2 * weights), 0.005);
        assertEquals(3.56, h200.speedup(2 * weights, 0.5625 * weights, 2 * weights), 0.005);
        assertEquals(3.88, h200.speedup(2 * weights, 0.515625 * weights, 2 * 47 * weights), 0.005);
        assertEquals(2.9, h200.speedup(2 * weights, 0.515625 * weights, 2 * 64 * weights), 0.05);
        assertEquals(1.4, h200.speedup(2 * weights, 0.515625 * weights, 2 * 128 * weights), 0.05);
        assertEquals(1.0, h200.speedup(2 * weights, 0.515625 * weights, 2 * 184 * weights), 0.005);
        assertThrows(IllegalArgumentException.class, () -> new Roofline(0, 1));
        assertThrows(IllegalArgumentException.class, () -> new Roofline(1, Double.NaN));
    }
}
