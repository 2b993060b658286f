package io.github.jmarlin.bench.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Builds stand-in cuBLAS libraries from {@code src/test/c} with gcc. */
public final class StandInCublas {
    private static final Path SOURCES = Path.of("src/test/c");

    private StandInCublas() {
    }

    /** Leaves {@code libcublas.so.13} in a folder; skips the test where there is no gcc. */
    public static void build(String source, Path folder) throws IOException, InterruptedException {
        Process gcc;
        try {
            gcc = new ProcessBuilder(List.of("gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror",
                    "-o", folder.resolve("libcublas.so.13").toString(), SOURCES.resolve(source).toString(),
                    "-Wl,-soname,libcublas.so.13",
                    "-Wl,--version-script=" + SOURCES.resolve("cublas13.map"), "-ldl")).redirectErrorStream(true).start();
        } catch (IOException e) {
            assumeTrue(false, "no gcc to build the stand-in cuBLAS with: " + e.getMessage());
            return;
        }
        String messages = new String(gcc.getInputStream().readAllBytes());
        assertEquals(0, gcc.waitFor(), messages);
    }
}
