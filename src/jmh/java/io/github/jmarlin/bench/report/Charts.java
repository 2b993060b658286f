package io.github.jmarlin.bench.report;

import io.github.jmarlin.DataType;
import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.bench.Figures;
import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.Results;
import io.github.jmarlin.bench.Subject;
import io.github.jmarlin.bench.TimingMode;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Decides which charts the results are good for: speedup over m and share of the copy bandwidth over m for every shape, type and
 * mode with several m, and bars for the blocks of models. Nothing is drawn from a stand-in device.
 */
final class Charts {
    private final Results results;

    private Charts(Results results) {
        this.results = results;
    }

    /** What a line or bar series shows: a value per category, null where there is none. */
    record Series(String name, Role role, List<Double> values) {
        boolean isIdeal() {
            return role == Role.IDEAL;
        }

        boolean isBaseline() {
            return role == Role.BASELINE;
        }
    }

    /** What a series stands for. */
    enum Role { MEASURED, BASELINE, IDEAL }

    /**
     * A picture to be drawn.
     *
     * @param file its name without an ending
     * @param title of the picture
     * @param xTitle what the categories are
     * @param yTitle what the values are
     * @param categories along x
     * @param series at least one
     * @param bars whether bars stand for values, otherwise lines
     */
    record Plot(String file, String title, String xTitle, String yTitle, List<String> categories, List<Series> series,
            boolean bars) {
    }

    /** One curve's identity. */
    private record Line(String contender, int groupSize) {
    }

    /** What all points of one line chart share. */
    private record Panel(String name, int k, int n, DataType type, TimingMode mode) {
        static Panel of(Measurement m) {
            return new Panel(m.subject().name(), m.subject().k(), m.subject().n(), m.subject().type(), m.mode());
        }

        String file() {
            return k + "x" + n + "-" + Format.type(type) + "-" + mode.key();
        }

        String title() {
            return (name.isEmpty() ? "" : name + ", ") + k + "x" + n + ", " + Format.type(type) + ", " + mode.text();
        }
    }

    static List<Plot> of(Results results) {
        List<Plot> plots = new ArrayList<>();
        if (!results.run().standIn()) {
            Charts charts = new Charts(results);
            charts.addLines(plots);
            charts.addBlocks(plots);
        }
        return plots;
    }

    private void addLines(List<Plot> plots) {
        Map<Panel, List<Measurement>> panels = results.of(Subject.Kind.LAYER).stream().filter(Measurement::counts)
                .collect(Collectors.groupingBy(Panel::of, LinkedHashMap::new, Collectors.toList()));
        panels.forEach((panel, points) -> {
            TreeSet<Integer> batches = points.stream().map(p -> p.subject().m()).collect(Collectors.toCollection(TreeSet::new));
            if (batches.size() < 2) {
                return;
            }
            List<Series> speedups = lines(points, batches, Figures::speedup, false);
            speedups.removeIf(Series::isBaseline);
            speedups.addAll(lines(points, batches, Figures::idealSpeedup, true));
            String over = "speedup over " + Format.baseline(results, points.get(0));
            addPlot(plots, new Plot("speedup-" + panel.file(), panel.title(), "m (tokens)", over, text(batches), speedups,
                    false));
            addPlot(plots, new Plot("bandwidth-" + panel.file(), panel.title(), "m (tokens)", "% of the copy's bandwidth",
                    text(batches), lines(points, batches, Figures::percentOfCopy, false), false));
        });
    }

    /** A series per contender; the ideal ones are drawn for JMarlin's weights only. */
    private List<Series> lines(List<Measurement> points, TreeSet<Integer> batches, Function<Figures, Double> figure,
    boolean ideal) {
        Map<Line, List<Measurement>> byLine = points.stream().filter(p -> !ideal || isPlain(p))
                .sorted(Comparator.comparing(p -> !isPlain(p)))
                .collect(Collectors.groupingBy(p -> new Line(p.contender(), p.groupSize()), LinkedHashMap::new,
                Collectors.toList()));
        List<Series> series = new ArrayList<>();
        byLine.forEach((line, its) -> {
            Map<Integer, Double> values = new LinkedHashMap<>();
            its.forEach(p -> values.put(p.subject().m(), figure.apply(results.figures(p))));
            String name = ideal ? "ideal" + (line.groupSize() == 0 ? "" : " " + Format.group(line.groupSize()))
                    : Format.contender(its.get(0));
            boolean baseline = Contenders.baselines(its.get(0).mode()).contains(line.contender());
            Role role = ideal ? Role.IDEAL : baseline ? Role.BASELINE : Role.MEASURED;
            series.add(new Series(name, role, batches.stream().map(values::get).collect(Collectors.toList())));
        });
        return series;
    }

    /** JMarlin with its own choice of kernel: these curves come first, and share colors with their ideals. */
    private static boolean isPlain(Measurement m) {
        return m.contender().equals(Contenders.JMARLIN) || m.contender().equals(Contenders.CPU);
    }

    private void addBlocks(List<Plot> plots) {
        Map<String, List<Measurement>> panels = results.of(Subject.Kind.BLOCK).stream()
                .filter(m -> m.counts() && Contenders.isJMarlin(m.contender()))
                .collect(Collectors.groupingBy(m -> Format.type(m.subject().type()) + " " + Format.contender(m) + " "
                + m.mode().key(), LinkedHashMap::new, Collectors.toList()));
        panels.forEach((panel, bars) -> {
            Measurement first = bars.get(0);
            List<String> models = bars.stream().map(m -> m.subject().name()).distinct().toList();
            TreeSet<Integer> batches = bars.stream().map(m -> m.subject().m()).collect(Collectors.toCollection(TreeSet::new));
            List<Series> series = new ArrayList<>();
            for (int m : batches) {
                Map<String, Double> values = new LinkedHashMap<>();
                bars.stream().filter(b -> b.subject().m() == m)
                        .forEach(b -> values.put(b.subject().name(), results.figures(b).speedup()));
                series.add(new Series("m = " + m, Role.MEASURED, models.stream().map(values::get).collect(Collectors.toList())));
            }
            addPlot(plots, new Plot("blocks-" + panel.replaceAll("[^A-Za-z0-9]+", "-"),
                    "All linear layers of one block, " + Format.type(first.subject().type()) + ", " + Format.contender(first)
                    + ", "
                            + first.mode().text(),
                    "", "speedup over " + Format.baseline(results, first), models, series, true));
        });
    }

    private static void addPlot(List<Plot> plots, Plot plot) {
        plot.series().removeIf(s -> s.values().stream().allMatch(Objects::isNull));
        if (plot.series().stream().anyMatch(s -> !s.isIdeal())) {
            plots.add(plot);
        }
    }

    private static List<String> text(TreeSet<Integer> batches) {
        return batches.stream().map(String::valueOf).toList();
    }
}
