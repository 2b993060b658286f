package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.build.Targets.Phase;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The containers of machine code, and which driver they are for. */
@Tag("source-tree")
class MachineCodeTest {
    @TempDir
    Path folder;

    /** What a release can carry for drivers before R580, given an assembler from then: {@code -Djmarlin.ptxas=FILE}. */
    @Test
    void anAssemblerOfCuda12WritesTheContainerOfCuda12() throws Exception {
        String named = System.getProperty("jmarlin.ptxas", "auto");
        assumeTrue(!named.equals("auto"), "no ptxas of CUDA 12 is named: -Djmarlin.ptxas=FILE");
        String version = Ptxas.of(Path.of(named)).version();
        assumeTrue(version.startsWith("12."), "-Djmarlin.ptxas=" + named + " is " + version + ", not of CUDA 12");
        List<Path> images = MachineCode.assemble("striped_m8_n64", List.of("sm_80", "sm_86", "sm_89", "sm_90a"), folder);
        images.addAll(MachineCode.assemble("hopper_m8_n128_p1_s1", List.of("sm_90a"), folder));
        for (Path image : images) {
            assertEquals(7, Ptxas.elfAbi(image), image + " by ptxas " + version);
        }
        for (Path image : MachineCode.assemble("gather", List.of("sm_100", "sm_120"), folder)) {
            assertEquals(8, Ptxas.elfAbi(image), image + " by the ptxas of nvcc");
        }
    }

    @Test
    @Tag("long")
    void everyInstanceAssemblesForEveryTargetWithoutASpill() throws Exception {
        MachineCode.nvcc();
        ByteArrayOutputStream console = new ByteArrayOutputStream();
        new KernelBuild(Phase.PACKAGE, "required", "all", System.getProperty("jmarlin.ptxas", "auto"), Path.of("src/main/cuda"),
                Path.of("target"), folder.resolve("images"), new PrintStream(console)).run(System.getenv(), Nvcc.usualPlaces(), List.of());
        assertFalse(console.toString(StandardCharsets.UTF_8).matches("(?s).*nvcc \\S+ makes.*"),
                "Maven made the texts with the same programs: they are made once\n" + console);
        String manifest = Files.readString(folder.resolve("images/images.properties"));
        int kernels = 0;
        for (Path image : KernelSources.sorted(folder.resolve("images"), file -> file.toString().endsWith(".cubin"))) {
            String name = image.getFileName().toString();
            kernels += PtxasLog.parse(Files.readString(Path.of("target/kernels", name + ".log"))).size();
            assertTrue(manifest.contains(name + ".elf.abi=" + Ptxas.elfAbi(image) + "\n"), name);
            if (manifest.contains(name + ".ptxas=12.") && name.matches(".*sm_[89].*")) {
                assertEquals(7, Ptxas.elfAbi(image), name);
            }
        }
        int striped = 8 * 8 + 5 * 4 + 5 * 6 + 3 * 14 + 5 * 4;       // tiles, of each entries: int4, float zeros, fp4, 8 bits, sparse
        int dequantize = 10 + 4 + 6 + 14 + 4;
        int everywhere = striped + dequantize + 1 + 19 + 1;         // gather, decoder, empty
        int halves = 2 * 8;                                         // for 8.6, 8.9 and 12.0
        int hopper = 24 * 8 + 6 * 4 + 6 * 10 + 6 * 4;
        assertEquals(6 * everywhere + 3 * halves + hopper, kernels, "kernels in all images");
    }

    @Test
    void leastDriversAreThoseOfTheReleaseNotes() {
        assertEquals("R470 (CUDA 11.4)", LeastDriver.ofPtx("7.4"));
        assertEquals("R525 (CUDA 12.0)", LeastDriver.ofPtx("8.0"));
        assertEquals("R580 (CUDA 13.0)", LeastDriver.ofPtx("9.0"));
        assertThrows(KernelBuildException.class, () -> LeastDriver.ofPtx("9.9"));
        assertEquals("R525 (CUDA 12.0)", LeastDriver.ofPtxas("12.4.131"));
        assertEquals("R525 (CUDA 12.0)", LeastDriver.ofPtxas("12.6.77"));
        assertEquals("R570 (CUDA 12.8)", LeastDriver.ofPtxas("12.8.93"));
        assertEquals("R570 (CUDA 12.8)", LeastDriver.ofPtxas("12.9.86"));
        assertEquals("R580 (CUDA 13.0)", LeastDriver.ofPtxas("13.0.88"));
    }

    @Test
    void whatIsNoElfFileHasNoAbi() throws IOException {
        Path file = Files.writeString(folder.resolve("x.cubin"), ".version 7.4 and more");
        assertThrows(KernelBuildException.class, () -> Ptxas.elfAbi(file));
    }
}
