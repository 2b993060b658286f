package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DataType;
import io.github.jmarlin.DeviceChoice;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.cpu.DenseProduct;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.LaunchTimer;
import io.github.jmarlin.quantize.RoundToNearest;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Quantizes, packs and multiplies one layer and compares with fp64: one table; lets a small model tell a tale: another. */
@Command(name = "demo", mixinStandardHelpOptions = true, sortOptions = false, showDefaultValues = true,
        description = "Quantize, pack and multiply one layer on the best device and check the results against fp64; then let a small "
                + "model that comes along tell a tale in 16 and in 4 bits.")
final class DemoCommand implements Callable<Integer> {
    private static final Set<Integer> GROUP_SIZES = Set.of(-1, 32, 64, 128, 256);

    @Option(names = "--k", paramLabel = "ROWS", defaultValue = "4096", description = "in-features of the layer")
    private int k;

    @Option(names = "--n", paramLabel = "COLUMNS", defaultValue = "14336", description = "out-features of the layer")
    private int n;

    @Option(names = "--m", paramLabel = "TOKENS", split = ",", defaultValue = "1,16,64", description = "batch sizes")
    private List<Integer> batches;

    @Option(names = "--group", paramLabel = "ROWS", defaultValue = "128",
            description = "rows that share a scale: 32, 64, 128, 256, or -1 for whole columns")
    private int groupSize;

    @Option(names = "--dtype", paramLabel = "TYPE", defaultValue = "fp16", converter = ComputeType.class, description = "fp16 or bf16")
    private DataType type;

    @Option(names = "--seed", paramLabel = "NUMBER", defaultValue = "42", description = "of the random weights and activations")
    private long seed;

    @Option(names = "--sparse24", description = "store two of every four weights; a GPU is timed on all of them too")
    private boolean sparse24;

    @Option(names = "--layer-only", description = "without the model")
    private boolean layerOnly;

