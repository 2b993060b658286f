package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.Operands;
import io.github.jmarlin.bench.WeightKind;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.LaunchTimer;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.plan.DeviceFacts;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.Kernels;
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
import java.util.TreeMap;
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
            description = "rows; a winner serves all m with the same m/8, rounded up, and is measured at the most of them; dense weights"
                    + " with cuBLAS serve all above, up to the next m measured (${DEFAULT-VALUE})")
    private List<Integer> rows;

    @Option(names = "--group", paramLabel = "G", defaultValue = "128",
            description = "group size; those that are whole blocks of 64 rows share their winners (${DEFAULT-VALUE})")
    private int groupSize;

    @Option(names = "--dtype", paramLabel = "TYPE", defaultValue = "fp16", converter = ComputeType.class,
            description = "fp16 or bf16 (${DEFAULT-VALUE})")
    private DataType type;

    @Option(names = "--zero-points", description = "weights with zero points")
    private boolean zeroPoints;

    @Option(names = "--weights", paramLabel = "KIND", description = "weights that are not 4-bit integers: sp24 (2:4 sparse), fz (float zeros), "
            + "i8 (8 bits), fp4 (4-bit floats)")
    private WeightKind kind;

    @Option(names = "--sparse24", description = "the same as --weights sp24")
    private boolean sparse24;

    @Option(names = "--dry-run", description = "measure and print, store nothing")
    private boolean dryRun;

    @Option(names = "--show", description = "measure nothing: print what is stored for the device")
    private boolean show;

    @Option(names = "--rate", split = ",", paramLabel = "NAME=VALUE",
            description = "measure nothing: store what the cost model shall count with on this device: rates, for instance"
                    + " LEAST_WGMMA_CLOCKS=21.5, or a kernel's clocks per block of 64 x 64 codes, for instance striped_sym_g64_m64_n256=310;"
                    + " a name that does not exist is answered with those that do")
    private Map<String, Double> rates = Map.of();

    @Option(names = "--store-stand-in", hidden = true, description = "store times that mean nothing: for this library's tests")
    private boolean storeStandIn;

    @Override
    public Integer call() throws IOException {
        ComputeDevice device = deviceOption.choose(spec).device();
        List<WeightShape> layers = layers();
        List<Integer> batches = batches();
        if (!(device instanceof CudaDevice gpu)) {
            throw bad("tune measures kernels of a GPU, and the device is " + device.name());
        }
        if (!rates.isEmpty() && (show || dryRun)) {
            throw bad("--rate with " + (show ? "--show" : "--dry-run") + ": it only stores");
        }
        DeviceFacts facts = gpu.facts();
        Path file = TuningFile.location(facts).orElseThrow(() -> bad("-Djmarlin.tuning=none: there is no file for winners"));
        if (!show && !dryRun && !storeStandIn && rates.isEmpty() && facts.isStandIn()) {
            throw bad("device " + facts.name() + ": times of a stand-in device mean nothing and are not stored;"
                    + " --dry-run prints them");
        }
        PrintWriter out = spec.commandLine().getOut();
        boolean right = true;
        if (show) {
            out.print(stored(facts, file, TuningFile.read(file, facts)));
        } else if (!rates.isEmpty()) {
            out.print(stored(facts, file, storeRates(facts, file)));
        } else {
            if (!dryRun) {
                CheckCommand.once(gpu, out);
            }
            right = measureAll(gpu, layers, batches, file, out);
        }
        out.flush();
        return right ? 0 : 1;
    }

    // ---- options ----

    private List<WeightShape> layers() {
        List<WeightShape> layers = new ArrayList<>();
        for (String shape : shapes) {
            Matcher match = SHAPE.matcher(shape);
            if (!match.matches()) {
                throw bad("--shape " + shape + ": must be KxN, for instance 4096x14336");
            }
            try {
                int k = Integer.parseInt(match.group(1));
                int n = Integer.parseInt(match.group(2));
                layers.add(new WeightShape(k, n, type, form()));
                if (Math.max(Math.max(k, MOST_ROWS) * (long) n, (long) k * MOST_ROWS) >= Integer.MAX_VALUE / 2) {
                    throw bad("--shape " + shape + ": a matrix of more than 2^30 elements");
                }
            } catch (IllegalArgumentException e) {
                throw bad("--shape " + shape + ": " + e.getMessage());
            }
        }
        return layers;
    }

    private WeightForm form() {
        WeightKind asked = kind == null && sparse24 ? WeightKind.SP24 : kind;
        if (asked != null && zeroPoints) {
            throw new IllegalArgumentException("--zero-points with --weights: 4-bit integers have them");
        }
        return asked == null ? WeightForm.int4(groupSize, zeroPoints) : asked.form(groupSize);
    }

    /** Of the rows that share a winner the most, for which it must be right too. */
    private List<Integer> batches() {
        Map<Integer, Integer> most = new TreeMap<>();
        for (int m : rows) {
            if (m < 1 || m > MOST_ROWS) {
                throw bad("--m " + m + ": must be in 1.." + MOST_ROWS);
            }
            most.merge((m + 7) / 8, m, Math::max);
        }
        return List.copyOf(most.values());
    }

    private ParameterException bad(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    // ---- measure ----

    /** Stores winners layer by layer, so that an interruption loses one; whether all answers were right. */
    private boolean measureAll(CudaDevice gpu, List<WeightShape> layers, List<Integer> batches, Path file, PrintWriter out)
            throws IOException {
        DeviceFacts facts = gpu.facts();
        // A file that cannot be read or written is an error before the measurement, not a loss after it.
        Tuning known = !dryRun ? TuningFile.update(file, facts, stored -> stored)
                : Files.exists(file) ? TuningFile.read(file, facts) : Tuning.NONE;
        Table table = Table.ofFigures().fact("device", facts.name())
                .fact("file", file + (dryRun ? ", not written: --dry-run" : ""));
        table.row("layer", "rows", "winner", "time", "predicted best", "gain", "candidates", "wrong");
        for (KernelFamily family : TuningCandidates.families(facts)) {
            layers.stream().map(WeightShape::kernels).distinct().map(set -> new Kernels(family, set)).forEach(kernels ->
                    whyNot(gpu, kernels).ifPresent(why -> table.fact("not measured", kernels + ": " + why)));
        }
        int wrong = 0;
        try (Progress progress = new Progress("tune", (long) layers.size() * batches.size() + 1)) {
            for (WeightShape layer : layers) {
                progress.begin("prepare " + layer);
                Map<Integer, TuneContest> contests = measure(gpu, layer, batches, known, progress);
                contests.forEach((m, contest) -> addRow(table, layer, m, contest));
                wrong += contests.values().stream().mapToInt(TuneContest::wrong).sum();
                if (!dryRun) {
                    TuningFile.update(file, facts, stored -> withWinners(stored, layer, contests));
                }
            }
        } finally {
            out.print(table);
            out.flush();
        }
        if (wrong > 0) {
            out.println("WRONG: kernels whose answers are not as accurate as they must be were left out. Please report this.");
        }
        return wrong == 0;
    }

    private Map<Integer, TuneContest> measure(CudaDevice gpu, WeightShape layer, List<Integer> batches, Tuning known,
            Progress progress) {
        int most = batches.get(batches.size() - 1);
        float[] activations = DemoLayer.activations(1, most, layer.k(), type);
        Map<Integer, TuneContest> contests = new TreeMap<>();
        try (QuantizedMatrix matrix = matrix(layer);
                PackedWeights packed = PackedWeights.pack(matrix, type);
                LaunchTimer timer = new LaunchTimer(gpu, packed, DemoLayer.encode(activations, type), most)) {
            double[] expected = ReferenceProduct.multiply(matrix, activations, most);
            for (int m : batches) {
                List<PlanOptions> candidates = TuningCandidates.of(gpu.facts(), layer, m, known).stream()
                        .filter(options -> whyNot(gpu, new Kernels(options.family().orElseThrow(), layer.kernels())).isEmpty()).toList();
                contests.put(m, TuneContest.of(timer, expected, layer, m, candidates));
                progress.step(layer + ", m " + m);
            }
        }
        return contests;
    }

    private QuantizedMatrix matrix(WeightShape layer) {
        return layer.kernels() != KernelSet.INT4 ? Operands.weights(new LayerShape("", layer.k(), layer.n()), layer.form(), type)
                : new RoundToNearest(groupSize, type, zeroPoints, false).quantize(DemoLayer.weights(1, layer.k(), layer.n()), layer.k(), layer.n());
    }

    /** Why some kernels are not measured: it cannot run, or it must not. */
    private static Optional<String> whyNot(CudaDevice gpu, Kernels kernels) {
        return gpu.missing(kernels).or(() -> gpu.checks().failure(kernels).map(why -> "failed this machine's check: " + why));
    }

    // ---- store ----

    /** Where all were wrong, a winner of earlier days is none any more. */
    private static Tuning withWinners(Tuning stored, WeightShape layer, Map<Integer, TuneContest> contests) {
        Tuning tuning = stored;
        for (Map.Entry<Integer, TuneContest> entry : contests.entrySet()) {
            Tuning.Product product = Tuning.Product.of(layer, entry.getKey());
            Optional<Tuning.Winner> winner = entry.getValue().winner();
            tuning = winner.isPresent() ? tuning.with(product, winner.get()) : tuning.without(product);
        }
        return tuning;
    }

    private Tuning storeRates(DeviceFacts facts, Path file) throws IOException {
        try {
            return TuningFile.update(file, facts, stored -> {
                Tuning tuning = stored;
                for (Map.Entry<String, Double> rate : rates.entrySet()) {
                    tuning = tuning.with(rate.getKey(), rate.getValue());
                }
                return tuning;
            });
        } catch (IllegalArgumentException e) {
            throw bad("--rate: " + e.getMessage());
        }
    }

    // ---- print ----

    private static void addRow(Table table, WeightShape layer, int m, TuneContest contest) {
        table.row(layer.k() + "x" + layer.n(), Integer.toString(m),
                contest.winner().map(winner -> TuneContest.text(winner.options())).orElse("none"),
                contest.winner().map(winner -> Figures.seconds(winner.seconds())).orElse("n/a"),
                contest.predicted().map(winner -> Figures.seconds(winner.seconds())).orElse("n/a"),
                contest.gain(), Integer.toString(contest.candidates()), Integer.toString(contest.wrong()));
        contest.notCaptured().forEach(candidate -> table.fact("launched one by one",
                "not as a graph, for " + layer.k() + "x" + layer.n() + ", m " + m + ": " + candidate));
    }

    private static Table stored(DeviceFacts device, Path file, Tuning tuning) {
        Table table = Table.ofFigures().fact("device", device.name()).fact("file", file.toString());
        tuning.rates().forEach((rate, value) -> table.fact(rate, Double.toString(value)));
        table.row("layer", "rows", "winner", "time");
        tuning.winners().forEach((product, winner) -> table.row(
                product.k() + "x" + product.n() + " " + product.type() + " " + product.weights(),
                Integer.toString(product.rows()), TuneContest.text(winner.options()), Figures.seconds(winner.seconds())));
        return table;
    }
}
