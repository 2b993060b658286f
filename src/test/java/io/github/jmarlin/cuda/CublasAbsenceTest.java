package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.machine.StandIn;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is missing of cuBLAS is told by plans and exceptions, and everything else runs. */
@Tag("gpu-on-stand-in")
class CublasAbsenceTest {
    @TempDir
    Path folder;

    @BeforeEach
    void needsTheStandIn() {
        StandIn.assumeLoaded();
    }

    @Test
    void withoutJCublasOnTheClassPath() throws Exception {
        // Every class of the package but the one that is JCublas's user loads, is verified and initialized without it.
        Path classes = Path.of(CudaGemm.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        try (Stream<Path> files = Files.walk(classes.resolve("io/github/jmarlin/cuda"))) {
            List<String> names = files.map(file -> classes.relativize(file).toString()).filter(name -> name.endsWith(".class"))
                    .map(name -> name.substring(0, name.length() - ".class".length()).replace('/', '.'))
                    .filter(name -> !name.endsWith("package-info") && !name.endsWith(".Cublas")).toList();
            assertTrue(names.size() > 30, names.toString());
            assertReason("no cuBLAS: JCublas is not on the class path: add org.jcuda:jcublas",
                    run(jar -> !jar.contains("jcublas"), names));
        }
    }

    @Test
    void withoutItsNatives() throws Exception {
        assertReason("no cuBLAS: no native JCublas2 for this platform", run(jar -> !jar.contains("jcublas-natives"), List.of()));
    }

    @Test
    void withoutTheLibrary() throws Exception {
        List<String> lines = run(jar -> true, List.of());
        assumeTrue(!lines.contains("placed"), "this machine has a cuBLAS of its own");
        assertReason("libcublas.so.13: cannot open shared object file", lines);
    }

    private static void assertReason(String reason, List<String> lines) {
        String text = String.join("\n", lines);
        assertEquals(4, lines.size(), text);
        assertTrue(lines.get(0).startsWith("striped_"), text);
        assertTrue(lines.get(1).contains("ignored what was measured at 1.00 us on this device for 8 rows"), text);
        for (String line : lines.subList(1, 4)) {
            assertTrue(line.contains(reason), () -> "\"" + reason + "\" is not in: " + line + "\nof\n" + text);
        }
    }

    private interface Wanted {
        boolean test(String jar);
    }

    private List<String> run(Wanted wanted, List<String> classes) throws Exception {
        String path = Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator)).filter(wanted::test)
                .collect(Collectors.joining(File.pathSeparator));
        Path tuning = folder.resolve("tuning.json");
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Djava.io.tmpdir=" + folder, "-Djmarlin.cublas=" + Files.createDirectories(folder.resolve("empty")),
                "-Djmarlin.tuning=" + tuning, "-cp", path, CublasAbsenceProgram.class.getName(), tuning.toString()));
        command.addAll(classes);
        ProcessBuilder process = new ProcessBuilder(command).redirectErrorStream(true);
        process.environment().remove("CUBLAS_DIR");
        Process started = process.start();
        String text = new String(started.getInputStream().readAllBytes());
        assertTrue(started.waitFor(60, TimeUnit.SECONDS), text);
        assertEquals(0, started.exitValue(), text);
        return text.lines().toList();
    }
}
