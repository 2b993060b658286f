package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DataType;
import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.LaunchTimer;
import io.github.jmarlin.plan.DeviceFacts;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.Tuning;
import io.github.jmarlin.plan.TuningCandidates;
import io.github.jmarlin.plan.TuningFile;
import io.github.jmarlin.plan.WeightShape;
import io.github.jmarlin.quantize.RoundToNearest;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Measures which kernels are fastest on this machine's GPU, and stores that where the library looks. */
@Command(name = "tune", mixinStandardHelpOptions = true,
        description = "Measure every kernel that fits a layer on this GPU and store the fastest, for the library to use from "
                + "then on: in the file that -Djmarlin.tuning=FILE names, else in .jmarlin/tuning of your home folder.",
        exitCodeListHeading = "Exit codes:%n",
        exitCodeList = {"0:done", "1:failed, or a kernel's answer is wrong", "2:bad options"})
final class TuneCommand implements Callable<Integer> {
    /** Less than this is no difference between two measurements. */
    private static final double NOISE = 0.01;
    /** A row of a small layer scatters more than the bound, which is for large ones; a broken kernel is off by far more. */
    private static final double SCATTER = 2;
    private static final int MOST_ROWS = 1024;
    private static final Pattern SHAPE = Pattern.compile("(\\d{1,6})x(\\d{1,6})");

    @Spec
    private CommandSpec spec;

    @Mixin
    private DeviceOption deviceOption;

    @Option(names = "--shape", split = ",", paramLabel = "KxN", defaultValue = "4096x6144,4096x4096,4096x28672,14336x4096",
            description = "in-features x out-features of the layers (those of Llama-3.1 8B: ${DEFAULT-VALUE})")
    private List<String> shapes;

    @Option(names = "--m", split = ",", paramLabel = "M", defaultValue = "8,16,24,32,48,64,128,256",
            description = "rows; a winner serves all m with the same m/8, rounded up, and dense weights with cuBLAS all above, up to"
                    + " the next m measured (${DEFAULT-VALUE})")
    private List<Integer> batches;

    @Option(names = "--group", paramLabel = "G", defaultValue = "128",
            description = "group size; all but 32 share their winners (${DEFAULT-VALUE})")
    private int groupSize;

    @Option(names = "--dtype", paramLabel = "TYPE", defaultValue = "FP16", description = "fp16 or bf16 (${DEFAULT-VALUE})")
    private DataType type;

    @Option(names = "--zero-points", description = "weights with zero points")
    private boolean zeroPoints;

    @Option(names = "--dry-run", description = "measure and print, store nothing")
    private boolean dryRun;

    @Option(names = "--show", description = "measure nothing: print what is stored for the device")
    private boolean show;

    /** Why dense weights and cuBLAS are no candidate; empty if they are. */
    private Optional<String> noDense = Optional.empty();

    @Override
    public Integer call() throws IOException {
        ComputeDevice device = deviceOption.choose(spec).device();
        List<WeightShape> layers = layers();
        if (!(device instanceof CudaDevice gpu)) {
            throw bad("tune measures kernels of a GPU, and the device is " + device.name());
        }
        DeviceFacts facts = gpu.facts();
        Path file = TuningFile.location(facts).orElseThrow(() -> bad("-Djmarlin.tuning=none: there is no file for winners"));
        PrintWriter out = spec.commandLine().getOut();
        if (show) {
            out.print(table(facts, file, TuningFile.read(file, facts)));
            out.flush();
            return 0;
        }
        if (!dryRun && facts.name().startsWith("Emulated")) {
            throw bad("device " + facts.name() + ": times of an emulated device mean nothing and are not stored;"
                    + " --dry-run prints them");
        }
        // A file that cannot be read is an error before the measurement, not a loss after it.
        Tuning tuning = Files.exists(file) ? TuningFile.read(file, facts) : Tuning.NONE;
        Table table = Table.ofFigures().fact("device", facts.name())
                .fact("file", file + (dryRun ? ", not written: --dry-run" : ""));
        table.row("layer", "rows", "winner", "time", "predicted best", "gain", "candidates", "wrong");
        noDense = gpu.missingDense();
        noDense.ifPresent(why -> table.fact("not measured", "dense weights and cuBLAS: " + why));
        boolean right = true;
        try (Progress progress = new Progress("tune", (long) layers.size() * batches.size() + 1)) {
            for (WeightShape layer : layers) {
                progress.begin("prepare " + layer);
                Measured measured = measure(gpu, layer, table, progress);
                for (Map.Entry<Tuning.Product, Tuning.Winner> entry : measured.winners) {
                    tuning = tuning.with(entry.getKey(), entry.getValue());
                }
                right &= measured.right;
                if (!dryRun) {
                    TuningFile.write(file, facts, tuning);      // layer by layer: an interruption loses one
                }
            }
        }
        out.print(table);
        if (!right) {
            out.println("WRONG: kernels whose answers are not as accurate as they must be were left out. Please report this.");
        }
        out.flush();
        return right ? 0 : 1;
    }

    // ---- options ----

