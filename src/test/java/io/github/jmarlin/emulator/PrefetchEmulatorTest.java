package io.github.jmarlin.emulator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a kernel fetches ahead is what the next one reads first. The cases: {@code src/test/cuda/prefetch/prefetch_test.cpp}. */
class PrefetchEmulatorTest {
    private static final EmulatorBuild BUILD = EmulatorBuild.ofProject();

    @Test
    void everyBlocksFirstReadsAreFetched() throws IOException {
        assumeTrue(BUILD.unavailable().isEmpty(), () -> BUILD.unavailable().orElse(""));
        Path program = BUILD.program("prefetch_test", List.of(Path.of("src/test/cuda/prefetch/prefetch_test.cpp")),
                List.of("-I" + Path.of(System.getProperty("basedir", "")).toAbsolutePath().resolve("src/test/cuda")));
        List<String> lines = StripedProgram.run(program);
        List<String> failed = lines.stream().filter(line -> !line.startsWith("ok ")).toList();
        assertTrue(failed.isEmpty(), () -> String.join("\n", failed));
        assertEquals(78, lines.size());
    }
}
