package io.github.jmarlin.checkpoint.packed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What fails half-way frees its native memory itself: the garbage collector may come too late for the next one. */
class FreedAtOnceTest {
    @Test
    void nothingStaysAllocatedAfterAFailure(@TempDir Path folder) throws Exception {
        Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256m",
                "-XX:MaxDirectMemorySize=" + FreedAtOnceProgram.LIMIT, "-cp", System.getProperty("java.class.path"),
                FreedAtOnceProgram.class.getName(), folder.toString()).redirectErrorStream(true).start();
        String text = new String(process.getInputStream().readAllBytes());
        assertTrue(process.waitFor(60, TimeUnit.SECONDS), text);
        assertEquals(0, process.exitValue(), text);
        List<String> lines = text.lines().toList();
        assertEquals(3 * 6 + 2, lines.size(), text);
        assertTrue(lines.stream().allMatch(line -> line.endsWith(": 0 bytes stay allocated")), text);
    }
}
