package io.github.jmarlin.bench.decode;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.bench.Provenance;
import io.github.jmarlin.bench.RunInfo;
import io.github.jmarlin.bench.report.GenerationReport;
import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.llama.TinyLlama;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tokens per second of whole models: both forms say the same, and what is extrapolated is called so. */
final class GenerationBenchTest {
    private static final SyntheticModel.Shape SMALL = new SyntheticModel.Shape("small", 128, 192, 6, 4, 2, 32, 800);
    private static final RunInfo RUN = Provenance.ofCpu("CPU of the test", "none asked for");

    @TempDir
    Path folder;

    @Test
    void syntheticIsExtrapolatedAndRight() throws IOException {
        List<String> told = new ArrayList<>();
        List<GenerationFigures> figures;
        try (CpuDevice device = new CpuDevice(2)) {
            figures = new GenerationBench(device, 0.02, told::add).synthetic(SMALL, 2);
        }
        assertEquals(6, figures.size());
        assertEquals(10, told.size(), told.toString());
        for (GenerationFigures figure : figures) {
            assertTrue(figure.isExtrapolated() && figure.blocks() == 2 && figure.allBlocks() == 6 && figure.headShare() == 0.125,
                    figure.toString());
            assertTrue(figure.decodeTokensPerSecond() > 0 && figure.prefillTokensPerSecond() > 0, figure.toString());
            assertTrue(!figure.isWrong(), figure.toString());
            assertEquals(figure.weights().equals("dense"), Double.isNaN(figure.error()), figure.toString());
        }
        String table = GenerationReport.table(RUN, figures);
        assertEquals(6, table.lines().filter(line -> line.endsWith("2 of 6 blocks, 13 % of the head: EXTRAPOLATED")).count(), table);
        String charts = GenerationReport.write(RUN, figures, folder);
        assertTrue(charts.startsWith("1 charts") || charts.startsWith("No charts: this machine cannot draw"), charts);
        assertTrue(Files.readString(folder.resolve(GenerationReport.PAGE)).contains("EXTRAPOLATED"));
        List<ConfigNode> written = Json.read(folder.resolve(GenerationReport.JSON)).get("figures").items();
        assertEquals(6, written.size());
        assertTrue(written.get(0).get("extrapolated").bool(false));
    }

    /** A dense folder is quantized, which changes what it says; the same numbers in both forms must say the same. */
    @Test
    void folders() throws IOException {
        new TinyLlama("llama", 51).write(folder, TensorType.F16);
        try (CpuDevice device = new CpuDevice(2)) {
            List<GenerationFigures> figures = new GenerationBench(device, 0.02, text -> { }).folder(folder);
            assertEquals(6, figures.size());
            assertTrue(figures.stream().allMatch(figure -> !figure.isExtrapolated() && Double.isNaN(figure.error())), figures.toString());
        }
    }

    @Test
    void wrongAnswersAreCalledSo() {
        GenerationFigures wrong = new GenerationFigures("m", "4-bit", 1, 1, 1, 1, 1, 1, 0.03, null);
        assertTrue(wrong.isWrong());
        assertTrue(GenerationReport.table(RUN, List.of(wrong)).contains("3.0e-02 WRONG"));
        GenerationFigures skipped = new GenerationFigures("m", "dense", 0, 0, 0, 0, 8, 1, Double.NaN, "no memory");
        assertTrue(GenerationReport.table(RUN, List.of(skipped)).contains("skipped: no memory"));
    }

    /** Blocks and head have factors of their own. */
    @Test
    void extrapolation() {
        assertEquals(3 * 10 + 0.5 * 8, new DecoderTimes(3, 3.5).extrapolated(10, 8), 1e-12);
        assertEquals(30, new DecoderTimes(3, 2.9).extrapolated(10, 8), 1e-12);
    }
}
