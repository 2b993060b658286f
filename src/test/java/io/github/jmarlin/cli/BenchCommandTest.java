package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.bench.Journal;
import io.github.jmarlin.bench.Results;
import io.github.jmarlin.bench.ResultsFiles;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class BenchCommandTest {
    private final StringWriter err = new StringWriter();

    @TempDir
    private Path folder;

    @Test
    void measuresOneShapeOnTheCpu() throws Exception {
        assertEquals(0, bench("--device", "cpu", "--shape", "200x130", "--m", "1,3", "--group", "64", "--seconds", "20"),
                err::toString);
        Results results = ResultsFiles.read(folder.resolve(ResultsFiles.JSON));
        assertEquals(List.of("copy 0 0", "jmarlin cpu 1 64", "dense java fp32 1 0", "jmarlin cpu 3 64", "dense java fp32 3 0"),
                results.measurements().stream().map(m -> m.contender() + " " + m.subject().m() + " " + m.groupSize()).toList());
        results.measurements().forEach(m -> assertTrue(m.counts(), m.toString()));
        assertTrue(Files.exists(folder.resolve("index.html")) && Files.exists(folder.resolve("results.csv")));

        assertEquals(0, bench("--device", "cpu", "--shape", "200x130", "--m", "1,3", "--group", "64", "--seconds", "20",
                "--resume"), err::toString);
        assertEquals(results.measurements(), Journal.read(folder).orElseThrow().measurements(), "nothing is measured twice");
        assertEquals(0, bench("--report"), err::toString);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--shape 4096            | --shape 4096: must be KxN, for instance 4096x14336",
        "--shape 0x64            | --shape 0x64: layer has shape 0 x 64, expected at least 1 x 1",
        "--shape 64x64 --m 0     | --m 0: must be in 1..65536",
        "--seconds 0             | --seconds 0: must be at least 1",
        "--family striped        | --family is for the kernels of a GPU, and the device is CPU",
        "--family striped,marlin | must be striped, hopper or dense, not marlin",
        "--sparse24              | --weights and --sparse24 are for the kernels of a GPU, and the device is CPU",
        "--weights fz,int3       | expected one of [SP24, FZ, I8, FP4]",
        "--quick --all           | --quick and --all exclude each other",
        "--device cuda:99        | --device cuda:99: there are",
    })
    void badOptionsAreNamed(String options, String message) {
        assertEquals(2, bench((options + (options.contains("--device") ? "" : " --device cpu")).split(" ")));
        assertTrue(err.toString().contains(message), err.toString());
    }

    @Test
    void aFolderThatCannotBeWrittenIsNamed() throws Exception {
        folder = Files.createFile(folder.resolve("file"));
        assertEquals(1, bench("--device", "cpu", "--quick"));
        assertTrue(err.toString().startsWith("jmarlin bench: results cannot be written to " + folder), err.toString());
    }

    @Test
    void nothingToReportOrToResumeIsSaid() {
        assertEquals(1, bench("--report"));
        assertTrue(err.toString().startsWith("jmarlin bench: no results: there is no journal.jsonl in " + folder),
                err.toString());
        assertEquals(1, bench("--device", "cpu", "--resume", "--quick"));
        assertTrue(err.toString().contains("nothing to resume: there is no journal.jsonl in " + folder), err.toString());
    }

    private int bench(String... options) {
        CommandLine command = Main.commandLine();
        String[] arguments = new String[options.length + 3];
        arguments[0] = "bench";
        arguments[1] = "--out";
        arguments[2] = folder.toString();
        System.arraycopy(options, 0, arguments, 3, options.length);
        return command.setOut(new PrintWriter(new StringWriter())).setErr(new PrintWriter(err)).execute(arguments);
    }
}
