package io.github.jmarlin.bench;

/**
 * What a reader wants to know about a measurement. A figure that cannot be stated is null: nothing to divide by, a wrong answer,
 * or a stand-in device.
 *
 * @param gigabytesPerSecond the least bytes over the time
 * @param percentOfCopy that in percent of what a copy reaches on this device
 * @param teraflops operations over the time
 * @param percentOfPeak that in percent of the best of the baseline (cuBLAS) on this device and type
 * @param speedup the baseline's time over this one
 * @param idealSpeedup what the speedup would be if both reached copy bandwidth or peak; null on a CPU, whose caches hold layers that
 *     the copy does not fit, and whose peak no contender tells
 */
public record Figures(Double gigabytesPerSecond, Double percentOfCopy, Double teraflops, Double percentOfPeak, Double speedup,
        Double idealSpeedup) {
    /** Nothing can be stated. */
    public static final Figures NONE = new Figures(null, null, null, null, null, null);
}
