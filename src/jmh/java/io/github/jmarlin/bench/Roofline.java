package io.github.jmarlin.bench;

/**
 * The least time a product can take on a device: its bytes over the bandwidth or its operations over the peak, whichever is more.
 *
 * @param bytesPerSecond of memory, as measured by a copy (bytes read and bytes written)
 * @param flopsPerSecond the peak, as measured by a large product
 */
public record Roofline(double bytesPerSecond, double flopsPerSecond) {
    public Roofline {
        if (!(bytesPerSecond > 0) || !(flopsPerSecond > 0)) {
            throw new IllegalArgumentException("a roofline needs a bandwidth and a peak above 0: " + bytesPerSecond + " B/s, "
                    + flopsPerSecond + " FLOP/s");
        }
    }

    /** The least seconds for so many bytes and operations. */
    public double seconds(double bytes, double flops) {
        return Math.max(bytes / bytesPerSecond, flops / flopsPerSecond);
    }

    /** How many times faster a product can be at best for moving fewer bytes. */
    public double speedup(double baselineBytes, double bytes, double flops) {
        return seconds(baselineBytes, flops) / seconds(bytes, flops);
    }
}
