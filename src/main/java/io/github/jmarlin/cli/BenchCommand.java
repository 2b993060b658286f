package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DataType;
import io.github.jmarlin.DeviceChoice;
import io.github.jmarlin.bench.Arena;
import io.github.jmarlin.bench.Arenas;
import io.github.jmarlin.bench.BenchCase;
import io.github.jmarlin.bench.BenchPlan;
import io.github.jmarlin.bench.BenchRun;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.RunInfo;
import io.github.jmarlin.bench.TimingMode;
import io.github.jmarlin.bench.WeightKind;
import io.github.jmarlin.bench.decode.GenerationBench;
import io.github.jmarlin.bench.decode.GenerationFigures;
import io.github.jmarlin.bench.decode.SyntheticModel;
import io.github.jmarlin.bench.report.GenerationReport;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.Kernels;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** Measures this machine and writes a report. */
@Command(name = "bench", mixinStandardHelpOptions = true,
        description = "Measure JMarlin against cuBLAS on a GPU (on a CPU against OpenBLAS if it is there, else a plain Java loop) "
                + "and write a report: a table, JSON, CSV, charts and one HTML page.",
        exitCodeListHeading = "Exit codes:%n",
        exitCodeList = {"0:all answers are right", "1:an answer is wrong, or the run failed", "2:bad options"})
final class BenchCommand implements Callable<Integer> {
    private static final Pattern SHAPE = Pattern.compile("(\\d{1,6})x(\\d{1,6})");
    private static final int MOST_ROWS = 1 << 16;

    @Spec
    private CommandSpec spec;

    @Mixin
    private DeviceOption device;

    @Option(names = "--out", paramLabel = "FOLDER", defaultValue = "bench-results",
            description = "where results go (${DEFAULT-VALUE})")
    private Path folder;

    @Option(names = "--quick", description = "the square and two models' blocks only: under 3 minutes on a GPU")
    private boolean quick;

    @Option(names = "--all", description = "every shape in every variant; with --resume over several sessions")
    private boolean all;

    @Option(names = "--resume", description = "go on with an unfinished run in the same folder")
    private boolean resume;

    @Option(names = "--seconds", paramLabel = "N",
            description = "stop in good time before N seconds; the rest is left for --resume (160 with --quick, else 520)")
    private Integer seconds;

    @Option(names = "--report", description = "measure nothing: draw the report of what the folder holds again")
    private boolean reportOnly;

    @Option(names = "--lines", description = "say in a line which case begins, for logs: the last one is where a run ended that hung")
    private boolean lines;

    @Option(names = "--family", split = ",", paramLabel = "FAMILY", converter = Family.class,
            description = "of this library's kernels on a GPU these alone: striped, hopper, dense (besides its own choice all)")
    private Set<KernelFamily> families = Set.of();

    @Option(names = "--weights", split = ",", paramLabel = "KIND",
            description = "on a GPU also weights of these kinds in single layers, named after their kernels: sp24 (2:4 sparse), fz (float "
                    + "zeros), i8 (8 bits), fp4 (4-bit floats)")
    private List<WeightKind> kinds = List.of();

    @Option(names = "--sparse24", description = "the same as --weights sp24")
    private boolean sparse24;

    @ArgGroup(exclusive = false, heading = "Whole models instead of single layers:%n")
    private Generating generating;

    /** A question about tokens per second. */
    private static final class Generating {
        @Option(names = "--generate", required = true, description = "tokens per second of a decoder in 4 bits and on dense weights, at 1, "
                + "16 and 64 sequences: blocks in the shape of Llama-3.1 8B and 70B (--quick: 8B alone) with random weights, extrapolated")
        private boolean generate;

        @Option(names = "--model", paramLabel = "MODEL", description = "a model's folder or .gguf file instead, whole")
        private Path model;
    }

    @ArgGroup(exclusive = false, heading = "One shape instead of the list:%n")
    private OneShape oneShape;

