package io.github.jmarlin.bench.report;

import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.bench.Journal;
import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.Results;
import io.github.jmarlin.bench.ResultsFiles;
import io.github.jmarlin.bench.Subject;
import io.github.jmarlin.bench.TimingMode;
import io.github.jmarlin.plan.KernelFamily;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.StringJoiner;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * One page on a run of the GPU bundle's parts: for each family of kernels whether it is right, its fastest tile and the speedup over
 * cuBLAS, and what was not reached. Made from whatever the parts left, however they ended.
 *
 * <p>In the folder: {@code run.txt} (the page's first lines), {@code parts.txt} (name, how it ended and seconds of each part, between
 * tabulators), {@code PART.log}, and folders of {@code jmarlin bench}. Those that a bench could not finish get their report here.
 */
public final class RunSummary {
    private static final List<String> BENCHES = List.of("bench_striped", "bench_hopper", "bench");
    private static final Pattern SMOKE_END = Pattern.compile("(\\d+) products, (\\d+) wrong");
    private static final Pattern TILE_BEGUN = Pattern.compile("(\\w+_m\\d+_n\\d+\\w*): ");
    private static final Pattern TILE_ENDED = Pattern.compile(TILE_BEGUN + "\\d+ right.*");
    private static final Pattern TESTS = Pattern.compile("\\[ +(\\d+ tests (?:successful|failed|skipped)) +\\]");
    private static final Pattern STACK = Pattern.compile("\\s+(at |\\.\\.\\. \\d|Suppressed: )");
    private static final int MOST_WRONG_LINES = 3;
    private static final int WIDTH = 150;

    private final Path folder;
    private final List<String> rows;
    private final Map<String, String> parts = new LinkedHashMap<>();
    private final List<Measurement> products = new ArrayList<>();
    private final Map<Measurement, Results> origins = new LinkedHashMap<>();
    private final StringJoiner page = new StringJoiner("\n", "", "\n");

    private RunSummary(Path folder, List<String> rows) throws IOException {
        this.folder = folder;
        this.rows = rows;
        for (String line : lines("parts.txt")) {
            String[] cells = line.split("\t");
            parts.put(cells[0], cells[1]);
        }
        for (String bench : BENCHES) {
            Optional<Results> results = Journal.read(folder.resolve(bench));
            if (results.isPresent()) {
                if (!Files.exists(folder.resolve(bench).resolve(ResultsFiles.CSV))) {
                    Report.write(results.get(), folder.resolve(bench));
                }
                results.get().of(Subject.Kind.LAYER).forEach(m -> {
                    products.add(m);
                    origins.put(m, results.get());
                });
            }
        }
    }

    /**
     * Prints the page for the folder that is the first argument; the second has the m that every family was to be timed at, with
     * commas, or nothing.
     */
    public static void main(String[] args) throws IOException {
        if (args.length != 2) {
            throw new IllegalArgumentException("expected: FOLDER M,M,..., got " + args.length + " arguments");
        }
        System.out.print(of(Path.of(args[0]), args[1]));
    }

    /** The page. */
    static String of(Path folder, String rows) throws IOException {
        return new RunSummary(folder, Stream.of(rows.split(",")).filter(m -> !m.isBlank()).toList()).write();
    }

    private String write() throws IOException {
        lines("run.txt").forEach(page::add);
        device().ifPresent(page::add);
        for (KernelFamily family : KernelFamily.values()) {
            family(family);
        }
        ownChoice();
        List<String> rates = lines("rates.log").stream().filter(line -> line.contains("stored")).toList();
        if (!rates.isEmpty()) {
            page.add("");
            page.add("rates of the probe, for the cost model: " + String.join(", ", rates));
        }
        page.add("");
        page.add("parts");
        for (Map.Entry<String, String> part : parts.entrySet()) {
            page.add(String.format(Locale.ROOT, "  %-16s %s%s", part.getKey(), part.getValue(), lastWords(part.getKey(), part.getValue())));
        }
        return page.toString();
    }

