package io.github.jmarlin.emulator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.plan.Stripes;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Runs every instance of the striped CUDA kernel in the emulator. What the cases are: {@code src/test/cuda/striped}. */
class StripedEmulatorTest {
    private static Path program;

    @BeforeAll
    static void build() throws IOException {
        EmulatorBuild build = EmulatorBuild.ofProject();
        assumeTrue(build.unavailable().isEmpty(), () -> build.unavailable().get());
        program = build.programs(Map.of("striped_test", StripedProgram.complete())).get(0);
    }

    /** The number of cases is part of the promise: 64 instances, 11 numbers of rows. */
    @ParameterizedTest
    @CsvSource({"exact, 704", "real, 64", "schedules, 64", "banks, 64"})
    void allCasesPass(String suite, int cases) throws Exception {
        List<String> lines = runInParts(suite);
        List<String> failed = lines.stream().filter(line -> !line.startsWith("ok ")).toList();
        assertTrue(failed.isEmpty(), () -> failed.size() + " of " + lines.size() + " cases, first:\n"
                + String.join("\n", failed.subList(0, Math.min(5, failed.size()))));
        assertEquals(cases, lines.size());
    }

    private static List<String> runInParts(String suite) throws Exception {
        int parts = Runtime.getRuntime().availableProcessors();
        ExecutorService workers = Executors.newFixedThreadPool(parts);
        try {
            List<Callable<List<String>>> runs = new ArrayList<>();
            for (int part = 0; part < parts; part++) {
                String words = part + "/" + parts;
                runs.add(() -> StripedProgram.run(program, suite, words));
            }
            List<String> lines = new ArrayList<>();
            for (Future<List<String>> run : workers.invokeAll(runs)) {
                lines.addAll(run.get());
            }
            return lines;
        } catch (ExecutionException e) {
            throw e.getCause() instanceof IOException io ? io : e;
        } finally {
            workers.shutdownNow();
        }
    }

    /** The partition that the kernel computes is the one that the host planned. */
    @Test
    void stripesAreThoseOfThePlan() throws IOException {
        List<String> lines = StripedProgram.run(program, "stripes");
        assertTrue(lines.size() > 100, () -> lines.size() + " partitions");
        for (String line : lines) {
            int[] shape = numbers(line.substring("stripes ".length(), line.indexOf(':')));
            Stripes stripes = new Stripes(shape[0], shape[1], shape[2], shape[3]);
            assertEquals(shape[4], stripes.grid(), line);

            StringBuilder planned = new StringBuilder();
            for (int block = 0; block < stripes.grid(); block++) {
                for (Stripes.Portion portion : stripes.portions(block)) {
                    planned.append(String.format(" %d %d %d %d %d;", block, portion.tile(), portion.firstKBlock(),
                            portion.endKBlock(), portion.slot()));
                }
            }
            assertEquals(planned.toString(), line.substring(line.indexOf(':') + 1), () -> stripes.toString());
        }
    }

    private static int[] numbers(String text) {
        return Arrays.stream(text.split(" ")).mapToInt(Integer::parseInt).toArray();
    }
}
