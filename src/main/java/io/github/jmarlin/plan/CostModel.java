package io.github.jmarlin.plan;

/**
 * A small model of the striped kernel's time: memory beside arithmetic, plus what begins and ends a stripe. {@link Rate} and
 * {@link LoopClocks} have its numbers.
 */
final class CostModel {
    private final DeviceFacts device;
    private final WeightShape weights;
    private final Rates rates;

    CostModel(DeviceFacts device, WeightShape weights, Rates rates) {
        this.device = device;
        this.weights = weights;
        this.rates = rates;
    }

    /** Predicts a launch over {@code m} rows. */
    Prediction predict(int m, TileShape tile, Stripes stripes, int ring) {
        // The busiest SM; with more blocks than SMs it runs several, one after the other.
        int rounds = Ceil.div(stripes.grid(), device.multiprocessors());
        double busiestUnits = (double) stripes.unitsPerBlock() * rounds;
        double busiestStages = (double) stripes.mostStages(tile.kBlocksPerStage()) * rounds;

        // Rows that are not there are neither read nor handed over.
        double rows = (double) m / stripes.mTiles();
        double rowsOfFullest = Math.min(m, tile.batchTile());
        double bytesOfUnit = weights.bytesPerBlock() * tile.warpsN() + rows * weights.blockRows() * 2;
        double l2 = rates.l2(stripes.totalUnits() * bytesOfUnit, busiestUnits * bytesOfUnit);
        double stage = rates.clocks(tile.kBlocksPerStage() * tile.warpsN() * rates.loopClocks().of(weights, tile));
        double tail = rates.handover(stripes, rows * tile.nTile() * Float.BYTES, rowsOfFullest * tile.nTile() * Float.BYTES);
        return rates.pipeline(rates.dram(weights, m, stripes, tile.warpsN(), 1), l2, busiestStages, ring, stage, tail);
    }
}
