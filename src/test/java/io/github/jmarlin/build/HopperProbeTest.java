package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The bundle's probe is made of the kernels' own headers, and only the bundle compiles it. */
@Tag("long")
@Tag("source-tree")
class HopperProbeTest {
    @TempDir
    Path folder;

    @Test
    void itCompilesWithTheHeadersAsTheyAre() throws Exception {
        CommandResult result = CommandResult.of(List.of(MachineCode.nvcc().path().toString(), "-std=c++17", "-O3", "-Isrc/main/cuda",
                "-gencode=arch=compute_90a,code=sm_90a", "-o", folder.resolve("hopper_probe").toString(), "src/bench/cuda/hopper_probe.cu"), null);
        assertEquals(0, result.status(), result.output());
    }
}
