package io.github.jmarlin.plan;

import java.util.function.ToDoubleFunction;

/**
 * What predictions assume of a device, per SM where it names clocks; {@link LoopClocks} has what they assume of the kernels. These are leads
 * to choose among kernels with, from data sheets and public measurements; none was measured with this library. Where the driver knows a
 * number (clock, memory rate, SM count) the driver is asked; a tuning file may give the values measured on its device, by these names.
 */
public enum Rate {
    // ---- the device ----

    /** SM clock under load, Hz: the driver's top clock. Without one, an RTX 4090 or A10-class card is assumed, or an H200. */
    CLOCK_HZ(device -> device.clockKhz() > 0 ? 1e3 * device.clockKhz() : isHopper(device) ? 1.75e9 : 1.5e9),
    /** Peak rate of the memory: the driver's; without one as for the clock. */
    DRAM_BYTES_PER_SECOND(device -> device.memoryBytesPerSecond() > 0 ? device.memoryBytesPerSecond() : isHopper(device) ? 4.9e12 : 1e12),
    /** What a copy kernel reaches of the peak memory rate: 4.3 of 4.9 TB/s on an H200. */
    DRAM_EFFICIENCY(0.88),
    /**
     * What every stream of weights of a block but its first adds to the time of the memory. Simulated on an RTX 3070: two take 4 % more
     * than one, four 20 %; how real cards spread addresses is unknown, so no more than decides between equals.
     */
    STREAM_CHARGE(0.03),
    /** Loaded memory latency: 0.7 to 1.0 us at full rate on an H200. */
    LOADED_LATENCY_SECONDS(0.8e-6),
    /** L2 to one SM when all SMs draw. 8.0: 4.0 TB/s over 108 SMs at 1.41 GHz; 9.0: 5.5 TB/s over 132 SMs at 1.75 GHz, assumed. */
    L2_BYTES_PER_CLOCK(device -> byArchitecture(device, 26, 20, 24, 24)),
    /** What shows of the shorter of memory and arithmetic where both take the same: simulated on an RTX 3070. */
    OVERLAP_LOSS(0.4),
    /**
     * m16n8k16 instructions with fp32 sums per clock and SM: which column of the replayed clocks counts, and the least they can be. 8.0:
     * 312 TFLOP/s; 8.6, 8.9 and 12.0: A40 and L40S data sheets, half of it on GeForce; 9.0: mma.sync at 62 % of wgmma; others: assumed no
     * slower than an A100.
     */
    MMA_PER_CLOCK(device -> switch (device.computeCapability()) {
        case 86, 87, 89, 120, 121 -> device.isGeForce() ? 0.125 : 0.25;
        case 90 -> 0.625;
        default -> 0.5;
    }),

    // ---- the Hopper kernel ----

    /** A wgmma of 64 x N x 16 takes N / 2 clocks at 4096 FLOP per clock and SM... */
    CLOCKS_PER_WGMMA_COLUMN(0.5),
    /** ...but no less than this with A from registers: assumed, the largest unknown of the model. */
    LEAST_WGMMA_CLOCKS(16),
    /** Shared memory of one SM to another's: 3.3 TB/s in all, as published. */
    CLUSTER_BYTES_PER_CLOCK(14),
    /** Two barriers of a cluster and the latency of a remote read, assumed. */
    CLUSTER_SYNC_SECONDS(0.5e-6),
    /** Clusters of two blocks that run at once, each block alone on its SM: assumed that they fill all SMs. */
    CLUSTERS_OF_2(device -> mostClusters(device, 2)),
    /**
     * Clusters of four alike. A cluster lies in one GPC, and a GPC has at most {@value #SMS_OF_GPC} SMs, so at most four clusters; fewer
     * where SMs of it are switched off, which differs from chip to chip. One less than the most is assumed, 31 on 132 SMs: a launch of
     * one cluster too many takes twice the time.
     */
    CLUSTERS_OF_4(device -> {
        int gpcs = Ceil.div(device.multiprocessors(), Rate.SMS_OF_GPC);
        return Math.max(1, Math.min(mostClusters(device, 4), Rate.SMS_OF_GPC / 4 * gpcs) - 1);
    }),

    // ---- dense weights and cuBLAS ----

    /** What cuBLAS sustains of the tensor rate at top clock: 690 of 1070 TFLOP/s on an H200. */
    CUBLAS_TENSOR_EFFICIENCY(0.65),
    /** From the end of one kernel to the full speed of the next, as between any two: assumed, docs/hopper.md. */
    KERNEL_GAP_SECONDS(3.3e-6);

    private static final int SMS_OF_GPC = 18;

    private final ToDoubleFunction<DeviceFacts> assumed;

    Rate(double assumed) {
        this(device -> assumed);
    }

    Rate(ToDoubleFunction<DeviceFacts> assumed) {
        this.assumed = assumed;
    }

    /** The value without a measurement. */
    public double assumed(DeviceFacts device) {
        return assumed.applyAsDouble(device);
    }

    /** @throws IllegalArgumentException if this cannot be a measured value */
    void check(double value) {
        boolean isShare = this == DRAM_EFFICIENCY || this == CUBLAS_TENSOR_EFFICIENCY || this == OVERLAP_LOSS || this == STREAM_CHARGE;
        boolean isCount = this == CLUSTERS_OF_2 || this == CLUSTERS_OF_4;
        if (!(value > 0 && value < Double.POSITIVE_INFINITY) || isShare && value > 1 || isCount && value != Math.rint(value)) {
            throw new IllegalArgumentException("rate " + this + " of " + value + ": must be a positive"
                    + (isShare ? " share of at most 1" : isCount ? " whole number" : ", finite number"));
        }
    }

    /** @throws IllegalArgumentException if this cannot be a measured value of that device: a cluster has an SM for each of its blocks */
    void check(double value, DeviceFacts device) {
        check(value);
        if (this == CLUSTERS_OF_2 || this == CLUSTERS_OF_4) {
            int most = mostClusters(device, this == CLUSTERS_OF_2 ? 2 : 4);
            if (value > most) {
                throw new IllegalArgumentException("rate " + this + " of " + value + ": the " + device.multiprocessors() + " SMs of "
                        + device.name() + " hold at most " + most);
            }
        }
    }

    /** What a device could hold if its SMs lay in one GPC. */
    static int mostClusters(DeviceFacts device, int blocks) {
        return device.multiprocessors() / blocks;
    }

    private static boolean isHopper(DeviceFacts device) {
        return device.computeCapability() == 90;
    }

    private static double byArchitecture(DeviceFacts device, double a100, double a10, double hopper, double newer) {
        return switch (device.computeCapability()) {
            case 80 -> a100;
            case 86, 87, 89 -> a10;
            case 90 -> hopper;
            default -> newer;
        };
    }
}
