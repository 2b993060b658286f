package io.github.jmarlin.plan;

/**
 * Where the cost model expects the time of a launch to go, in seconds. Predicted, not measured.
 *
 * @param dram every byte once, at the rate of the memory
 * @param l2 every byte as often as blocks ask for it, at the rate of the L2 cache
 * @param tensor tensor-core instructions of the busiest block
 * @param latency bytes of the busiest block, with no more in flight than its stages hold
 * @param tail adding up the tile that the most blocks share
 */
public record Prediction(double dram, double l2, double tensor, double latency, double tail) {

    /** The predicted time: the first four overlap, the tail follows. */
    public double seconds() {
        return Math.max(Math.max(dram, l2), Math.max(tensor, latency)) + tail;
    }

    /** What the main loop waits for. */
    public String bound() {
        double most = seconds() - tail;
        if (dram >= most) {
            return "DRAM";
        }
        if (l2 >= most) {
            return "L2";
        }
        return tensor >= most ? "tensor cores" : "memory latency";
    }

    @Override
    public String toString() {
        return String.format("predicted %.2f us, %s-bound (DRAM %.2f, L2 %.2f, tensor %.2f, latency %.2f, tail %.2f)",
                1e6 * seconds(), bound(), 1e6 * dram, 1e6 * l2, 1e6 * tensor, 1e6 * latency, 1e6 * tail);
    }
}
