package io.github.jmarlin.plan;

/**
 * A small model of the Hopper kernel's time, for stripes and for clusters that split k: memory beside arithmetic, plus what beginning and
 * finishing tiles takes. {@link Rate} and {@link LoopClocks} have its numbers; docs/hopper.md says which measurement replaces which.
 */
final class HopperModel {

    /** Writing a finished tile to shared memory and reading it back. */
    private static final double STAGING_BYTES_PER_CLOCK = 64;

    /**
     * What the busiest SM does.
     *
     * @param units blocks, each with all columns of a thread block
     * @param stages slots of the ring filled, also the half empty ones
     * @param tail seconds of finishing tiles
     */
    private record Busiest(double units, double stages, double tail) {}

    private final DeviceFacts device;
    private final WeightShape weights;
    private final Rates rates;

    HopperModel(DeviceFacts device, WeightShape weights, Rates rates) {
        this.device = device;
        this.weights = weights;
        this.rates = rates;
    }

    /** Clusters that run at once, each block alone on its SM: as many as a launch should have. */
    int clustersAtOnce(HopperTile tile) {
        return (int) Math.max(1, switch (tile.cluster()) {
            case 1 -> device.multiprocessors();
            case 2 -> rates.of(Rate.CLUSTERS_OF_2);
            default -> rates.of(Rate.CLUSTERS_OF_4);
        });
    }

    /** Predicts a launch over {@code m} rows. */
    Prediction predict(int m, HopperTile tile, Schedule schedule, int ring) {
        // Rows that are not there are neither read nor handed over.
        double rows = (double) m / schedule.mTiles();
        double tileBytes = rows * tile.nTile() * Float.BYTES;
        double fullestBytes = Math.min(m, tile.batchTile()) * tile.nTile() * (double) Float.BYTES;
        Busiest busiest = schedule instanceof Stripes stripes ? ofStripes(tile, stripes, tileBytes, fullestBytes)
                : ofSplit(tile, (WholeTiles) schedule, tileBytes);

        double activations = rows * weights.blockRows() * 2;        // of a unit
        double drawn = weights.bytesPerBlock() * tile.strips() + activations / tile.neighbours();
        double handed = activations - activations / tile.neighbours();
        double unitsOfAll = (double) schedule.tiles() * schedule.kBlocks() * tile.neighbours();
        double l2 = Math.max(rates.l2(unitsOfAll * drawn, busiest.units * drawn),
                rates.clocks(busiest.units * handed / rates.of(Rate.CLUSTER_BYTES_PER_CLOCK)));

        double unit = rates.clocks(tile.strips() * rates.loopClocks().of(weights, tile));
        // Neighbours meet before the first handing over and after the last.
        double meeting = tile.neighbours() > 1 ? rates.of(Rate.CLUSTER_SYNC_SECONDS) : 0;
        return rates.pipeline(rates.dram(weights, m, schedule, tile.strips(), tile.neighbours()), l2, busiest.stages, ring, unit * busiest.units / busiest.stages,
                busiest.tail + meeting);
    }

    /** With more clusters than run at once, an SM works off several stripes. */
    private Busiest ofStripes(HopperTile tile, Stripes stripes, double tileBytes, double fullestBytes) {
        int rounds = Ceil.div(stripes.grid(), clustersAtOnce(tile));
        int finished = stripes.unitsPerBlock() / stripes.kBlocks() + stripes.mostPartialTiles();    // whole ones and partial ones
        double tail = finished * staging(tileBytes) + rates.handover(stripes, tileBytes, fullestBytes);
        return new Busiest((double) rounds * stripes.unitsPerBlock(), (double) rounds * stripes.mostStages(tile.kBlocksPerStage(weights)),
                rounds * tail);
    }

    /** Tile after tile; the ring runs empty between two. */
    private Busiest ofSplit(HopperTile tile, WholeTiles schedule, double tileBytes) {
        int rounds = Ceil.div(schedule.tiles(), Math.min(schedule.grid(), clustersAtOnce(tile)));
        int depth = tile.kBlocksPerStage(weights);
        int stages = Ceil.div(Ceil.div(schedule.kBlocks(), depth), tile.split());
        double remote = tileBytes * (tile.split() - 1) / tile.split();
        double tail = staging(tileBytes) + rates.of(Rate.CLUSTER_SYNC_SECONDS) + rates.clocks(remote / rates.of(Rate.CLUSTER_BYTES_PER_CLOCK));
        double drained = (rounds - 1) * rates.of(Rate.LOADED_LATENCY_SECONDS);
        return new Busiest((double) rounds * Math.min(schedule.kBlocks(), stages * depth), (double) rounds * stages,
                rounds * tail + drained);
    }

    /** Every tile goes through shared memory once and back, on its way to C or to its slot. */
    private double staging(double tileBytes) {
        return rates.clocks(2 * tileBytes / STAGING_BYTES_PER_CLOCK);
    }
}
