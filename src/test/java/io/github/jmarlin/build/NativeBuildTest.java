package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.build.NativeBuild.NativeBuildException;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The build with compilers that are shell scripts: what is compiled when, and what is said if nothing can be. */
@DisabledOnOs(OS.WINDOWS)
class NativeBuildTest {
    private static final String NO_LIBRARY = "; building without native CPU kernels, Java multiplies\n";

    private final ByteArrayOutputStream console = new ByteArrayOutputStream();

    @TempDir
    private Path folder;

    @BeforeEach
    void makeTree() throws Exception {
        for (String path : new String[] {"bin", "src", "jdk/include"}) {
            Files.createDirectories(folder.resolve(path));
        }
        Files.writeString(folder.resolve("src/a.c"), "int a;");
        Files.writeString(folder.resolve("src/a.h"), "");
        Files.writeString(folder.resolve("jdk/include/jni.h"), "");
    }

    @Test
    void compilesForEveryPlatformAndAgainOnlyIfSomethingChanged() throws Exception {
        install("gcc", "12", "#define __x86_64__ 1", "GLIBC_2.14");
        install("aarch64-linux-gnu-gcc", "12", "#define __aarch64__ 1", "GLIBC_2.17");
        build("auto");
        assertEquals("gcc: GLIBC_2.14\n", Files.readString(library("linux-x86_64")));
        assertEquals("aarch64-linux-gnu-gcc: GLIBC_2.17\n", Files.readString(library("linux-aarch64")));
        assertEquals(2, compilations());
        build("auto");
        assertEquals(0, compilations());
        Files.writeString(folder.resolve("src/a.h"), "// changed");
        build("auto");
        assertEquals(2, compilations());
        install("gcc", "13", "#define __x86_64__ 1", "GLIBC_2.14");
        build("auto");
        assertEquals(1, compilations());
        build("skip");
        assertFalse(Files.exists(folder.resolve("out")));
    }

    @Test
    void whatCannotCompileIsOneLine() throws Exception {
        build("auto");
        assertEquals("native: no gcc in CC or PATH" + NO_LIBRARY, said());
        install("gcc", "10", "#define __x86_64__ 1", "");
        install("cc", "14", "#define __x86_64__ 1\n#define __clang__ 1", "");
        build("auto");
        assertEquals("native: no usable gcc: " + folder.resolve("bin/gcc") + " is gcc 10.1, and 11 or newer is needed; "
                + folder.resolve("bin/cc") + " is 14.1, no gcc" + NO_LIBRARY, said());
        install("gcc-11", "11", "#define __riscv 1", "");
        build("auto");
        assertTrue(said().contains(folder.resolve("bin/gcc-11") + " compiles for neither x86-64 nor arm64"));
        Files.delete(folder.resolve("jdk/include/jni.h"));
        build("auto");
        assertEquals("native: no " + folder.resolve("jdk/include/jni.h") + ", which a JDK has" + NO_LIBRARY, said());
    }

    @Test
    void requiredMeansRequired() throws Exception {
        assertEquals("no gcc in CC or PATH, and -Djmarlin.native=required",
                assertThrows(NativeBuildException.class, () -> build("required")).getMessage());
        assertEquals("-Djmarlin.native=maybe: must be auto, required or skip",
                assertThrows(NativeBuildException.class, () -> build("maybe")).getMessage());
    }

    @Test
    void aLibraryForNewerSystemsOnlyFailsTheBuild() throws Exception {
        install("gcc", "12", "#define __x86_64__ 1", "GLIBC_2.34");
        assertEquals("the library for linux-x86_64 needs GLIBC_2.34, at most GLIBC_2.28 is allowed",
                assertThrows(NativeBuildException.class, () -> build("auto")).getMessage());
        install("gcc", "12", "#define __x86_64__ 1", "GLIBC_2.28");
        build("auto");
        assertTrue(Files.exists(library("linux-x86_64")));
    }

    @Test
    void errorsOfTheCompilerAreShown() throws Exception {
        install("gcc", "12", "#define __x86_64__ 1", "");
        Files.writeString(folder.resolve("src/a.c"), "syntax error");
        String message = assertThrows(NativeBuildException.class, () -> build("auto")).getMessage();
        assertEquals(folder.resolve("bin/gcc") + " failed with status 1\na.c:1: error\n", message);
    }

    private void build(String mode) throws Exception {
        new NativeBuild(mode, folder.resolve("src"), folder.resolve("build"), folder.resolve("out"), new PrintStream(console))
                .run(Map.of("PATH", folder.resolve("bin").toString()), folder.resolve("jdk"), "Linux");
    }

    private Path library(String platform) {
        return folder.resolve("out").resolve(platform).resolve("libjmarlin.so");
    }

    /** What was printed since the last call. */
    private String said() {
        String text = console.toString(StandardCharsets.UTF_8);
        console.reset();
        return text;
    }

    private long compilations() throws Exception {
        Path log = folder.resolve("compilations");
        List<String> lines = Files.exists(log) ? Files.readAllLines(log) : List.of();
        Files.deleteIfExists(log);
        return lines.size();
    }

    private void install(String name, String major, String macros, String symbols) throws Exception {
        Path script = folder.resolve("bin").resolve(name);
        Files.writeString(script, """
                #!/bin/sh
                case "$*" in *" -dM "*)
                  printf '#define __GNUC__ %1$s\\n#define __VERSION__ "%1$s.1"\\n#define _STRING_H 1\\n%2$s\\n'
                  exit 0;;
                esac
                while [ "$1" != -o ]; do shift; done
                [ "$(cat a.c)" = 'syntax error' ] && { echo 'a.c:1: error' >&2; exit 1; }
                echo "%3$s: %4$s" > "$2"
                echo "%3$s" >> '%5$s'
                """.formatted(major, macros.replace("\n", "\\n"), name, symbols, folder.resolve("compilations")));
        Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
}
