package io.github.jmarlin.cuda.cublas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.bench.gpu.StandInCublas;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** JCublas2 12.6 through the retargeted binding, against a stand-in libcublas.so.13 that looks at every argument. */
class CublasLibraryTest {
    @TempDir
    private Path folder;

    @BeforeEach
    void needsLinuxOnX86() {
        assumeTrue(System.getProperty("os.name").equals("Linux") && System.getProperty("os.arch").equals("amd64"),
                "JCublas has natives for linux-x86_64 only");
    }

    @Test
    void allNineteenArgumentsArriveInCublas13() throws Exception {
        StandInCublas.build("cublas13.c", folder);
        Finished run = callCublas(Map.of(), "-D" + CublasLibrary.FOLDER_PROPERTY + "=" + folder);

        List<String> expected = new ArrayList<>();
        expected.add("cuBLAS 13 from " + folder);
        expected.add("0");
        for (int argument = 0; argument < CublasArguments.COUNT; argument++) {
            expected.add(String.valueOf(1 << argument));
        }
        assertEquals(expected, run.lines(), "a line per call: bit i says that argument i differs");
        assertEquals(0, run.exitCode());
    }

    @Test
    void theEnvironmentNamesTheFolderToo() throws Exception {
        StandInCublas.build("cublas13.c", folder);
        Finished run = callCublas(Map.of("CUBLAS_DIR", folder.toString()));
        assertEquals("cuBLAS 13 from " + folder, run.lines().get(0));
        assertEquals(0, run.exitCode());
    }

    @Test
    void withoutCublasTheReasonNamesBothVersions() throws Exception {
        assumeTrue(CublasLibraryTest.class.getResource("/lib/libJCublas2-12.6.0-linux-x86_64.so") != null,
                "no natives on the class path");
        Path empty = Files.createDirectory(folder.resolve("empty"));
        Finished run = callCublas(Map.of(), "-D" + CublasLibrary.FOLDER_PROPERTY + "=" + empty);
        assumeTrue(run.exitCode() != 0, "this machine has a cuBLAS of its own");
        assertEquals(1, run.exitCode());
        String reason = run.lines().get(0);
        assertTrue(reason.contains("libcublas.so.12: cannot open shared object file"), reason);
        assertTrue(reason.contains("libcublas.so.13: cannot open shared object file"), reason);
    }

    private Finished callCublas(Map<String, String> environment, String... flags) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of(flags));
        command.addAll(List.of("-Djava.io.tmpdir=" + folder, "-cp", System.getProperty("java.class.path"),
                CublasArguments.class.getName()));
        ProcessBuilder process = new ProcessBuilder(command);
        process.environment().remove("CUBLAS_DIR");
        process.environment().remove("LD_LIBRARY_PATH");
        process.environment().putAll(environment);
        return run(process);
    }

    private record Finished(int exitCode, List<String> lines) {
    }

    private static Finished run(ProcessBuilder builder) throws IOException, InterruptedException {
        Process process = builder.redirectErrorStream(true).start();
        List<String> lines = new String(process.getInputStream().readAllBytes()).lines().toList();
        assertTrue(process.waitFor(60, TimeUnit.SECONDS), () -> builder.command() + " did not end");
        return new Finished(process.exitValue(), lines);
    }
}
