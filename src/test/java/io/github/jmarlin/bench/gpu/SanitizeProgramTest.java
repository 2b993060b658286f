package io.github.jmarlin.bench.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.machine.StandIn;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The bundle's C++ program for compute-sanitizer, on the stand-in driver: every form of weights that has it, with one tile. */
@Tag("gpu-on-stand-in")
class SanitizeProgramTest {
    @TempDir
    private Path folder;

    @Test
    void allResultsAreRight() throws Exception {
        assertTrue(run(program()).endsWith("132 products, 0 wrong\n"));
    }

    @Test
    void aWrongResultIsFound() throws Exception {
        String output = run(program("-DSANITIZE_EXPECT_WRONG"));
        assertTrue(output.contains("WRONG striped_f16_sym_g64_m8_n64, m 8, n 64, k 256, grid 1: launch 1: C[0][0] has bits"),
                output);
        assertTrue(output.endsWith("132 products, 132 wrong\n"), output);
    }

    private Path program(String... flags) throws Exception {
        StandIn.assumeLoaded();
        Path program = folder.resolve("sanitize");
        List<String> command = new ArrayList<>(List.of("g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror"));
        command.addAll(List.of(flags));
        command.addAll(List.of("-Isrc/test/cuda", "-Isrc/main/cuda", "-o", program.toString(), "src/test/cuda/sanitize/sanitize.cpp", "-ldl"));
        try {
            Process compiler = new ProcessBuilder(command).redirectErrorStream(true).start();
            String messages = new String(compiler.getInputStream().readAllBytes());
            assertEquals(0, compiler.waitFor(), messages);
        } catch (IOException e) {
            assumeTrue(false, "no g++ to build the program with: " + e.getMessage());
        }
        return program;
    }

    private String run(Path program) throws Exception {
        Process process = new ProcessBuilder(program.toString(), StandIn.images().toString(), "m8_n64")
                .redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes());
        assertEquals(output.endsWith(" 0 wrong\n") ? 0 : 1, process.waitFor(), output);
        return output;
    }
}