    private List<WeightShape> layers() {
        for (int m : batches) {
            if (m < 1 || m > MOST_ROWS) {
                throw bad("--m " + m + ": must be in 1.." + MOST_ROWS);
            }
        }
        List<WeightShape> layers = new ArrayList<>();
        for (String shape : shapes) {
            Matcher match = SHAPE.matcher(shape);
            if (!match.matches()) {
                throw bad("--shape " + shape + ": must be KxN, for instance 4096x14336");
            }
            try {
                int k = Integer.parseInt(match.group(1));
                int n = Integer.parseInt(match.group(2));
                layers.add(new WeightShape(k, n, groupSize, type, zeroPoints));
                if (Math.max(Math.max(k, MOST_ROWS) * (long) n, (long) k * MOST_ROWS) >= Integer.MAX_VALUE / 2) {
                    throw bad("--shape " + shape + ": a matrix of more than 2^30 elements");
                }
            } catch (IllegalArgumentException e) {
                throw bad("--shape " + shape + ": " + e.getMessage());
            }
        }
        return layers;
    }

    private ParameterException bad(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    // ---- measure ----

    /** Winners of one layer, and whether every answer was right. */
    private record Measured(List<Map.Entry<Tuning.Product, Tuning.Winner>> winners, boolean right) {
    }

    private Measured measure(CudaDevice gpu, WeightShape layer, Table table, Progress progress) {
        int most = batches.stream().mapToInt(m -> m).max().orElseThrow();
        float[] activations = DemoLayer.activations(1, most, layer.k(), type);
        RoundToNearest quantizer = new RoundToNearest(groupSize, type, zeroPoints, false);
        List<Map.Entry<Tuning.Product, Tuning.Winner>> winners = new ArrayList<>();
        boolean right = true;
        try (QuantizedMatrix matrix = quantizer.quantize(DemoLayer.weights(1, layer.k(), layer.n()), layer.k(), layer.n());
                PackedWeights packed = PackedWeights.pack(matrix, type);
                LaunchTimer timer = new LaunchTimer(gpu, packed, DemoLayer.encode(activations, type), most)) {
            double[] expected = ReferenceProduct.multiply(matrix, activations, most);
            for (int m : batches) {
                Contest contest = new Contest(timer, expected, layer, m);
                TuningCandidates.of(gpu.facts(), layer, m).forEach(contest::enter);
                if (noDense.isEmpty()) {
                    contest.enter(PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE));
                }
                right &= contest.wrong == 0;
                contest.decide().ifPresent(winner -> winners.add(Map.entry(Tuning.Product.of(layer, m), winner)));
                contest.print(layer, table);
                progress.step(layer + ", m " + m);
            }
        }
        return new Measured(winners, right);
    }

    /** Candidates for one product, the planner's own choice first. */
    private final class Contest {
        private final LaunchTimer timer;
        private final double[] expected;
        private final int m;
        private final int elements;
        private Tuning.Winner predicted;
        private Tuning.Winner fastest;
        private int candidates;
        private int wrong;

        Contest(LaunchTimer timer, double[] expected, WeightShape layer, int m) {
            this.timer = timer;
            this.expected = expected;
            this.m = m;
            elements = m * layer.n();
        }

        void enter(PlanOptions options) {
            double error;
            try {
                error = DemoLayer.relativeError(timer.product(m, options), type, expected, elements);
            } catch (KernelImageException e) {
                if (options.family() == KernelFamily.HOPPER) {
                    return;         // this library came without that family
                }
                throw e;
            }
            candidates++;
            if (!(error <= SCATTER * ErrorBound.of(type, zeroPoints))) {
                wrong++;
                return;
            }
            Tuning.Winner winner = timed(options);
            predicted = candidates == 1 ? winner : predicted;
            fastest = fastest == null || winner.seconds() < fastest.seconds() ? winner : fastest;
        }

        private Tuning.Winner timed(PlanOptions options) {
            return new Tuning.Winner(options, timer.seconds(m, options));
        }

        /** The fastest, unless the planner's own choice is as good when both are timed again; empty if all were wrong. */
        Optional<Tuning.Winner> decide() {
            if (predicted != null && predicted != fastest) {
                predicted = timed(predicted.options());
                fastest = timed(fastest.options());
                fastest = predicted.seconds() <= fastest.seconds() * (1 + NOISE) ? predicted : fastest;
            }
            return Optional.ofNullable(fastest);
        }

        void print(WeightShape layer, Table table) {
            table.row(layer.k() + "x" + layer.n(), Integer.toString(m), fastest == null ? "none" : text(fastest.options()),
                    fastest == null ? "n/a" : Figures.seconds(fastest.seconds()),
                    predicted == null ? "n/a" : Figures.seconds(predicted.seconds()),
                    predicted == null ? "n/a" : Figures.format("%.2fx", predicted.seconds() / fastest.seconds()),
                    Integer.toString(candidates), Integer.toString(wrong));
        }
    }

    // ---- print ----

    private static Table table(DeviceFacts device, Path file, Tuning tuning) {
        Table table = Table.ofFigures().fact("device", device.name()).fact("file", file.toString());
        table.row("layer", "rows", "winner", "time");
        tuning.winners().forEach((product, winner) -> table.row(
                product.k() + "x" + product.n() + " " + product.type()
                        + (product.groupOf32() ? ", groups of 32" : ", larger groups")
                        + (product.zeroPoints() ? ", zero points" : ""),
                Integer.toString(product.rows()), text(winner.options()), Figures.seconds(winner.seconds())));
        return table;
    }

    private static String text(PlanOptions options) {
        if (options.family() == KernelFamily.DENSE) {
            return "dense weights, cuBLAS";
        }
        String tile = options.family() == KernelFamily.HOPPER ? "hopper " + options.hopperTile().get()
                : "striped " + options.tile().get();
        return tile + (options.grid() > 0 ? ", " + options.grid() + " blocks" : "")
                + (options.stages() > 0 ? ", " + options.stages() + " stages" : "");
    }
}
