package io.github.jmarlin.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.ModelShapes;
import io.github.jmarlin.bench.Results;
import io.github.jmarlin.bench.ResultsFiles;
import io.github.jmarlin.bench.SampleResults;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {
    @TempDir
    private Path folder;

    private static void needsAwt() {
        assumeTrue(ModuleLayer.boot().findModule("java.desktop").isPresent(), "no charts without the module java.desktop");
    }

    @Test
    void drawsEveryChartAsSvgAndPng() throws Exception {
        needsAwt();
        assertEquals("5 charts in " + folder.resolve("charts"), Report.write(SampleResults.all(false), folder));

        Set<String> expected = new TreeSet<>();
        for (String chart : List.of("speedup-8192x8192-fp16-graph", "bandwidth-8192x8192-fp16-graph",
                "speedup-8192x8192-fp16-flushed", "bandwidth-8192x8192-fp16-flushed", "blocks-fp16-jmarlin-g128-graph")) {
            expected.add(chart + ".svg");
            expected.add(chart + ".png");
        }
        assertEquals(expected, names(folder.resolve("charts")));
        for (String name : expected) {
            Path file = folder.resolve("charts").resolve(name);
            if (name.endsWith(".png")) {
                assertEquals(1080, ImageIO.read(file.toFile()).getWidth(), name);
            } else {
                assertTrue(count(file, "path") > 40, () -> name + " has " + count(file, "path") + " shapes");
            }
        }
    }

    @Test
    void chartsCompareWithTheBaselineAndTheIdeal() {
        Map<String, Charts.Plot> plots = Charts.of(SampleResults.all(false)).stream()
                .collect(Collectors.toMap(Charts.Plot::file, p -> p));

        Charts.Plot speedup = plots.get("speedup-8192x8192-fp16-graph");
        assertEquals("speedup over cuBLAS fp16", speedup.yTitle());
        assertEquals(List.of("1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024", "2048", "4096", "8192"),
                speedup.categories());
        assertEquals(List.of("jmarlin per column", "jmarlin g128", "jmarlin hopper per column", "jmarlin hopper g128",
                "dequantize+cublas g128", "ideal per column", "ideal g128"),
                speedup.series().stream().map(Charts.Series::name).toList());
        assertEquals(4.0, speedup.series().get(5).values().get(0), 1e-9, "ideal per column at m = 1");
        assertEquals(1.0, speedup.series().get(5).values().get(13), 1e-9, "ideal per column at m = 8192");

        Charts.Plot blocks = plots.get("blocks-fp16-jmarlin-g128-graph");
        assertEquals(ModelShapes.MODELS.stream().map(ModelShapes.Model::name).toList(), blocks.categories());
        assertEquals(List.of("m = 1", "m = 16", "m = 64"), blocks.series().stream().map(Charts.Series::name).toList());
    }

    @Test
    void thePageNeedsNoOtherFile() throws Exception {
        needsAwt();
        Report.write(SampleResults.all(false), folder);
        String page = Files.readString(folder.resolve(Report.PAGE));
        Matcher links = Pattern.compile("(?:src|href)=\"(?!#)([^\"]*)\"").matcher(page);
        assertFalse(links.find(), () -> "the page refers to " + links.group(1));
        assertEquals(5, page.split("<svg", -1).length - 1, "charts on the page");
        assertEquals(SampleResults.all(false).measurements().size() + 1, page.split("<tr", -1).length - 1, "rows and the header");
        List<String> ids = Pattern.compile("\\bid=\"([^\"]+)\"").matcher(page).results().map(id -> id.group(1)).toList();
        assertEquals(ids.size(), Set.copyOf(ids).size(), "names are unique on the page");
    }

    @Test
    void statesNothingForAStandInDevice() throws Exception {
        Results results = SampleResults.all(true);
        assertEquals("No charts: the device is a stand-in.", Report.write(results, folder));
        assertFalse(Files.exists(folder.resolve("charts")));
        assertTrue(Files.readString(folder.resolve(Report.PAGE)).contains("A STAND-IN DEVICE"));
        String table = TextTable.of(results);
        assertTrue(table.startsWith("Sample (stand-in), commit 0123456: A STAND-IN DEVICE."), table);
        assertFalse(Pattern.compile("\\d(x|%)( |$)", Pattern.MULTILINE).matcher(table).find(), "a speedup or share is stated:\n"
                + table);
        assertTrue(Pattern.compile("\\dx  ").matcher(TextTable.of(SampleResults.all(false))).find(),
                "the same search finds real speedups");
    }

    @Test
    void aWrongAnswerHasATimeButNoFigures() {
        Results right = SampleResults.all(false);
        Measurement row = right.measurements().get(2);
        Measurement wrong = new Measurement(row.subject(), row.mode(), row.contender(), row.groupSize(), Measurement.Status.WRONG,
                "relative error NaN is not at most 3e-4", row.micros(), row.bytes(), row.flops(), Double.NaN, 3e-4);
        Results results = new Results(right.run(), right.sessions(),
                List.of(right.measurements().get(0), wrong, right.measurements().get(6)));
        assertTrue(results.hasWrongAnswers());
        String table = TextTable.of(results);
        String line = table.lines().filter(l -> l.contains("jmarlin")).findFirst().orElseThrow();
        assertTrue(line.matches(".*\\d( +-){6} +NaN WRONG"), line);
        assertTrue(table.contains("relative error NaN is not at most 3e-4"), table);
    }

    @Test
    void theReadmeTableSaysWhatIsNotMeasured() throws Exception {
        String before = "text\n" + ReadmeTable.BEGIN + "\nold\n" + ReadmeTable.END + "\nrest\n";
        String none = ReadmeTable.updated(before, folder, folder);
        assertTrue(none.startsWith("text\n") && none.endsWith(ReadmeTable.END + "\nrest\n") && !none.contains("old"), none);
        assertTrue(none.contains("Speed on a GPU: **not yet measured**."), none);

        Path results = Files.createDirectories(folder.resolve("docs/results/sample"));
        ResultsFiles.write(SampleResults.all(true), results);
        assertEquals(none, ReadmeTable.updated(before, folder, folder), "a stand-in device counts as not measured");

        ResultsFiles.write(SampleResults.all(false), results);
        String table = ReadmeTable.updated(before, folder, folder);
        assertFalse(table.contains("not yet measured"), table);
        assertTrue(table.contains("(docs/results/sample/results.json)"), table);
        assertEquals(table, ReadmeTable.updated(table, folder, folder), "a second time changes nothing");

        Results one = new Results(SampleResults.run(false), List.of(), List.of(SampleResults.all(false).measurements().get(2)));
        ResultsFiles.write(one, results);
        String gaps = ReadmeTable.updated(before, folder, folder);
        assertEquals(6 * 8 - 1, gaps.split("not yet measured", -1).length - 1, gaps);
    }

    @Test
    void theReadmeHasTheTableOfTheResults() throws Exception {
        Path root = Path.of(System.getProperty("basedir", "")).toAbsolutePath();
        Path readme = root.resolve("README.md");
        assumeTrue(Files.exists(readme), "no source tree here");
        assertEquals(ReadmeTable.updated(Files.readString(readme), root, root.resolve("docs/results")), Files.readString(readme),
                "docs/results/README.md says how to write it");
    }

    private static Set<String> names(Path folder) throws Exception {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).collect(Collectors.toCollection(TreeSet::new));
        }
    }

    private static int count(Path svg, String element) {
        try {
            DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
            factory.setFeature("http://apache.org/xml/features/nonvalidating/load-external-dtd", false);
            return factory.newDocumentBuilder().parse(svg.toFile()).getElementsByTagName(element).getLength();
        } catch (Exception e) {
            throw new AssertionError(svg + " is no XML", e);
        }
    }
}