    @Mixin
    private DeviceOption deviceOption;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        checkOptions();
        DeviceChoice choice = deviceOption.choose(spec);
        CheckCommand.once(choice.device(), spec.commandLine().getOut());
        Table table = Table.ofFigures();
        String with = choice.device() instanceof CpuDevice cpu ? ", " + cpu.computesWith() : "";
        table.fact("device", choice.device().name() + with).fact("why", choice.reason());
        boolean accurate;
        try (Progress progress = new Progress("demo", 5 + batches.size())) {
            accurate = run(choice.device(), table, progress);
        }
        PrintWriter out = spec.commandLine().getOut();
        out.print(table);
        if (!accurate) {
            out.println("WRONG: an error is above what is allowed.");
        }
        out.flush();
        if (!layerOnly) {
            try (Progress progress = new Progress("demo", DemoTales.STEPS)) {
                out.print(new DemoTales(choice.device(), progress).run());
            }
            out.flush();
        }
        return accurate ? 0 : 1;
    }

    private void checkOptions() {
        require(k >= 1 && n >= 1, "--k %d --n %d: both must be positive", k, n);
        require(!batches.isEmpty() && batches.stream().allMatch(m -> m >= 1), "--m %s: one or more positive batch sizes", batches);
        require(GROUP_SIZES.contains(groupSize), "--group %d: must be -1, 32, 64, 128 or 256", groupSize);
        require(!sparse24 || groupSize != 32, "--sparse24 --group %d: must be -1, 64, 128 or 256", groupSize);
        // Weights in floats, results in doubles, both in Java arrays.
        long elements = Math.max((long) k * n, (long) most() * Math.max(k, n));
        require(elements < Integer.MAX_VALUE - 8, "--k %d --n %d --m %s: a matrix of %d elements, a Java array holds 2^31 - 9", k, n,
                batches, elements);
        long heap = 4L * k * n + most() * (16L * n + 8L * k);
        require(heap < Runtime.getRuntime().maxMemory(), "--k %d --n %d --m %s needs about %d MB of Java heap and there are %d: "
                + "give -Xmx to java, or MAVEN_OPTS=-Xmx... to mvn", k, n, batches, heap >> 20, Runtime.getRuntime().maxMemory() >> 20);
    }

    private void require(boolean condition, String rule, Object... values) {
        if (!condition) {
            throw new ParameterException(spec.commandLine(), Figures.format(rule, values));
        }
    }

    private int most() {
        return batches.stream().mapToInt(m -> m).max().orElseThrow();
    }

    /** Fills the table. Returns whether every result is as accurate as it must be. */
    private boolean run(ComputeDevice device, Table table, Progress progress) {
        progress.begin("random layer");
        float[] weights = sparse24 ? DemoLayer.pruned(DemoLayer.weights(seed, k, n), k, n) : DemoLayer.weights(seed, k, n);
        float[] activations = DemoLayer.activations(seed, most(), k, type);
        progress.step("quantize");
        long start = System.nanoTime();
        try (QuantizedMatrix every = RoundToNearest.symmetric(groupSize, type).quantize(weights, k, n);
                QuantizedMatrix matrix = sparse24 ? DemoLayer.sparse(every, type) : every) {
            table.fact("layer", Figures.format("k %d, n %d, group %d, %s%s, seed %d: quantized to the nearest of 16 codes in %s", k, n,
                    groupSize, type, sparse24 ? ", the larger two of every four" : "", seed, Figures.seconds(Stopwatch.secondsSince(start))));
            progress.step("pack");
            start = System.nanoTime();
            try (PackedWeights packed = PackedWeights.pack(matrix, type)) {
                double seconds = Stopwatch.secondsSince(start);
                double moved = matrix.codes().size() + matrix.scales().size() + packed.byteSize();
                table.fact("pack", Figures.format("%s, %.2f GB/s read and written; %s instead of %s in 16 bits", Figures.seconds(seconds),
                        moved / seconds * 1e-9, Figures.bytes(packed.byteSize()), Figures.bytes(2.0 * k * n)));
                progress.step("fp64 reference");
                double[] expected = ReferenceProduct.multiply(matrix, activations, most());
                progress.step("place");
                return multiply(device, packed, every, weights, activations, expected, table, progress);
            }
        }
    }

    private boolean multiply(ComputeDevice device, PackedWeights packed, QuantizedMatrix every, float[] weights, float[] activations, double[] expected,
            Table table, Progress progress) {
        ByteBuffer a = DemoLayer.encode(activations, type);
        ByteBuffer c = DemoLayer.allocate(most() * n, type);
        double allowed = ErrorBound.of(type, packed.form());
        boolean accurate = true;
        try (LinearLayer layer = device.place(packed);
                Contender contender = device instanceof CudaDevice gpu ? onGpu(gpu, packed, every, a, table)
                        : onCpu(layer, a, c, weights, activations)) {
            double bandwidth = contender.readBandwidth();
            if (!Double.isNaN(bandwidth)) {
                table.fact("memory", Figures.format("%.1f GB/s read by all threads, measured first; a layer that fits the cache can "
                        + "exceed it", bandwidth * 1e-9));
            }
            table.fact(contender.denseName(), contender.denseText());
            table.row("m", "error vs fp64", "allowed", "time", "GB/s", "of memory", "tokens/s", "TFLOP/s", contender.denseName(),
                    "vs " + contender.denseName());
            for (int m : batches) {
                progress.step("m = " + m);
                layer.multiply(type, a, m, c);
                double error = DemoLayer.relativeError(c, type, expected, m * n);
                accurate &= error <= allowed;
                double seconds = contender.seconds(m);
                double dense = contender.denseSeconds(m);
                double bytes = packed.byteSize() + (double) m * (k + n) * type.bytes();
                table.row(Integer.toString(m), Figures.format("%.2e", error), Figures.format("%.2e", allowed), Figures.seconds(seconds),
                        Figures.format("%.1f", bytes / seconds * 1e-9),
                        Double.isNaN(bandwidth) ? "n/a" : Figures.format("%.0f%%", 100 * bytes / seconds / bandwidth),
                        Figures.format("%.0f", m / seconds), Figures.format("%.3f", 2.0 * m * k * n / seconds * 1e-12),
                        Double.isNaN(dense) ? "n/a" : Figures.seconds(dense),
                        Double.isNaN(dense) ? "n/a" : Figures.format("%.2fx", dense / seconds));
            }
        }
        return accurate;
    }

    // ---- timing ----

    /** The product and its dense rival on one device. */
    private interface Contender extends AutoCloseable {
        double seconds(int m);

        /** Bytes per second that the processor reads from memory; NaN of a GPU. */
        double readBandwidth();

        /** NaN if there is no rival. */
        double denseSeconds(int m);

        String denseText();

        String denseName();

        @Override
        void close();
    }

    private Contender onCpu(LinearLayer layer, ByteBuffer a, ByteBuffer c, float[] weights, float[] activations) {
        DenseProduct dense = new DenseProduct(weights, k, n);
        float[] denseResults = new float[most() * n];
        return new Contender() {
            @Override
            public double seconds(int m) {
                return Stopwatch.median(() -> layer.multiply(type, a, m, c));
            }

            @Override
            public double readBandwidth() {
                return ReadBandwidth.measure(Runtime.getRuntime().availableProcessors());
            }

            @Override
            public double denseSeconds(int m) {
                return Stopwatch.median(() -> dense.multiply(activations, m, denseResults));
            }

            @Override
            public String denseText() {
                return "a plain loop over dense fp32 weights on the same processor, not a tuned library; bench can have OpenBLAS";
            }

            @Override
            public String denseName() {
                return "Java loop";
            }

            @Override
            public void close() {
            }
        };
    }

    private Contender onGpu(CudaDevice gpu, PackedWeights packed, QuantizedMatrix every, ByteBuffer a, Table table) {
        LaunchTimer timer = new LaunchTimer(gpu, packed, a, most());
        LaunchTimer all = sparse24 ? ofAll(gpu, every, a, timer) : null;
        return new Contender() {
            @Override
            public double seconds(int m) {
                LaunchTimer.Timing timing = timer.time(m);
                if (!timing.notCaptured().isEmpty()) {
                    table.fact("launched one by one", "not as a graph, for m = " + m + ": " + timing.notCaptured());
                }
                return timing.seconds();
            }

            @Override
            public double readBandwidth() {
                return Double.NaN;
            }

            @Override
            public double denseSeconds(int m) {
                return all == null ? Double.NaN : all.time(m).seconds();
            }

            @Override
            public String denseText() {
                return all == null ? "n/a: the demo does not load cuBLAS, the benchmarks do"
                        : "the same weights in 4 bits with their zeros, on the kernels for dense ones; bench --sparse24 has cuBLAS too";
            }

            @Override
            public String denseName() {
                return all == null ? "dense" : "all stored";
            }

            @Override
            public void close() {
                if (all != null) {
                    all.close();
                }
                timer.close();
            }
        };
    }

    /** Times the same product with every weight stored. */
    private LaunchTimer ofAll(CudaDevice gpu, QuantizedMatrix every, ByteBuffer a, LaunchTimer first) {
        try (PackedWeights dense = PackedWeights.pack(every, type)) {
            return new LaunchTimer(gpu, dense, a, most());
        } catch (RuntimeException e) {
            first.close();
            throw e;
        }
    }
}