    private Optional<String> device() throws IOException {
        Optional<Results> any = origins.values().stream().findFirst();
        return any.isPresent() ? any.map(TextTable::caption)
                : lines("info.log").stream().filter(line -> line.contains("(compute capability")).map(String::strip).findFirst();
    }

    // ---- a family ----

    private void family(KernelFamily family) throws IOException {
        String name = name(family);
        List<String> smoke = lines("smoke_" + name + ".log");
        List<Measurement> timed = products.stream().filter(m -> of(m.contender()).equals(Optional.of(family))).toList();
        List<Measurement> wrong = timed.stream().filter(m -> m.status() == Measurement.Status.WRONG).toList();
        List<String> wrongInSmoke = smoke.stream().filter(line -> line.startsWith("WRONG")).toList();
        Optional<String> check = checked(name);
        page.add("");
        page.add(name.toUpperCase(Locale.ROOT) + ": " + (wrong.isEmpty() && wrongInSmoke.isEmpty() ? "" : "WRONG; ")
                + (check.filter(text -> text.startsWith("failed")).isPresent() ? "FAILED in jmarlin check; " : "")
                + verdict(smoke, name, timed, check.filter(text -> text.startsWith("passed")).isPresent()));
        wrongInSmoke.stream().limit(MOST_WRONG_LINES).forEach(line -> page.add("  " + cut(line)));
        wrong.stream().limit(MOST_WRONG_LINES).forEach(m -> page.add("  " + cut("WRONG " + Format.subject(m.subject()) + ", m " + m.subject().m()
                + ", " + Format.contender(m) + ": " + m.note())));
        check.ifPresent(text -> page.add("  jmarlin check: " + cut(text)));
        fastest(timed);
        List<String> missing = rows.stream().filter(m -> timed.stream().noneMatch(each -> m.equals("" + each.subject().m()))).toList();
        if (!missing.isEmpty()) {
            page.add("  not timed: m " + String.join(", ", missing));
        }
    }

    /** Whether it is right, as far as the smoke test, the times and the check go. */
    private String verdict(List<String> smoke, String name, List<Measurement> timed, boolean checked) {
        String part = parts.getOrDefault("smoke_" + name, "");
        Optional<Matcher> end = smoke.stream().map(SMOKE_END::matcher).filter(Matcher::matches).reduce((first, second) -> second);
        long right = timed.stream().filter(Measurement::counts).count();
        if (end.isPresent()) {
            String bench = parts.getOrDefault("bench_" + name, "");
            return (isBad(bench) ? "bench_" + name + " " + bench + "; " : end.get().group(2).equals("0") ? "RIGHT: " : "")
                    + end.get().group(1) + " products in the smoke test, " + end.get().group(2) + " wrong";
        }
        if (isBad(part)) {
            long through = smoke.stream().filter(line -> TILE_ENDED.matcher(line).matches()).count();
            return "NOT SHOWN TO BE RIGHT: the smoke test " + part + "; tiles that came through: " + through
                    + begun(smoke).map(tile -> ", in " + tile).orElse("");
        }
        if (right > 0) {
            return "RIGHT in the products that were timed: " + right;
        }
        if (checked) {
            return "RIGHT in jmarlin check";
        }
        return "NOT KNOWN" + (part.isEmpty() ? ": not reached" : ", " + part.replaceFirst("^none: ", ""));
    }

    /** The tile that a smoke test was at when it ended. */
    private static Optional<String> begun(List<String> smoke) {
        return smoke.stream().filter(line -> !TILE_ENDED.matcher(line).matches()).map(TILE_BEGUN::matcher)
                .filter(Matcher::lookingAt).map(m -> m.group(1)).reduce((first, second) -> second);
    }

