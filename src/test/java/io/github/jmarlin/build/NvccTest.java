package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.build.KernelBuildException.NoCompiler;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Where an nvcc is looked for, and which one is taken. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "the stand-in for nvcc is a shell script")
class NvccTest {
    @TempDir
    Path folder;

    @Test
    void variablesComeBeforePathAndPathBeforeUsualPlaces() throws Exception {
        Path home = install("home", "V13.0.1");
        Path onPath = install("onpath", "V13.0.2");
        Path usual = install("usual", "V13.0.3");
        String path = folder.resolve("empty") + File.pathSeparator + onPath.resolve("bin");
        assertEquals("13.0.1", Nvcc.find(Map.of("CUDA_HOME", home.toString(), "PATH", path), List.of(usual)).version());
        assertEquals("13.0.1", Nvcc.find(Map.of("CUDA_PATH", home.toString(), "PATH", path), List.of(usual)).version());
        assertEquals("13.0.2", Nvcc.find(Map.of("PATH", path), List.of(usual)).version());
        assertEquals("13.0.3", Nvcc.find(Map.of("PATH", folder.toString()), List.of(folder, usual)).version());
        assertEquals(usual.resolve("bin/nvcc"), Nvcc.find(Map.of(), List.of(usual)).path());
    }

    @Test
    void aVariableThatPointsNowhereDoesNotHideTheRest() throws Exception {
        Path usual = install("usual", "V12.0.140");
        assertEquals("12.0.140", Nvcc.find(Map.of("CUDA_HOME", folder.resolve("gone").toString()), List.of(usual)).version());
    }

    @Test
    void tooOldAndBrokenCompilersAreNamedWhenThereIsNoOther() throws Exception {
        Path old = install("old", "Cuda compilation tools, release 11.5, V11.5.119");
        Path mute = install("mute", "hello");
        String message = assertThrows(NoCompiler.class,
                () -> Nvcc.find(Map.of("CUDA_HOME", old.toString()), List.of(mute))).getMessage();
        assertEquals("no usable nvcc: " + old.resolve("bin/nvcc") + " is 11.5.119 and the kernels need 12.0 or newer; "
                + mute.resolve("bin/nvcc") + " does not tell its version", message);
        Path good = install("good", "V13.0.1");
        assertEquals("13.0.1", Nvcc.find(Map.of("CUDA_HOME", old.toString()), List.of(mute, good)).version());
    }

    @Test
    void aFileThatCannotRunIsNotACompiler() throws Exception {
        Path toolkit = install("toolkit", "V13.0.1");
        Files.setPosixFilePermissions(toolkit.resolve("bin/nvcc"), PosixFilePermissions.fromString("rw-r--r--"));
        assertTrue(assertThrows(NoCompiler.class, () -> Nvcc.find(Map.of(), List.of(toolkit))).getMessage()
                .startsWith("no nvcc in "));
    }

    @Test
    void theUnversionedFolderThenTheNewestVersionFirst() {
        assertEquals(List.of("cuda", "cuda-13.1", "cuda-12.10", "cuda-12.6", "cuda-12"),
                Stream.of("cuda-12.6", "cuda-12", "cuda", "cuda-12.10", "cuda-13.1").map(Path::of)
                        .sorted(Comparator.comparing(Nvcc::versionInName, Arrays::compare).reversed()).map(Path::toString).toList());
    }

    private Path install(String name, String version) throws IOException {
        Path nvcc = folder.resolve(name).resolve("bin/nvcc");
        Files.createDirectories(nvcc.getParent());
        Files.writeString(nvcc, "#!/bin/sh\necho '" + version + "'\n");
        Files.setPosixFilePermissions(nvcc, PosixFilePermissions.fromString("rwxr-xr-x"));
        return folder.resolve(name);
    }
}
