package io.github.jmarlin.bench.report;

import io.github.jmarlin.DataType;
import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.bench.Figures;
import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.ModelShapes;
import io.github.jmarlin.bench.Results;
import io.github.jmarlin.bench.ResultsFiles;
import io.github.jmarlin.bench.Subject;
import io.github.jmarlin.bench.TimingMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.StringJoiner;
import java.util.stream.Stream;

/**
 * The README's table of speeds, made from docs/results and nothing else: {@code main} replaces what stands between the two marks,
 * a test fails if it differs. What was not measured is said to be so.
 */
public final class ReadmeTable {
    /** The line before the table. */
    public static final String BEGIN = "<!-- results: written by io.github.jmarlin.bench.report.ReadmeTable from docs/results -->";
    /** The line after the table. */
    public static final String END = "<!-- end of results -->";

    private static final int[] BATCHES = {1, 16, 32, 64, 128, 1024};
    private static final DataType TYPE = DataType.FP16;
    private static final int[] GROUP_SIZES = {-1, 128};
    private static final String NOT_MEASURED = "not yet measured";

    private ReadmeTable() {
    }

    /** Rewrites the table in a README; the arguments are the README and the folder of results. */
    public static void main(String[] args) throws IOException {
        if (args.length != 2) {
            throw new IllegalArgumentException("expected: README.md RESULTS_FOLDER, got " + args.length + " arguments");
        }
        Path readme = Path.of(args[0]);
        Files.writeString(readme, updated(Files.readString(readme), readme.toAbsolutePath().getParent(), Path.of(args[1])));
    }

    /** The README's text with the table as the results say it. */
    static String updated(String readme, Path root, Path resultsFolder) throws IOException {
        int begin = readme.indexOf(BEGIN);
        int end = readme.indexOf(END);
        if (begin < 0 || end < begin) {
            throw new IllegalArgumentException("the README lacks the lines\n" + BEGIN + "\n" + END);
        }
        return readme.substring(0, begin) + BEGIN + "\n" + of(root, resultsFolder) + readme.substring(end);
    }

    /** The table for all results of real GPUs below a folder. */
    static String of(Path root, Path resultsFolder) throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.walk(resultsFolder)) {
            files = all.filter(file -> file.getFileName().toString().equals(ResultsFiles.JSON)).sorted().toList();
        }
        StringJoiner tables = new StringJoiner("\n");
        for (Path file : files) {
            Results results = ResultsFiles.read(file);
            if (!results.run().standIn() && results.run().cuda() != null) {
                String link = root.toAbsolutePath().relativize(file.toAbsolutePath()).toString().replace('\\', '/');
                tables.add("\n" + results.run().device() + " ([" + link + "](" + link + "), commit " + results.run().commit()
                        + "), n = k = 8192, "
                        + Format.type(TYPE) + ":\n\n"
                        + table(results));
            }
        }
        return tables.length() > 0 ? tables.toString() : "Speed on a GPU: **not yet measured**.\n";
    }

    private static String table(Results results) {
        List<String> header = new ArrayList<>(List.of("m"));
        for (int groupSize : GROUP_SIZES) {
            header.add(Format.group(groupSize) + ": us in a graph");
            header.add("over cuBLAS");
            header.add("ideal");
            header.add("flushed launch, over cuBLAS");
        }
        StringBuilder table = new StringBuilder(line(header)).append(line(header.stream().map(h -> "---:").toList()));
        for (int m : BATCHES) {
            List<String> cells = new ArrayList<>(List.of(String.valueOf(m)));
            for (int groupSize : GROUP_SIZES) {
                Figures graph = figures(results, m, groupSize, TimingMode.GRAPH);
                cells.add(measured(find(results, m, groupSize, TimingMode.GRAPH).map(r -> Format.number(r.micros().median()))));
                cells.add(measured(Optional.ofNullable(graph.speedup()).map(Format::times)));
                cells.add(measured(Optional.ofNullable(graph.idealSpeedup()).map(Format::times)));
                cells.add(measured(Optional.ofNullable(figures(results, m, groupSize, TimingMode.FLUSHED).speedup())
                        .map(Format::times)));
            }
            table.append(line(cells));
        }
        return table.toString();
    }

    private static Figures figures(Results results, int m, int groupSize, TimingMode mode) {
        return find(results, m, groupSize, mode).map(results::figures).orElse(Figures.NONE);
    }

    private static Optional<Measurement> find(Results results, int m, int groupSize, TimingMode mode) {
        Subject square = Subject.layer(ModelShapes.SQUARE, m, TYPE);
        return results.find(square, mode, Contenders.JMARLIN, groupSize).filter(Measurement::counts);
    }

    private static String measured(Optional<String> figure) {
        return figure.orElse(NOT_MEASURED);
    }

    private static String line(List<String> cells) {
        return "| " + String.join(" | ", cells) + " |\n";
    }
}