    /** The modes that measure a GPU; the CPU's one is no choice. */
    private static final class GpuMode implements ITypeConverter<TimingMode> {
        @Override
        public TimingMode convert(String text) {
            return Arrays.stream(TimingMode.values())
                    .filter(mode -> mode != TimingMode.HOST && mode.key().equals(text.toLowerCase(Locale.ROOT))).findFirst()
                    .orElseThrow(() -> new TypeConversionException("must be graph, stream or flushed, not " + text));
        }
    }

    /** In small letters, as the files have them. */
    private static final class Family implements ITypeConverter<KernelFamily> {
        @Override
        public KernelFamily convert(String text) {
            return Arrays.stream(KernelFamily.values()).filter(family -> Kernels.of(family).toString().equals(text.toLowerCase(Locale.ROOT)))
                    .findFirst().orElseThrow(() -> new TypeConversionException("must be striped, hopper or dense, not " + text));
        }
    }

    /** A question about one shape. */
    private static final class OneShape {
        @Option(names = "--shape", paramLabel = "KxN", required = true,
                description = "in-features x out-features, for instance 4096x14336")
        private String size;

        @Option(names = "--m", split = ",", paramLabel = "M", description = "rows (1,16,64)")
        private List<Integer> batches;

        @Option(names = "--group", split = ",", paramLabel = "G", description = "group sizes (-1,128)")
        private List<Integer> groupSizes;

        @Option(names = "--type", paramLabel = "TYPE", converter = ComputeType.class,
                description = "fp16 or bf16 on a GPU (fp16); a CPU computes in fp32")
        private DataType type;

        @Option(names = "--mode", split = ",", paramLabel = "MODE", converter = GpuMode.class,
                description = "timing modes on a GPU (graph,stream,flushed)")
        private List<TimingMode> modes;

        @Option(names = "--every-kernel", description = "also time each of the GPU kernels, not only the one JMarlin chooses")
        private boolean everyKernel;
    }

    @Override
    public Integer call() throws IOException {
        if (quick && all) {
            throw new ParameterException(spec.commandLine(), "--quick and --all exclude each other");
        }
        if (seconds != null && seconds < 1) {
            throw new ParameterException(spec.commandLine(), "--seconds " + seconds + ": must be at least 1");
        }
        if (reportOnly) {
            return BenchRun.report(folder, System.out);
        }
        BenchRun.checkWritable(folder);
        DeviceChoice choice = device.choose(spec);
        if (generating != null) {
            return generate(choice);
        }
        if (!families.isEmpty() && choice.device().kind().equals("cpu")) {
            throw new ParameterException(spec.commandLine(), "--family is for the kernels of a GPU, and the device is " + choice.device().name());
        }
        if (!kinds().isEmpty() && choice.device().kind().equals("cpu")) {
            throw new ParameterException(spec.commandLine(), "--weights and --sparse24 are for the kernels of a GPU, and the device is "
                    + choice.device().name());
        }
        PrintWriter out = spec.commandLine().getOut();
        out.println("Measuring " + choice.device().name() + " (" + choice.reason() + ")");
        out.flush();
        if (families.isEmpty()) {
            CheckCommand.once(choice.device(), out);
        }
        Duration budget = Duration.ofSeconds(seconds != null ? seconds : quick ? 160 : 520);
        String commandLine = "jmarlin " + String.join(" ", spec.commandLine().getParent() == null ? List.of()
                : spec.commandLine().getParent().getParseResult().originalArgs());
        try (Arena arena = Arenas.of(choice); Bars bars = new Bars(lines ? out : null)) {
            return new BenchRun(new BenchRun.Settings(folder, budget, resume, commandLine), System.out)
                    .run(arena, plan(choice.device()).only(families).with(kinds()), bars);
        }
    }