    /** A line for each product: the fastest tile, and what the planner chose. */
    private void fastest(List<Measurement> timed) {
        Map<String, List<Measurement>> byProduct = new LinkedHashMap<>();
        timed.stream().filter(m -> m.mode() == TimingMode.GRAPH).sorted(Comparator.comparingInt(m -> m.subject().m()))
                .forEach(m -> byProduct.computeIfAbsent(product(m), text -> new ArrayList<>()).add(m));
        byProduct.forEach((product, all) -> {
            Optional<Measurement> best = all.stream().filter(Measurement::counts).min(Comparator.comparingDouble(m -> m.micros().median()));
            page.add("  " + product + ": " + best.map(m -> "fastest " + m.contender() + ", " + figures(m))
                    .orElse(cut("no time: " + all.get(0).note())));
        });
    }

    private static String product(Measurement m) {
        return Format.subject(m.subject()) + " " + Format.type(m.subject().type()) + " " + Format.group(m.groupSize()) + ", m " + m.subject().m();
    }

    /** Of a stand-in no time is stated. */
    private String figures(Measurement m) {
        Results results = origins.get(m);
        if (results.run().standIn()) {
            return "no times of a stand-in";
        }
        Double speedup = results.figures(m).speedup();
        return Format.number(m.micros().median()) + " us, " + (speedup == null ? "cuBLAS was not timed" : Format.times(speedup) + " cuBLAS");
    }

    /** What the library chooses by itself, where that was timed. */
    private void ownChoice() {
        List<Measurement> own = products.stream().filter(m -> m.contender().equals(Contenders.JMARLIN)).toList();
        if (!own.isEmpty()) {
            page.add("");
            page.add("THE LIBRARY'S OWN CHOICE");
            fastest(own);
        }
    }

    private static Optional<KernelFamily> of(String contender) {
        if (contender.equals(Contenders.DEQUANTIZE_CUBLAS)) {
            return Optional.of(KernelFamily.DENSE);
        }
        if (contender.startsWith(Contenders.JMARLIN_HOPPER)) {
            return Optional.of(KernelFamily.HOPPER);
        }
        return contender.startsWith(Contenders.JMARLIN_STRIPED) || contender.matches("jmarlin \\d+x\\d+.*") ? Optional.of(KernelFamily.STRIPED)
                : Optional.empty();
    }

    // ---- what the parts left ----

    /** Outcome and words of a family's row in the table of {@code jmarlin check}. */
    private Optional<String> checked(String name) throws IOException {
        Pattern row = Pattern.compile("\\| " + name + " +(\\w+) +(.*?) *\\|");
        return lines("kernels.log").stream().map(row::matcher).filter(Matcher::matches).map(m -> m.group(1) + ", " + m.group(2)).findFirst();
    }

    /** What a part said in the end if it ended badly, and what came of tests in any case. */
    private String lastWords(String part, String outcome) throws IOException {
        String tests = lines(part + ".log").stream().map(TESTS::matcher).filter(Matcher::matches).map(m -> m.group(1))
                .filter(text -> !text.startsWith("0 ")).collect(Collectors.joining(", "));
        if (!tests.isEmpty()) {
            return ": " + tests;
        }
        if (!isBad(outcome)) {
            return "";
        }
        return lines(part + ".log").stream().filter(line -> !line.isBlank() && !STACK.matcher(line).lookingAt()).reduce((first, second) -> second)
                .map(line -> "; last line: " + cut(line.strip())).orElse("; it said nothing");
    }

    private static boolean isBad(String outcome) {
        return outcome.startsWith("TIMED OUT") || outcome.startsWith("FAILED");
    }

    private static String name(KernelFamily family) {
        return family.name().toLowerCase(Locale.ROOT);
    }

    private static String cut(String text) {
        return text.length() <= WIDTH ? text : text.substring(0, WIDTH) + " ...";
    }

    /** None if there is no such file: the part was not reached. Bytes that are no text do not matter here. */
    private List<String> lines(String file) throws IOException {
        Path path = folder.resolve(file);
        return Files.exists(path) ? new String(Files.readAllBytes(path), StandardCharsets.UTF_8).lines().toList() : List.of();
    }
}
