package io.github.jmarlin.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Tests the machine that tests the kernels, on PTX whose outcome is known: {@code src/test/cuda/selftest}. */
class MachineSelfTest {
    private static final Path SOURCES = Path.of("src/test/cuda/selftest");

    @TempDir
    Path folder;

    @TestFactory
    Stream<DynamicTest> cases() throws IOException, InterruptedException {
        return lines(MachineBuild.ofProject()).stream().map(line -> DynamicTest.dynamicTest(line.replaceFirst("^(ok|FAIL) ", ""), () -> {
            if (!line.startsWith("ok ")) {
                fail(line);
            }
        }));
    }

    /** The machine itself reads and writes nothing that is not its own. */
    @Tag("long")
    @Test
    void passesWithSanitizers() throws IOException, InterruptedException {
        List<String> wrong = lines(MachineBuild.withSanitizers()).stream().filter(line -> !line.startsWith("ok ")).toList();
        assertEquals(List.of(), wrong);
    }

    /** Snippets that are no PTX would prove nothing. */
    @Test
    void ptxasTakesEverySnippet() throws IOException {
        List<String> command = command(MachineBuild.ofProject());
        assumeTrue(Files.isDirectory(PtxSuite.TEXTS), "this build has no nvcc");
        Path ptxas = Mutant.nvcc().path().resolveSibling("ptxas");
        command.addAll(1, List.of("--ptx", folder.toString()));
        assertEquals("", MachineBuild.run(command));
        for (String target : List.of("sm_80", "sm_90a")) {
            String said = MachineBuild.run(List.of(ptxas.toString(), "-arch=" + target, "-O1", folder.resolve(target + ".ptx").toString(),
                    "-o", folder.resolve(target + ".cubin").toString()));
            assertFalse(said.contains("warning"), said);
        }
    }

    private static List<String> command(MachineBuild build) throws IOException {
        assumeTrue(build.unavailable().isEmpty(), () -> build.unavailable().orElseThrow());
        List<String> command = new ArrayList<>(List.of(build.program("machine_selftest", files(".cpp")).toString()));
        files(".ptxcases").forEach(file -> command.add(file.toString()));
        return command;
    }

    private static List<Path> files(String suffix) throws IOException {
        try (Stream<Path> files = Files.list(SOURCES)) {
            return files.filter(file -> file.toString().endsWith(suffix)).sorted().toList();
        }
    }

    /** What the program prints: a line per case. */
    private List<String> lines(MachineBuild build) throws IOException, InterruptedException {
        Path printed = folder.resolve("printed");
        Process process = new ProcessBuilder(command(build)).redirectErrorStream(true).redirectOutput(printed.toFile()).start();
        boolean ended = process.waitFor(5, TimeUnit.MINUTES);
        process.destroyForcibly();
        List<String> lines = Files.readAllLines(printed, StandardCharsets.UTF_8);
        String last = lines.isEmpty() ? "none" : lines.get(lines.size() - 1);
        assertTrue(ended, () -> "still running after five minutes; last line: " + last);
        int exit = process.waitFor();
        assertTrue(exit == 0 || exit == 1, () -> "exits " + exit + "; last line: " + last);
        assertFalse(lines.isEmpty(), "no case ran");
        return lines;
    }
}