    private int generate(DeviceChoice choice) throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        RunInfo info;
        try (Arena arena = Arenas.of(choice)) {
            info = arena.info();
        }
        GenerationBench bench = new GenerationBench(choice.device(), quick ? 1 : 3, text -> {
            if (lines) {
                out.println(text);
                out.flush();
            }
        });
        List<GenerationFigures> figures = new ArrayList<>();
        if (generating.model != null) {
            figures.addAll(bench.folder(generating.model));
        } else {
            figures.addAll(bench.synthetic(SyntheticModel.Shape.EIGHT_BILLION, 2));
            if (!quick) {
                figures.addAll(bench.synthetic(SyntheticModel.Shape.SEVENTY_BILLION, 1));
            }
        }
        out.print(GenerationReport.table(info, figures));
        out.println(GenerationReport.write(info, figures, folder));
        out.println("Results in " + folder.resolve(GenerationReport.JSON) + " and " + GenerationReport.PAGE);
        out.flush();
        return figures.stream().anyMatch(GenerationFigures::isWrong) ? 1 : 0;
    }

    private BenchPlan plan(ComputeDevice measured) {
        boolean cpu = measured.kind().equals("cpu");
        if (oneShape != null) {
            DataType type = cpu ? DataType.FP32 : or(oneShape.type, DataType.FP16);
            List<TimingMode> modes = cpu ? List.of(TimingMode.HOST)
                    : or(oneShape.modes, List.of(TimingMode.GRAPH, TimingMode.STREAM, TimingMode.FLUSHED));
            return BenchPlan.of(shape(), batches(), type, modes, or(oneShape.groupSizes, List.of(-1, 128)), oneShape.everyKernel);
        }
        BenchPlan.Extent extent = quick ? BenchPlan.Extent.QUICK : all ? BenchPlan.Extent.ALL : BenchPlan.Extent.FULL;
        return cpu ? BenchPlan.cpu(extent) : BenchPlan.gpu(extent);
    }

    private List<WeightKind> kinds() {
        return sparse24 && !kinds.contains(WeightKind.SP24)
                ? Stream.concat(Stream.of(WeightKind.SP24), kinds.stream()).toList() : kinds;
    }

    private static <T> T or(T given, T otherwise) {
        return given != null ? given : otherwise;
    }

    private LayerShape shape() {
        Matcher match = SHAPE.matcher(oneShape.size);
        if (!match.matches()) {
            throw new ParameterException(spec.commandLine(), "--shape " + oneShape.size
                    + ": must be KxN, for instance 4096x14336");
        }
        try {
            return new LayerShape("", Integer.parseInt(match.group(1)), Integer.parseInt(match.group(2)));
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), "--shape " + oneShape.size + ": " + e.getMessage(), e);
        }
    }

    private int[] batches() {
        List<Integer> batches = or(oneShape.batches, List.of(1, 16, 64));
        for (int m : batches) {
            if (m < 1 || m > MOST_ROWS) {
                throw new ParameterException(spec.commandLine(), "--m " + m + ": must be in 1.." + MOST_ROWS);
            }
        }
        return batches.stream().mapToInt(m -> m).toArray();
    }

    /** The terminal's progress bar, or lines. */
    private static final class Bars implements BenchRun.Progress, AutoCloseable {
        private final PrintWriter lines;
        private Progress progress;

        Bars(PrintWriter lines) {
            this.lines = lines;
        }

        @Override
        public void begins(BenchCase benchCase, int index, int count, Duration left) {
            String text = benchCase.text() + ", at most " + left.toSeconds() + " s left";
            if (lines != null) {
                lines.println((index + 1) + " of " + count + ": " + text);
                lines.flush();
            } else if (progress == null) {
                progress = new Progress("bench", count);
                progress.begin(text);
            } else {
                progress.step(text);
            }
        }

        @Override
        public void close() {
            if (progress != null) {
                progress.close();
                progress = null;
            }
        }
    }
}
