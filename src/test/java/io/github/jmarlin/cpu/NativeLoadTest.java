package io.github.jmarlin.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A JVM of its own for whatever keeps the library from loading: it computes all the same, and says why not natively. */
class NativeLoadTest {
    private static final String FAILED = "64 results, Java (the native kernels cannot be loaded: ";

    @TempDir
    private Path folder;

    @BeforeAll
    static void needsTheLibrary() {
        assumeTrue(NativeCpu.unavailableReason().isEmpty(), NativeCpu::unavailableReason);
    }

    @Test
    void theFastestIsTakenAndNothingIsLeftInTheTemporaryFolder() throws Exception {
        assertEquals("64 results, " + InstructionSet.available().get(0).title(), run("-Djava.io.tmpdir=" + folder));
        try (Stream<Path> left = Files.list(folder)) {
            assertEquals(List.of(), left.filter(file -> file.getFileName().toString().startsWith("jmarlin")).toList());
        }
    }

    @Test
    void thePropertyForcesOne() throws Exception {
        for (InstructionSet set : InstructionSet.available()) {
            assertEquals("64 results, " + set.title() + " (-Djmarlin.cpu=" + set.name() + ")", run("-Djmarlin.cpu=" + set.name()));
        }
    }

    @Test
    void noTemporaryFolderIsAReason() throws Exception {
        Path none = folder.resolve("none");
        assertTrue(run("-Djava.io.tmpdir=" + none).startsWith(FAILED + "NoSuchFileException: " + none), () -> none.toString());
    }

    /** As a mount without execute rights: the loader refuses to map the copy. */
    @Test
    void aFolderWithoutExecuteRightsIsAReason() throws Exception {
        Path mounted = Files.createDirectory(folder.resolve("noexec"));
        boolean isMounted = Finished.of(List.of("mount", "-t", "tmpfs", "-o", "noexec", "none", mounted.toString())).status() == 0;
        assumeTrue(isMounted, "cannot mount here");
        try {
            assertTrue(run("-Djava.io.tmpdir=" + mounted).startsWith(FAILED + "UnsatisfiedLinkError: " + mounted), mounted::toString);
        } finally {
            Finished.of(List.of("umount", mounted.toString()));
        }
    }

    /** The last line that the program prints. */
    private static String run(String option) throws InterruptedException {
        Finished finished = Finished.of(Finished.java(CpuPathProgram.class, System.getProperty("java.class.path"), option));
        assertEquals(0, finished.status(), finished.output());
        return finished.output().lines().reduce("", (before, line) -> line);
    }
}
