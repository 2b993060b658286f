package io.github.jmarlin.plan;

/**
 * A small model of the Hopper kernel's time, for stripes and for clusters that split k: the slowest of DRAM, L2, tensor cores, issue
 * and latency, plus what finishing tiles takes. {@link Rate} has its numbers; docs/hopper.md says which measurement replaces which.
 */
final class HopperModel {

    /** wgmma instructions for the 64 k of a block. */
    private static final int WGMMA_PER_BLOCK = 4;

    /**
     * What the busiest SM does.
     *
     * @param units blocks of 64 k, each with all columns of a thread block
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
        double rowsOfTile = Math.min(m, tile.batchTile());
        double tileBytes = rowsOfTile * tile.nTile() * Float.BYTES;
        Busiest busiest = schedule instanceof Stripes stripes ? ofStripes(tile, stripes, tileBytes)
                : ofSplit(tile, (WholeTiles) schedule, tileBytes);

        double activations = rowsOfTile * TileShape.STRIP * 2;      // of a unit
        double drawn = weights.bytesPerBlock() * tile.strips() + activations / tile.neighbours();
        double handed = activations - activations / tile.neighbours();
        double unitsOfAll = (double) schedule.tiles() * schedule.kBlocks() * tile.neighbours();
        double l2 = Math.max(rates.l2(unitsOfAll * drawn, busiest.units * drawn),
                rates.bytes(busiest.units * handed, Rate.CLUSTER_BYTES_PER_CLOCK));

        double blocks = busiest.units * tile.strips();
        double wgmmaClocks = Math.max(rates.of(Rate.LEAST_WGMMA_CLOCKS), rates.of(Rate.CLOCKS_PER_WGMMA_COLUMN) * tile.batchTile());
        double tensor = rates.clocks(blocks * WGMMA_PER_BLOCK * wgmmaClocks) / rates.of(Rate.TENSOR_EFFICIENCY);
        double issue = rates.clocks(blocks * rates.of(Rate.HOPPER_ISSUE_CLOCKS_PER_BLOCK));
        // Neighbours meet before the first handing over and after the last.
        double meeting = tile.neighbours() > 1 ? rates.of(Rate.CLUSTER_SYNC_SECONDS) : 0;
        return rates.prediction(rates.dram(weights, m), l2, tensor, issue, rates.latency(busiest.stages, ring), busiest.tail + meeting);
    }

    /** With more clusters than run at once, an SM works off several stripes. */
    private Busiest ofStripes(HopperTile tile, Stripes stripes, double tileBytes) {
        int rounds = Ceil.div(stripes.grid(), clustersAtOnce(tile));
        int finished = stripes.unitsPerBlock() / stripes.kBlocks() + stripes.mostPartialTiles();    // whole ones and partial ones
        double tail = finished * staging(tileBytes) + rates.handover(stripes, tileBytes);
        return new Busiest((double) rounds * stripes.unitsPerBlock(), (double) rounds * stripes.mostStages(tile.kBlocksPerStage()),
                rounds * tail);
    }

    /** Tile after tile; the ring runs empty between two. */
    private Busiest ofSplit(HopperTile tile, WholeTiles schedule, double tileBytes) {
        int rounds = Ceil.div(schedule.tiles(), Math.min(schedule.grid(), clustersAtOnce(tile)));
        int depth = tile.kBlocksPerStage();
        int stages = Ceil.div(Ceil.div(schedule.kBlocks(), depth), tile.split());
        double remote = tileBytes * (tile.split() - 1) / tile.split();
        double tail = staging(tileBytes) + rates.of(Rate.CLUSTER_SYNC_SECONDS) + rates.bytes(remote, Rate.CLUSTER_BYTES_PER_CLOCK);
        double drained = (rounds - 1) * rates.of(Rate.LOADED_LATENCY_SECONDS);
        return new Busiest((double) rounds * Math.min(schedule.kBlocks(), stages * depth), (double) rounds * stages,
                rounds * tail + drained);
    }

    /** Every tile goes through shared memory once and back, on its way to C or to its slot. */
    private double staging(double tileBytes) {
        return rates.bytes(2 * tileBytes, Rate.STAGING_BYTES_PER_CLOCK);
    }
}
