package io.github.jmarlin.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The AMX kernels in a JVM of its own, whose library emulates their few tile instructions ({@code src/test/c/amx_emulator.c}), on any
 * processor with AVX-512 VNNI. This says that they compute what they should, not how fast.
 */
@Tag("long")
@Tag("source-tree")
class AmxEmulationTest {
    private static final Path SOURCES = Path.of("src/main/c").toAbsolutePath();

    @TempDir
    private Path folder;

    /** The library that this JVM's class path holds, with the emulator in it, to be found first. */
    @BeforeEach
    void compile() throws Exception {
        assumeTrue(InstructionSet.VNNI.isAvailable(), "no AVX-512 VNNI");
        Path javaHome = Path.of(System.getProperty("java.home"));
        Path library = folder.resolve("io/github/jmarlin/cpu").resolve(NativeCpu.resource("Linux", System.getProperty("os.arch")));
        Files.createDirectories(library.getParent());
        List<String> command = new ArrayList<>(List.of("gcc", "-std=gnu11", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fPIC",
                "-shared", "-Wall", "-Wextra", "-Werror", "-I" + javaHome.resolve("include"), "-I" + javaHome.resolve("include/linux"), "-I" + SOURCES,
                "-o", library.toString(), "src/test/c/amx_emulator.c"));
        try (var files = Files.list(SOURCES)) {
            files.map(Path::toString).filter(file -> file.endsWith(".c") && !file.endsWith("amx_permission.c")).sorted()
                    .forEach(command::add);
        }
        successful(Finished.of(command));
    }

    @Test
    void amxIsTakenAndHasTheBitsOfTheOthers() throws Exception {
        assertEquals(List.of("AMX", "equal bits"), jvm(AmxProgram.class, ""));
    }

    @Test
    void amxThatComputesSomethingElseIsNotTaken() throws Exception {
        assertEquals(List.of("64 results, AVX-512 VNNI (no AMX: its first products were wrong)"), jvm(CpuPathProgram.class, "wrong"));
    }

    private List<String> jvm(Class<?> program, String emulator) throws InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(Finished.java(program, folder + ":" + System.getProperty("java.class.path")));
        builder.environment().put("AMX_EMULATOR", emulator);
        return successful(Finished.of(builder)).lines().toList();
    }

    private static String successful(Finished finished) {
        assertEquals(0, finished.status(), finished.output());
        return finished.output();
    }
}
