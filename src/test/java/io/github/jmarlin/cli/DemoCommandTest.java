package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.cuda.CudaDriver;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.testing.Gpu;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DemoCommandTest {
    /** A line of the grid: m, error, allowed. */
    private static final Pattern ROW = Pattern.compile("(?m)^\\| +(\\d+) +(\\S+e-\\d+) +(\\S+e-\\d+) ");

    @ParameterizedTest
    @CsvSource({"fp16, 128, 3.00e-04", "FP16, -1, 3.00e-04", "bf16, 32, 3.50e-03"})
    void everyBatchSizeIsWithinItsBound(String type, String group, String allowed) {
        Cli run = Cli.run("demo", "--layer-only", "--device", "cpu", "--k", "320", "--n", "200", "--m", "1,5,17", "--group", group,
                "--dtype", type);
        assertEquals("", run.err());
        assertEquals(0, run.status());
        List<String> rows = ROW.matcher(run.out()).results().map(row -> row.group(1) + " " + row.group(3)).toList();
        assertEquals(List.of("1 " + allowed, "5 " + allowed, "17 " + allowed), rows, run.out());
        assertTrue(run.out().contains("asked for with --device cpu"), run.out());
        assertTrue(run.out().matches("(?s).*\\| pack +[0-9.]+ [mu]?s, [0-9.]+ GB/s read and written; .*"), run.out());
    }

    @Test
    void theSameSeedGivesTheSameErrors() {
        String[] args = {"demo", "--layer-only", "--device", "cpu", "--k", "128", "--n", "64", "--m", "2", "--seed", "7"};
        List<String> first = ROW.matcher(Cli.run(args).out()).results().map(row -> row.group(2)).toList();
        assertEquals(1, first.size());
        assertEquals(first, ROW.matcher(Cli.run(args).out()).results().map(row -> row.group(2)).toList());
        args[args.length - 1] = "8";
        assertFalse(first.equals(ROW.matcher(Cli.run(args).out()).results().map(row -> row.group(2)).toList()));
    }

    /** A single fp16 result is off by up to 4.9e-4, so among a few seeds there are errors on both sides of the bound, 3e-4. */
    @Test
    void exitCodeSaysWhetherTheBoundHolds() {
        Set<Integer> seen = new TreeSet<>();
        for (int seed = 0; seed < 60 && seen.size() < 2; seed++) {
            Cli run = Cli.run("demo", "--layer-only", "--device", "cpu", "--k", "1", "--n", "1", "--m", "1", "--seed",
                    Integer.toString(seed));
            Matcher row = ROW.matcher(run.out());
            assertTrue(row.find(), run.out());
            boolean broken = Double.parseDouble(row.group(2)) > 3e-4;
            assertEquals(broken ? 1 : 0, run.status(), run.out());
            assertEquals(broken, run.out().contains("WRONG"), run.out());
            seen.add(run.status());
        }
        assertEquals(Set.of(0, 1), seen);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--k 0 | --k 0 --n 14336: both must be positive",
        "--n -4 | --k 4096 --n -4: both must be positive",
        "--m 1,0 | --m [1, 0]: one or more positive batch sizes",
        "--m , | --m []: one or more positive batch sizes",
        "--group 48 | --group 48: must be -1, 32, 64, 128 or 256",
        "--sparse24 --group 32 | --sparse24 --group 32: must be -1, 64, 128 or 256",
        "--dtype fp32 | must be fp16 or bf16",
        "--dtype int8 | Invalid value for option '--dtype': must be fp16 or bf16, not int8",
        "--k 100000 --n 100000 | --k 100000 --n 100000 --m [1, 16, 64]: a matrix of 10000000000 elements, a Java array holds 2^31 - 9",
        "--device gpu | --device gpu: must be auto, cpu, cuda or cuda:<index>",
        "--device cuda:4711 | --device cuda:4711: there are ",
        "--nosuch | Unknown option: '--nosuch'",
    })
    void badOptionsExitWith2AndTheRule(String options, String message) {
        Cli run = Cli.run(("demo " + options).split(" "));
        assertEquals(2, run.status(), run.err());
        assertTrue(run.err().contains(message), run.err());
        assertTrue(run.err().contains("jmarlin demo --help"), run.err());
        assertEquals("", run.out());
    }

    /** Any k: the last rows may be fewer than four. */
    @ParameterizedTest
    @ValueSource(ints = {200, 63, 66})
    void sparseWeightsAreMultiplied(int k) {
        Cli run = Cli.run("demo", "--layer-only", "--device", "cpu", "--sparse24", "--k", Integer.toString(k), "--n", "72", "--m", "1,9");
        assertEquals("", run.err());
        assertEquals(0, run.status(), run.out());
        assertEquals(2, ROW.matcher(run.out()).results().count(), run.out());
        assertTrue(run.out().contains("the larger two of every four"), run.out());
    }

    /** A line of the second table: the layers, then its figures. */
    @Test
    void aModelSpeaksIn16AndIn4Bits() {
        Cli run = Cli.run("demo", "--device", "cpu", "--k", "64", "--n", "64", "--m", "1");
        assertEquals("", run.err());
        assertEquals(0, run.status());
        assertTrue(run.out().contains(" Once there was a silver marlin called Mara. "), run.out());
        Pattern row = Pattern.compile("(?m)^\\| +(4 bits, to the nearest|4 bits, GPTQ) +(\\S+) MB"
                + " +(\\S+)% +(\\S+e-\\d+) +(-0\\.\\d+) +\\d+ +\\|$");
        List<MatchResult> rows = row.matcher(run.out()).results().toList();
        assertEquals(List.of("4 bits, to the nearest", "4 bits, GPTQ"), rows.stream().map(result -> result.group(1)).toList(), run.out());
        assertTrue(Double.parseDouble(rows.get(1).group(3)) > Double.parseDouble(rows.get(0).group(3)), run.out());
        assertTrue(Double.parseDouble(rows.get(1).group(4)) < Double.parseDouble(rows.get(0).group(4)), run.out());
    }

    @Test
    void withoutACudaDeviceTheReasonIsGiven() {
        assumeTrue(!CudaDriver.isAvailable(), "this machine has a CUDA device");
        Cli run = Cli.run("demo", "--layer-only", "--device", "cuda");
        assertEquals(2, run.status());
        assertTrue(run.err().contains("--device cuda: there are 0 usable cuda devices; " + CudaDriver.unavailableReason()), run.err());
    }

    @Test
    @Tag("gpu")
    void multipliesOnACudaDevice() {
        String name = Gpu.first().name();
        Cli run = Cli.run("demo", "--layer-only", "--device", "cuda", "--k", "192", "--n", "72", "--m", "1,9");
        assertEquals("", run.err());
        assertEquals(0, run.status(), run.out());
        assertEquals(2, ROW.matcher(run.out()).results().count(), run.out());
        assertTrue(run.out().contains(name), run.out());
    }

    @Test
    @Tag("gpu")
    void sparseWeightsOnACudaDevice() {
        Gpu.first();
        Cli run = Cli.run("demo", "--layer-only", "--device", "cuda", "--sparse24", "--k", "192", "--n", "72", "--m", "1,9");
        assertEquals("", run.err());
        assertEquals(0, run.status(), run.out());
        assertTrue(run.out().contains("vs all stored") && run.out().matches("(?s).*\\d\\.\\d\\dx.*"), run.out());
    }

    @Test
    @Tag("gpu-on-stand-in")
    void timesOfSingleLaunchesAreCalledSo() {
        StandIn.assumeLoaded();
        String[] options = {"demo", "--layer-only", "--device", "cuda", "--k", "192", "--n", "72", "--m", "1,9"};
        assertFalse(Cli.run(options).out().contains("one by one"));
        StandIn.inject("cuStreamBeginCapture", 900, 1, 1);
        try {
            Cli run = Cli.run(options);
            assertTrue(run.out().contains("| launched one by one  not as a graph, for m = 9: cuStreamBeginCapture returned 900"), run.out());
        } finally {
            StandIn.reset();
        }
    }
}
