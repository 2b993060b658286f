package io.github.jmarlin.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.bench.Journal;
import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.ModelShapes;
import io.github.jmarlin.bench.ResultsFiles;
import io.github.jmarlin.bench.SampleResults;
import io.github.jmarlin.bench.Subject;
import io.github.jmarlin.bench.TimingMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The page of a run whose parts ended in every way there is. */
class RunSummaryTest {
    @TempDir
    private Path folder;

    @Test
    void eachFamilyIsRightOrNotWithItsFastestTileAndWhatWasNotReached() throws IOException {
        write("run.txt", "run.sh first of commit abc, at most 480 s", "470 s used");
        write("parts.txt", "probe\tTIMED OUT: ended after 60 s\t60", "rates\tok\t3", "smoke_striped\tok\t9",
                "smoke_hopper\tTIMED OUT: ended after 40 s\t40", "bench_striped\tTIMED OUT: ended after 130 s\t130",
                "bench_hopper\tFAILED: exit code 1\t20");
        write("probe.log", "rate L2_BYTES_PER_CLOCK=40");
        write("rates.log", "stored L2_BYTES_PER_CLOCK=40");
        write("smoke_striped.log", "Sample", "striped_m8_n64: 48 right", "48 products, 0 wrong");
        write("smoke_hopper.log", "Sample", "hopper_m16_n128_p1_s4: 48 right", "hopper_m64_n256_p2_s1: ");
        write("bench_hopper.log", "java.lang.IllegalStateException: jmarlin hopper: 700", "\tat io.github.jmarlin.X", "\t... 10 more");
        bench("bench_striped", row(Contenders.JMARLIN_STRIPED, 1, 14e-6), row("jmarlin 8x64", 1, 10e-6), row("jmarlin 16x64", 1, 12e-6),
                row(Contenders.DEQUANTIZE_CUBLAS, 1, 80e-6), cublas(1, 40e-6));

        String page = RunSummary.of(folder, "1,16");
        String layer = "  square 8192x8192 fp16 per column, m 1: ";
        assertEquals("""
                run.sh first of commit abc, at most 480 s
                470 s used
                Sample GPU, commit 0123456

                STRIPED: bench_striped TIMED OUT: ended after 130 s; 48 products in the smoke test, 0 wrong
                %sfastest jmarlin 8x64, 10.0 us, 4.00x cuBLAS
                  not timed: m 16

                HOPPER: NOT SHOWN TO BE RIGHT: the smoke test TIMED OUT: ended after 40 s; tiles that came through: 1, in hopper_m64_n256_p2_s1
                  not timed: m 1, 16

                DENSE: RIGHT in the products that were timed: 1
                %sfastest dequantize+cublas, 80.0 us, 0.50x cuBLAS
                  not timed: m 16

                rates of the probe, for the cost model: stored L2_BYTES_PER_CLOCK=40

                parts
                  probe            TIMED OUT: ended after 60 s; last line: rate L2_BYTES_PER_CLOCK=40
                  rates            ok
                  smoke_striped    ok
                  smoke_hopper     TIMED OUT: ended after 40 s; last line: hopper_m64_n256_p2_s1:
                  bench_striped    TIMED OUT: ended after 130 s; it said nothing
                  bench_hopper     FAILED: exit code 1; last line: java.lang.IllegalStateException: jmarlin hopper: 700
                """.formatted(layer, layer), page);
        assertTrue(Files.exists(folder.resolve("bench_striped").resolve(ResultsFiles.CSV)), "what a bench that was ended could not write");
    }

    @Test
    void whatIsWrongIsNamed() throws IOException {
        write("run.txt", "run");
        write("parts.txt", "smoke_striped\tFAILED: exit code 1\t9", "smoke_hopper\tok\t9", "tests_rest\tFAILED: exit code 1\t9",
                "kernels\tFAILED: exit code 1\t9");
        write("smoke_striped.log", "striped_m8_n64: ", "WRONG striped_f16_sym_g64_m8_n64, m 8", "striped_m8_n64: 47 right, 1 wrong",
                "48 products, 1 wrong");
        write("smoke_hopper.log", "hopper_m8_n128_p1_s1: 48 right", "48 products, 0 wrong");
        write("tests_rest.log", "[         5 tests successful      ]", "[         0 tests skipped         ]", "[         2 tests failed          ]");
        write("kernels.log", "| kernels   outcome   what happened   |", "| hopper    failed    NaN at m 3      |",
                "| dense     passed    8 instances     |");
        bench("bench_hopper", new Measurement(Subject.layer(ModelShapes.SQUARE, 1, DataType.FP16), TimingMode.GRAPH, "jmarlin hopper 16x128",
                -1, Measurement.Status.WRONG, "relative error NaN is not at most 3.0E-4", null, 1, 1, Double.NaN, 3e-4));
        String page = RunSummary.of(folder, "1");
        assertTrue(page.contains("STRIPED: WRONG; 48 products in the smoke test, 1 wrong\n  WRONG striped_f16_sym_g64_m8_n64, m 8\n"), page);
        assertTrue(page.contains("HOPPER: WRONG; FAILED in jmarlin check; RIGHT: 48 products in the smoke test, 0 wrong\n"
                + "  WRONG square 8192x8192, m 1, jmarlin hopper 16x128 per column: relative error NaN is not at most 3.0E-4\n"
                + "  jmarlin check: failed, NaN at m 3\n"), page);
        assertTrue(page.contains("DENSE: RIGHT in jmarlin check\n  jmarlin check: passed, 8 instances\n"), page);
        assertTrue(page.contains("  tests_rest       FAILED: exit code 1: 5 tests successful, 2 tests failed\n"), page);
    }

    private void write(String name, String... lines) throws IOException {
        Files.writeString(folder.resolve(name), String.join("\n", lines) + "\n");
    }

    private void bench(String name, Measurement... measurements) throws IOException {
        try (Journal journal = Journal.start(Files.createDirectories(folder.resolve(name)), SampleResults.run(false))) {
            for (Measurement measurement : measurements) {
                journal.add(measurement);
            }
        }
    }

    private static Measurement row(String contender, int m, double seconds) {
        return SampleResults.row(Subject.layer(ModelShapes.SQUARE, m, DataType.FP16), TimingMode.GRAPH, contender, -1, seconds, 1, 1);
    }

    private static Measurement cublas(int m, double seconds) {
        return SampleResults.row(Subject.layer(ModelShapes.SQUARE, m, DataType.FP16), TimingMode.GRAPH, Contenders.CUBLAS, 0, seconds, 1, 1);
    }
}
