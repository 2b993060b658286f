package io.github.jmarlin.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Figures, files and the journal. */
class ResultsTest {
    private static final Subject SQUARE = Subject.layer(ModelShapes.SQUARE, 16, DataType.FP16);

    @TempDir
    private Path folder;

    @Test
    void figuresFollowFromTimes() {
        double flops = 2 * 16 * 8192.0 * 8192;
        Results results = new Results(SampleResults.run(false), List.of(), List.of(
                SampleResults.row(Subject.device(), TimingMode.GRAPH, Contenders.COPY, 0, 1, 4e12, 0),
                SampleResults.row(SQUARE, TimingMode.GRAPH, Contenders.CUBLAS, 0, 40e-6, 134e6, flops),
                SampleResults.row(SQUARE, TimingMode.GRAPH, Contenders.JMARLIN, 128, 10e-6, 35e6, flops),
                SampleResults.row(SQUARE, TimingMode.STREAM, Contenders.JMARLIN, 128, 12e-6, 35e6, flops)));

        Figures graph = results.figures(results.measurements().get(2));
        assertEquals(3500, graph.gigabytesPerSecond(), 1e-6);
        assertEquals(87.5, graph.percentOfCopy(), 1e-9);
        assertEquals(flops / 10e-6 / 1e12, graph.teraflops(), 1e-6);
        assertEquals(400, graph.percentOfPeak(), 1e-9);
        assertEquals(4.0, graph.speedup(), 1e-9);
        assertEquals(40e-6 / Math.max(35e6 / 4e12, 40e-6), graph.idealSpeedup(), 1e-9);
        Figures stream = results.figures(results.measurements().get(3));
        assertNull(stream.speedup(), "there is no cuBLAS in that mode to compare with");
    }

    @Test
    void whatDoesNotCountHasNoFigures() {
        Results real = SampleResults.all(false);
        Results standIn = SampleResults.all(true);
        assertEquals(Figures.NONE, standIn.figures(standIn.measurements().get(2)));
        assertEquals(Figures.NONE, real.figures(Measurement.skipped(SQUARE, TimingMode.GRAPH, Contenders.JMARLIN, 128,
                "no memory")));
        Measurement row = real.measurements().get(2);
        assertEquals(Figures.NONE, real.figures(wrong(row)));
        Results wrongBaseline = new Results(real.run(), List.of(), List.of(row, wrong(real.measurements().get(6))));
        assertNull(wrongBaseline.figures(row).speedup(), "over a wrong baseline");
    }

    @Test
    void jsonComesBackAsItWas() throws IOException {
        Results results = SampleResults.all(false);
        ResultsFiles.write(results, folder);
        assertEquals(results, ResultsFiles.read(folder.resolve(ResultsFiles.JSON)));
        List<String> lines = Files.readAllLines(folder.resolve(ResultsFiles.JSON));
        assertEquals(results.measurements().size(), lines.stream().filter(line -> line.contains("\"figures\"")).count(),
                "a line each");
        assertTrue(lines.stream().anyMatch(line -> line.contains("\"speedup\":3.")), "figures are written too");
    }

    @Test
    void csvHasARowPerMeasurementAndQuotesText() throws IOException {
        Measurement row = SampleResults.all(false).measurements().get(2);
        Measurement noted = new Measurement(row.subject(), row.mode(), row.contender(), row.groupSize(), row.status(),
                "needs 2 GB, \"1 GB\" free", row.micros(), row.bytes(), row.flops(), row.error(), row.errorBound());
        ResultsFiles.write(new Results(SampleResults.run(false), List.of(), List.of(noted)), folder);
        List<String> lines = Files.readAllLines(folder.resolve(ResultsFiles.CSV));
        assertEquals(2, lines.size());
        assertTrue(lines.get(1).startsWith("LAYER,square,8192,8192,1,FP16,graph,jmarlin,-1,OK,12.3207,"), lines.get(1));
        assertTrue(lines.get(1).endsWith(",\"needs 2 GB, \"\"1 GB\"\" free\",Sample GPU,0123456"), lines.get(1));
        assertEquals(lines.get(0).split(",").length, lines.get(1).replaceAll("\"[^\"]*(\"\"[^\"]*)*\"", "x").split(",", -1)
                .length);
    }

    @Test
    void theJournalSurvivesAnInterruption() throws IOException {
        RunInfo run = SampleResults.run(false);
        List<Measurement> rows = SampleResults.all(false).measurements();
        Journal interrupted = Journal.start(folder, run);
        interrupted.add(rows.get(0));
        interrupted.add(rows.get(1));
        // No close: the process is gone, in the middle of a line.
        Path file = folder.resolve(Journal.FILE);
        Files.writeString(file, Files.readString(file) + "{\"measurement\":{\"subj");
        assertEquals(rows.subList(0, 2), Journal.read(folder).orElseThrow().measurements());

        try (Journal resumed = Journal.resume(folder, run)) {
            resumed.add(rows.get(2));
            resumed.add(new Session("2026-01-02T03:04:05Z", 1, "bench --resume", "a", "b", 0));
        }
        Results results = Journal.read(folder).orElseThrow();
        assertEquals(rows.subList(0, 3), results.measurements());
        assertEquals(run, results.run());
        assertEquals(1, results.sessions().size());
    }

    @Test
    void aJournalIsNotMixedWithAnotherDevicesOrCommits() throws IOException {
        Journal.start(folder, SampleResults.run(false)).close();
        RunInfo r = SampleResults.run(false);
        RunInfo other = new RunInfo("Other GPU", false, r.driver(), r.cuda(), r.cublas(), 1, 1, 1, r.java(), r.system(),
                r.commit());
        String message = assertThrows(IOException.class, () -> Journal.resume(folder, other)).getMessage();
        assertEquals("the results in " + folder + " are of Sample GPU and commit 0123456, this is Other GPU and commit 0123456: "
                + "use another folder", message);
    }

    @Test
    void nothingToResumeAndBrokenLinesAreSaid() throws IOException {
        assertEquals("nothing to resume: there is no journal.jsonl in " + folder,
                assertThrows(IOException.class, () -> Journal.resume(folder, SampleResults.run(false))).getMessage());
        assertEquals(Optional.empty(), Journal.read(folder));
        Files.writeString(folder.resolve(Journal.FILE), "{\"run\":null}\nnonsense\n");
        assertTrue(assertThrows(IOException.class, () -> Journal.read(folder)).getMessage()
                .contains("line 2 is not a journal entry"));
    }

    private static Measurement wrong(Measurement row) {
        return new Measurement(row.subject(), row.mode(), row.contender(), row.groupSize(), Measurement.Status.WRONG, "wrong",
                row.micros(), row.bytes(), row.flops(), 1.0, 3e-4);
    }
}
