package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Made-up results for tests of reports: a device with round figures, every contender at a fixed share of its roofline. */
public final class SampleResults {
    public static final double BANDWIDTH = 4e12;
    public static final double PEAK = 800e12;
    private static final int[] BATCHES = IntStream.rangeClosed(0, 13).map(i -> 1 << i).toArray();

    private SampleResults() {
    }

    public static RunInfo run(boolean standIn) {
        return new RunInfo(standIn ? "Sample (stand-in)" : "Sample GPU", standIn, "999.1", "13.9", "cuBLAS 13 from a sample",
                100, 50 << 20, 64L << 30, "17", "Linux", "0123456");
    }

    /** Layers in graph and flushed mode, blocks, device rows. */
    public static Results all(boolean standIn) {
        List<Measurement> rows = new ArrayList<>();
        rows.add(new Measurement(Subject.device(), TimingMode.GRAPH, Contenders.COPY, 0, Measurement.Status.OK, null,
                time(2e9 / BANDWIDTH), 2e9, 0, null, null));
        rows.add(new Measurement(Subject.device(), TimingMode.GRAPH, Contenders.EMPTY, 0, Measurement.Status.OK, null, time(2e-6),
                0, 0, null, null));
        for (TimingMode mode : List.of(TimingMode.GRAPH, TimingMode.FLUSHED)) {
            for (int m : BATCHES) {
                addLayer(rows, ModelShapes.SQUARE, m, mode);
            }
        }
        for (ModelShapes.Model model : ModelShapes.MODELS) {
            for (int m : new int[] {1, 16, 64}) {
                addBlock(rows, model, m);
            }
        }
        return new Results(run(standIn), List.of(new Session("2026-01-02T03:04:05Z", 12.5, "bench --quick", "1980 MHz, 100 W",
                "1980 MHz, 300 W", 0)), rows);
    }

    private static void addLayer(List<Measurement> rows, LayerShape shape, int m, TimingMode mode) {
        Subject subject = Subject.layer(shape, m, DataType.FP16);
        double flops = 2.0 * m * shape.weights();
        double constant = mode == TimingMode.FLUSHED ? 15e-6 : 3e-6;
        for (int group : new int[] {-1, 128}) {
            double bytes = shape.weights() * (group == 128 ? 0.515625 : 0.5);
            rows.add(row(subject, mode, Contenders.JMARLIN, group, constant + seconds(bytes, flops, 0.9, 0.6), bytes, flops));
            rows.add(row(subject, mode, Contenders.JMARLIN_HOPPER, group, constant + seconds(bytes, flops, 0.85, 0.8), bytes,
                    flops));
        }
        double dense = shape.weights() * 2.0;
        rows.add(row(subject, mode, Contenders.CUBLAS, 0, constant + seconds(dense, flops, 0.95, 1), dense, flops));
        rows.add(row(subject, mode, Contenders.DEQUANTIZE_CUBLAS, 128, constant + seconds(4 * dense, flops, 0.9, 0.8), dense,
                flops));
    }

    private static void addBlock(List<Measurement> rows, ModelShapes.Model model, int m) {
        double weights = model.layers().stream().mapToLong(LayerShape::weights).sum();
        Subject subject = Subject.block(model, m, DataType.FP16);
        double flops = 2 * m * weights;
        rows.add(row(subject, TimingMode.GRAPH, Contenders.JMARLIN, 128, 8e-6 + seconds(weights * 0.515625, flops, 0.9, 0.6),
                weights * 0.515625, flops));
        rows.add(row(subject, TimingMode.GRAPH, Contenders.CUBLAS, 0, 8e-6 + seconds(weights * 2, flops, 0.95, 1), weights * 2,
                flops));
    }

    private static double seconds(double bytes, double flops, double ofBandwidth, double ofPeak) {
        return new Roofline(BANDWIDTH * ofBandwidth, PEAK * ofPeak).seconds(bytes, flops);
    }

    public static Measurement row(Subject subject, TimingMode mode, String contender, int group, double seconds, double bytes,
            double flops) {
        return new Measurement(subject, mode, contender, group, Measurement.Status.OK, null, time(seconds), bytes, flops, 2e-4,
                3e-4);
    }

    private static Quantiles time(double seconds) {
        return new Quantiles(seconds * 0.97e6, seconds * 1e6, seconds * 1.04e6, 30);
    }
}
