package io.github.jmarlin.plan;

import java.util.Locale;

/**
 * Where the cost model expects the time of a launch to go, in seconds. Predicted, not measured.
 *
 * @param dram every byte once, at the rate of the memory
 * @param l2 every byte as often as blocks ask for it, at the rate of the L2 cache, or of the network between SMs if that takes longer
 * @param latency bytes of the busiest SM, with no more in flight than its stages hold
 * @param arithmetic what the busiest SM does with them: instructions and tensor cores
 * @param tail what overlaps with nothing: the first bytes, the last stage, finishing tiles (adding up the one that the most blocks share,
 *     storing), or expanding the weights beforehand
 * @param overlapLoss what shows of the shorter of memory and arithmetic where they take the same, above 0 to 1
 */
public record Prediction(double dram, double l2, double latency, double arithmetic, double tail, double overlapLoss) {

    /**
     * The predicted time: memory and arithmetic overlap, the tail follows. The overlap is never perfect; the p-norm is
     * {@code 1 + overlapLoss} times either where the two are equal, and hardly more than the longer where they are far apart. With a loss of
     * 0.41 it is the root of the sum of squares.
     */
    public double seconds() {
        double p = Math.log(2) / Math.log1p(overlapLoss);
        double longer = Math.max(memory(), arithmetic);
        double ratio = Math.min(memory(), arithmetic) / longer;
        return longer * Math.pow(1 + Math.pow(ratio, p), 1 / p) + tail;
    }

    private double memory() {
        return Math.max(dram, Math.max(l2, latency));
    }

    /** What the main loop waits for. */
    public String bound() {
        if (arithmetic > memory()) {
            return "arithmetic";
        }
        if (dram == memory()) {
            return "DRAM";
        }
        return l2 == memory() ? "L2" : "memory latency";
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "predicted %.2f us, bound by %s (DRAM %.2f, L2 %.2f, latency %.2f, arithmetic %.2f; tail %.2f)",
                1e6 * seconds(), bound(), 1e6 * dram, 1e6 * l2, 1e6 * latency, 1e6 * arithmetic, 1e6 * tail);
    }
}
