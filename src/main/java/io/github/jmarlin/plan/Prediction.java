package io.github.jmarlin.plan;

import java.util.Locale;

/**
 * Where the cost model expects the time of a launch to go, in seconds. Predicted, not measured.
 *
 * @param dram every byte once, at the rate of the memory
 * @param l2 every byte as often as blocks ask for it, at the rate of the L2 cache, or of the network between SMs if that takes longer
 * @param tensor tensor-core instructions of the busiest block
 * @param issue all instructions of the busiest block, decoding above all
 * @param latency bytes of the busiest block, with no more in flight than its stages hold
 * @param tail what overlaps with nothing: finishing tiles (adding up the one that the most blocks share, storing), or expanding the
 *     weights beforehand
 * @param overlapLoss what shows of the work that should hide behind the slowest, from 0 to 1
 */
public record Prediction(double dram, double l2, double tensor, double issue, double latency, double tail, double overlapLoss) {

    /** The predicted time: the tail follows the rest, which overlaps. */
    public double seconds() {
        double sum = dram + l2 + tensor + issue + latency;
        return slowest() + overlapLoss * (sum - slowest()) + tail;
    }

    private double slowest() {
        return Math.max(Math.max(dram, l2), Math.max(tensor, Math.max(issue, latency)));
    }

    /** What the main loop waits for. */
    public String bound() {
        double most = slowest();
        if (dram == most) {
            return "DRAM";
        }
        if (l2 == most) {
            return "L2";
        }
        if (tensor == most) {
            return "tensor cores";
        }
        return issue == most ? "instruction issue" : "memory latency";
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT,
                "predicted %.2f us, bound by %s (DRAM %.2f, L2 %.2f, tensor %.2f, issue %.2f, latency %.2f; tail %.2f)",
                1e6 * seconds(), bound(), 1e6 * dram, 1e6 * l2, 1e6 * tensor, 1e6 * issue, 1e6 * latency, 1e6 * tail);
    }
}
