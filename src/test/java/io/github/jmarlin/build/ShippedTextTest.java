package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.build.KernelSources.Family;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The PTX of this build: what ships is what the tests' machine executes, and names nothing of the machine it was made on. */
@Tag("source-tree")
class ShippedTextTest {
    private static final Path SHIPPED = Path.of("target/classes/io/github/jmarlin/cuda/images");
    private static final Path LINED = Path.of("target/kernels/lined");

    @TempDir
    Path folder;

    @Test
    void theTextWithLinesMinusTheseIsTheOneThatShips() throws IOException {
        List<Path> texts = texts();
        assertTrue(texts.size() >= 2 * (8 + 2) + 24, texts.size() + " texts");
        for (Path text : texts) {
            String shipped = Files.readString(text);
            String lined = Files.readString(LINED.resolve(text.getFileName()));
            assertTrue(lined.contains("\t.loc\t"), text + " has no lines to take out");
            assertTrue(PtxText.withoutLines(lined).equals(shipped), text + " is not what the tests execute");
        }
    }

    @Test
    void nothingOfThisMachineShips() throws IOException {
        String here = Path.of("").toAbsolutePath().toString();
        for (Path text : texts()) {
            String shipped = Files.readString(text);
            assertTrue(Files.readString(LINED.resolve(text.getFileName())).contains(here), "the text with lines names files of " + here);
            assertFalse(shipped.contains(here), text + " contains " + here);
            for (String trace : List.of(".file", ".loc", ".debug", "$L__info_string", ".cu\"", ".cuh\"")) {
                assertFalse(shipped.contains(trace), text + " contains " + trace);
            }
        }
    }

    @Test
    void textsSayTheVersionOfTheirFamilyAndTarget() throws IOException {
        for (Path text : texts()) {
            String name = text.getFileName().toString();
            String version = name.matches("(striped|hopper)_sp24_.*") ? "8.5" : name.contains("90a") ? "8.0" : "7.4";
            assertTrue(Files.readString(text).contains("\n.version " + version + "\n"), name);
        }
    }

    /** Lines are asked for and taken out again: the compiler writes the same instructions when it is not asked. */
    @Test
    void sourceLinesChangeNoInstruction() throws Exception {
        texts();
        Nvcc nvcc = MachineCode.nvcc();
        Path sources = Path.of("src/main/cuda");
        for (Family family : new KernelSources(sources).families()) {
            if (!family.name().equals(family.folder())) {
                continue;       // other entries of the same kernels
            }
            KernelImage image = family.images("compute_90a").findFirst().orElseThrow();
            Path plain = folder.resolve(image.fileName());
            List<String> command = new ArrayList<>(List.of(nvcc.path().toString()));
            Nvcc.flags(image).stream().filter(flag -> !flag.equals("-lineinfo")).forEach(command::add);
            command.addAll(List.of("-o", plain.toAbsolutePath().toString(), family.entryName()));
            CommandResult result = CommandResult.of(command, sources);
            assertEquals(0, result.status(), result.output());
            String shipped = Files.readString(SHIPPED.resolve(image.fileName()));
            assertTrue(PtxText.lowered(Files.readString(plain), image.ptxVersion()).equals(shipped),
                    image.fileName() + " differs from what nvcc writes without -lineinfo");
        }
    }

    private static List<Path> texts() throws IOException {
        assumeTrue(Files.isDirectory(SHIPPED), "this build has no kernels");
        List<Path> texts = KernelSources.sorted(SHIPPED, file -> file.toString().endsWith(".ptx")
                && !file.getFileName().toString().startsWith("empty"));
        assumeTrue(!texts.isEmpty(), "this build has no PTX");
        return texts;
    }
}
