package io.github.jmarlin.plan;

import java.util.EnumMap;
import java.util.Map;

/** The {@link Rate}s of one device, and the times that the models of all kernels share. Immutable and thread-safe. */
final class Rates {
    /** Write a partial tile, count, read the count: how often a handover goes to L2 and back. */
    private static final int ROUND_TRIPS_OF_HANDOVER = 3;

    private final DeviceFacts device;
    private final Map<Rate, Double> values = new EnumMap<>(Rate.class);

    /** @param measured goes before what is assumed */
    Rates(DeviceFacts device, Map<Rate, Double> measured) {
        this.device = device;
        for (Rate rate : Rate.values()) {
            values.put(rate, measured.getOrDefault(rate, rate.assumed(device)));
        }
    }

    double of(Rate rate) {
        return values.get(rate);
    }

    /** Seconds of so many clocks of an SM. */
    double clocks(double clocks) {
        return clocks / of(Rate.CLOCK_HZ);
    }

    /** Seconds for so many bytes of one SM at a rate per clock. */
    double bytes(double bytes, Rate perClock) {
        return clocks(bytes / of(perClock));
    }

    /** Every byte of a product of {@code m} rows once. */
    double dram(WeightShape weights, int m) {
        double bytes = weights.packedBytes() + 2.0 * m * (weights.k() + weights.n());
        return bytes / (of(Rate.DRAM_EFFICIENCY) * of(Rate.DRAM_BYTES_PER_SECOND));
    }

    /** All bytes that blocks ask the L2 cache for at the rate of the cache, or those of the busiest SM at the rate of its port. */
    double l2(double allBytes, double bytesOfBusiest) {
        return Math.max(bytes(allBytes / device.multiprocessors(), Rate.L2_BYTES_PER_CLOCK),
                bytes(bytesOfBusiest, Rate.SM_PORT_BYTES_PER_CLOCK));
    }

    /** Stages one after the other, all but one of the ring's under way at any time. */
    double latency(double stagesOfBusiest, int ring) {
        return of(Rate.LOADED_LATENCY_SECONDS) * (1 + stagesOfBusiest / (ring - 1.0));
    }

    /**
     * What sharing tiles costs in stripes: a block leaves its partial tiles in memory, and whoever arrives last at a tile
     * reads all of that tile.
     *
     * @param tileBytes of a partial tile, the rows that there are
     */
    double handover(Stripes stripes, double tileBytes) {
        int arrivals = stripes.mostArrivals();
        return arrivals == 1 ? 0 : clocks(ROUND_TRIPS_OF_HANDOVER * of(Rate.L2_ROUND_TRIP_CLOCKS))
                + bytes((stripes.mostPartialTiles() + arrivals) * tileBytes, Rate.SM_PORT_BYTES_PER_CLOCK);
    }

    Prediction prediction(double dram, double l2, double tensor, double issue, double latency, double tail) {
        return new Prediction(dram, l2, tensor, issue, latency, tail, of(Rate.OVERLAP_LOSS));
    }
}
