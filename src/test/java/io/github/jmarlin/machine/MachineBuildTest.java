package io.github.jmarlin.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Test classes that run at the same time all ask for the machine. */
@Tag("source-tree")
class MachineBuildTest {
    @Test
    void threadsThatBuildAtOnceWaitForOneAnother() throws Exception {
        MachineBuild first = MachineBuild.ofProject();
        assumeTrue(first.unavailable().isEmpty(), () -> first.unavailable().orElse(""));
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            List<Future<Path>> built = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                built.add(threads.submit(() -> MachineBuild.ofProject().standIn()));
            }
            for (Future<Path> library : built) {
                assertEquals(built.get(0).get(), library.get());
                assertTrue(Files.exists(library.get()));
            }
        } finally {
            threads.shutdownNow();
        }
    }
}
