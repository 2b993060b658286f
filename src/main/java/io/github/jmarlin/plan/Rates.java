package io.github.jmarlin.plan;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** The {@link Rate}s and {@link LoopClocks} of one device, and the times that the models of all kernels share. Immutable and thread-safe. */
final class Rates {
    /** L2 to one SM at most: the width of its port. */
    static final double SM_PORT_BYTES_PER_CLOCK = 64;

    /** A read, atomic or fence that goes to L2 and back, under load. */
    private static final double L2_ROUND_TRIP_CLOCKS = 600;
    /** Write a partial tile, count, read the count: how often a handover goes to L2 and back. */
    private static final int ROUND_TRIPS_OF_HANDOVER = 3;

    private final DeviceFacts device;
    private final Map<Rate, Double> values = new EnumMap<>(Rate.class);
    private final LoopClocks loopClocks;

    /** @param measured by name, goes before what is assumed */
    Rates(DeviceFacts device, Map<String, Double> measured) {
        this.device = device;
        for (Rate rate : Rate.values()) {
            values.put(rate, measured.getOrDefault(rate.name(), rate.assumed(device)));
        }
        loopClocks = new LoopClocks(device, measured, this);
    }

    /** @throws IllegalArgumentException if nothing has this name, or this is no value for it */
    static void check(String name, double value) {
        if (!LoopClocks.kernels().contains(name)) {
            rate(name).check(value);
        } else if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("clocks of " + name + " of " + value + ": must be positive and finite");
        }
    }

    /** @throws IllegalArgumentException if this cannot be what was measured on that device */
    static void check(String name, double value, DeviceFacts device) {
        check(name, value);
        if (!LoopClocks.kernels().contains(name)) {
            rate(name).check(value, device);
        }
    }

    private static Rate rate(String name) {
        for (Rate rate : Rate.values()) {
            if (rate.name().equals(name)) {
                return rate;
            }
        }
        throw new IllegalArgumentException("rate " + name + ": must be one of " + List.of(Rate.values())
                + ", or a kernel, as in striped_sym_g64_m8_n64, for its clocks");
    }

    double of(Rate rate) {
        return values.get(rate);
    }

    LoopClocks loopClocks() {
        return loopClocks;
    }

    /** Seconds of so many clocks of an SM. */
    double clocks(double clocks) {
        return clocks / of(Rate.CLOCK_HZ);
    }

    /**
     * Every byte of a product of {@code m} rows once; the weights once for each row tile where L2 does not hold what is read between the
     * first tile's reading and the next one's.
     *
     * @param streams strips that a thread block reads at a time, from as many places
     * @param neighbours thread blocks of a worker side by side along n
     */
    double dram(WeightShape weights, int m, Schedule schedule, int streams, int neighbours) {
        double between = between(weights, schedule, streams * neighbours);
        boolean again = device.l2Bytes() > 0 && Math.min(between, weights.packedBytes()) > device.l2Bytes();
        double bytes = (again ? schedule.mTiles() : 1.0) * weights.packedBytes() + 2.0 * m * (weights.k() + weights.n());
        return bytes / (of(Rate.DRAM_EFFICIENCY) * of(Rate.DRAM_BYTES_PER_SECOND)) * (1 + of(Rate.STREAM_CHARGE) * (streams - 1));
    }

    /** Bytes of weights that all workers read between the readings of the same ones for two row tiles. */
    private static double between(WeightShape weights, Schedule schedule, int stripsOfWorker) {
        // Whole tiles are taken in order: row tiles below one another at the same time.
        return schedule instanceof Stripes stripes
                ? stripes.grid() * stripes.unitsBetweenReadings() * stripsOfWorker * weights.bytesPerBlock() : 0;
    }

    /** All bytes that blocks ask the L2 cache for at the rate of the cache, or those of the busiest SM at the rate of its port. */
    double l2(double allBytes, double bytesOfBusiest) {
        return clocks(Math.max(allBytes / device.multiprocessors() / of(Rate.L2_BYTES_PER_CLOCK), bytesOfBusiest / SM_PORT_BYTES_PER_CLOCK));
    }

    /**
     * The busiest SM's stages, one after the other, all but one of the ring's under way at any time: each takes the latency and its own
     * transfer. With two slots that is their sum for every stage.
     *
     * @param transfer seconds for all bytes
     */
    double latency(double stagesOfBusiest, int ring, double transfer) {
        return (stagesOfBusiest * of(Rate.LOADED_LATENCY_SECONDS) + transfer) / (ring - 1);
    }

    /**
     * What sharing tiles costs in stripes: a block leaves its partial tiles in memory, and whoever arrives last at a tile
     * reads all of that tile.
     *
     * @param tileBytes of a partial tile, the rows that there are, on average: one that a block leaves lies beside another one's
     * @param fullestBytes of the fullest tile's
     */
    double handover(Stripes stripes, double tileBytes, double fullestBytes) {
        int arrivals = stripes.mostArrivals();
        return arrivals == 1 ? 0 : clocks(ROUND_TRIPS_OF_HANDOVER * L2_ROUND_TRIP_CLOCKS
                + (stripes.mostPartialTiles() * tileBytes + arrivals * fullestBytes) / SM_PORT_BYTES_PER_CLOCK);
    }

    /**
     * A launch of one of this library's kernels.
     *
     * @param stages that the busiest SM walks through
     * @param stageSeconds arithmetic of one of them
     * @param tail what overlaps with nothing but a tile's own end
     */
    Prediction pipeline(double dram, double l2, double stages, int ring, double stageSeconds, double tail) {
        // The first stage's bytes come before any arithmetic, and the last stage's arithmetic after all bytes.
        double exposed = of(Rate.LOADED_LATENCY_SECONDS) + stageSeconds;
        return new Prediction(dram, l2, latency(stages, ring, Math.max(dram, l2)), (stages - 1) * stageSeconds, exposed + tail,
                of(Rate.OVERLAP_LOSS));
    }
}
