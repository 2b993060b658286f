package io.github.jmarlin.plan;

/**
 * A small model of the striped kernel's time: the slowest of DRAM, L2, tensor cores, issue and latency, plus the reduction tail.
 * {@link Rate} has its numbers.
 */
final class CostModel {

    /** m16n8k16 instructions for 64 x 64 codes and 8 rows. */
    private static final int MMA_PER_BLOCK_AND_TILE = 16;

    private final DeviceFacts device;
    private final WeightShape weights;
    private final Rates rates;

    CostModel(DeviceFacts device, WeightShape weights, Rates rates) {
        this.device = device;
        this.weights = weights;
        this.rates = rates;
    }

    /** Predicts a launch over {@code m} rows. */
    Prediction predict(int m, TileShape tile, Stripes stripes, int stages) {
        double units = stripes.totalUnits();
        // The busiest SM; with more blocks than SMs it runs several, one after the other.
        int rounds = Ceil.div(stripes.grid(), device.multiprocessors());
        double busiestUnits = (double) stripes.unitsPerBlock() * rounds;
        double busiestStages = (double) stripes.mostStages(tile.kBlocksPerStage()) * rounds;
        double rowsOfTile = Math.min(m, tile.batchTile());

        double bytesOfUnit = weights.bytesPerBlock() * tile.warpsN() + rowsOfTile * TileShape.STRIP * 2;
        double l2 = rates.l2(units * bytesOfUnit, busiestUnits * bytesOfUnit);

        double blocks = TileShape.WARPS * busiestStages;
        double tensor = rates.clocks(blocks * MMA_PER_BLOCK_AND_TILE * (tile.batchTile() / 8) / rates.of(Rate.MMA_PER_CLOCK));
        double issue = rates.clocks(blocks * (rates.of(Rate.STRIPED_ISSUE_CLOCKS_PER_BLOCK)
                + rates.of(Rate.STRIPED_ISSUE_CLOCKS_PER_ROW) * tile.batchTile()));

        double tail = rates.handover(stripes, rowsOfTile * tile.nTile() * Float.BYTES);
        return rates.prediction(rates.dram(weights, m), l2, tensor, issue, rates.latency(busiestStages, stages), tail);
    }
}
