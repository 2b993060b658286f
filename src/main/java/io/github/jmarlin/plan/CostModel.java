package io.github.jmarlin.plan;

/**
 * A small model of the striped kernel's time: the slowest of DRAM, L2, tensor cores, issue and latency, plus the reduction tail.
 *
 * <p>The rates are leads to choose among kernels with, taken from data sheets and public measurements and not measured with this
 * library; where the driver knows a number (clock, memory rate, SM count) the driver is asked.
 */
final class CostModel {

    /** What a copy kernel reaches of the peak memory rate: 4.3 of 4.9 TB/s on an H200. */
    private static final double DRAM_EFFICIENCY = 0.88;
    /** Loaded memory latency: 0.7 to 1.0 us at full rate on an H200. */
    private static final double LOADED_LATENCY_SECONDS = 0.8e-6;
    /** Bytes per clock that one SM can take from L2: 64, the width of its port. */
    private static final double SM_PORT_BYTES_PER_CLOCK = 64;
    /** m16n8k16 instructions for 64 x 64 codes and 8 rows. */
    private static final int MMA_PER_BLOCK_AND_TILE = 16;
    /** Clocks in which an SM issues what a block of 64 x 64 codes takes, plus those for each row: counted in machine code. */
    private static final double ISSUE_CLOCKS_PER_BLOCK = 75;
    private static final double ISSUE_CLOCKS_PER_ROW = 0.56;
    /** Write a slot, fence, count, read the flag: three round trips to L2 of about 600 clocks. */
    private static final double HANDOVER_CLOCKS = 1800;
    /** Used if the driver does not tell its clock. */
    private static final double ASSUMED_CLOCK_HZ = 1.5e9;
    /** Used if the driver does not tell its memory rate: an RTX 4090 or A10-class card. */
    private static final double ASSUMED_DRAM_PEAK = 1e12;

    /**
     * Rates per SM and clock of an architecture.
     *
     * @param mmaPerClock m16n8k16 instructions with fp32 sums
     * @param l2BytesPerClock share of the L2 rate when all SMs draw
     */
    private record Architecture(double mmaPerClock, double l2BytesPerClock) {

        static Architecture of(DeviceFacts device) {
            return switch (device.computeCapability()) {
                case 80 -> new Architecture(0.5, 26);          // A100: 312 TFLOP/s; 4.0 TB/s over 108 SMs at 1.41 GHz
                case 86, 87, 89 -> new Architecture(0.25, 20); // A40, L40S data sheets (GeForce halves the first)
                // H200: mma.sync at 62 % of wgmma; 5.5 TB/s over 132 SMs at 1.75 GHz
                case 90 -> new Architecture(0.62, 24);
                default -> new Architecture(0.5, 24);          // newer, through PTX: assumed no slower than an A100
            };
        }
    }

    private final DeviceFacts device;
    private final WeightShape weights;
    private final double clock;
    private final double dramRate;
    private final double l2Rate;
    private final double mmaRate;

    CostModel(DeviceFacts device, WeightShape weights) {
        this.device = device;
        this.weights = weights;
        Architecture architecture = Architecture.of(device);
        clock = device.clockKhz() > 0 ? 1e3 * device.clockKhz() : ASSUMED_CLOCK_HZ;
        dramRate = DRAM_EFFICIENCY * (device.memoryBytesPerSecond() > 0 ? device.memoryBytesPerSecond() : ASSUMED_DRAM_PEAK);
        l2Rate = device.multiprocessors() * clock * architecture.l2BytesPerClock();
        mmaRate = clock * architecture.mmaPerClock();
    }

    /** Predicts a launch over {@code m} rows. */
    Prediction predict(int m, TileShape tile, Stripes stripes, int stages) {
        double units = stripes.totalUnits();
        // The busiest SM; with more blocks than SMs it runs several, one after the other.
        double busiestUnits = (double) stripes.unitsPerBlock() * ceilDiv(stripes.grid(), device.multiprocessors());
        double rowsOfTile = Math.min(m, tile.batchTile());

        double weightsOfUnit = (double) weights.packedBytes() / ((double) weights.strips() * weights.kBlocks()) * tile.warpsN();
        double bytesOfUnit = weightsOfUnit + rowsOfTile * TileShape.STRIP * 2;
        double activations = (double) m * weights.k() * 2;
        double results = (double) m * weights.n() * 2;
        double dram = (weights.packedBytes() + activations + results) / dramRate;
        double l2 = Math.max(units * bytesOfUnit / l2Rate, busiestUnits * bytesOfUnit / (clock * SM_PORT_BYTES_PER_CLOCK));

        double blocks = TileShape.WARPS * busiestStages(stripes, tile, busiestUnits);
        double tensor = blocks * MMA_PER_BLOCK_AND_TILE * (tile.batchTile() / 8) / mmaRate;
        double issue = blocks * (ISSUE_CLOCKS_PER_BLOCK + ISSUE_CLOCKS_PER_ROW * tile.batchTile()) / clock;

        double inFlight = (stages - 1.0) * tile.stageBytes(weights);
        double latency = LOADED_LATENCY_SECONDS * (1 + busiestUnits * bytesOfUnit / inFlight);

        return new Prediction(dram, l2, tensor, issue, latency, tail(rowsOfTile, tile, stripes));
    }

    /** Stages that the busiest SM walks through: a stripe that does not begin and end on whole stages takes one more. */
    private static double busiestStages(Stripes stripes, TileShape tile, double busiestUnits) {
        int depth = tile.kBlocksPerStage();
        boolean wholeStages = stripes.unitsPerBlock() % depth == 0 && stripes.kBlocks() % depth == 0;
        return Math.ceil(busiestUnits / depth) + (wholeStages ? 0 : 1);
    }

    private double tail(double rowsOfTile, TileShape tile, Stripes stripes) {
        int arrivals = stripes.mostArrivals();
        if (arrivals == 1) {
            return 0;
        }
        double bytes = arrivals * rowsOfTile * tile.nTile() * Float.BYTES;
        return (HANDOVER_CLOCKS + bytes / SM_PORT_BYTES_PER_CLOCK) / clock;
    }

    private static int ceilDiv(int a, int b) {
        return (a + b - 1) / b;
    }
}
