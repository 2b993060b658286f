package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.build.KernelBuild.KernelBuildException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The kernel build against a shell script that answers like nvcc and writes down what it was asked to compile. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "the stand-in for nvcc is a shell script")
class KernelBuildTest {
    private static final String CLEAN = "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads";
    private static final List<String> STRIPED_IMAGES = List.of("striped.sm_80.cubin", "striped.sm_90a.cubin", "striped.compute_80.ptx");

    @TempDir
    Path folder;

    private Path cuda;
    private Path sources;
    private final ByteArrayOutputStream console = new ByteArrayOutputStream();

    @BeforeEach
    void writeSourcesAndCompiler() throws IOException {
        sources = folder.resolve("cuda");
        write("common.cuh", "#include <cstdint>\n");
        write("striped/striped.cuh", "#include \"../common.cuh\"\n");
        write("striped/striped.cu", "#include \"striped.cuh\"\n");
        write("hopper/hopper.cu", "// targets: sm_90a\n#include \"common.cuh\"\n");
        cuda = folder.resolve("toolkit");
        installNvcc(cuda, "13.0.88", CLEAN);
    }

    @Test
    void compilesEveryFamilyForItsTargetsAndDescribesThem() throws Exception {
        build("auto");
        assertEquals(Stream.concat(Stream.of("hopper.sm_90a.cubin"), STRIPED_IMAGES.stream()).sorted().toList(), compiled());
        String manifest = Files.readString(published().resolve("images.properties"));
        assertTrue(manifest.contains("nvcc=13.0.88\n"), manifest);
        assertTrue(manifest.contains("images=hopper.sm_90a.cubin,striped.sm_80.cubin,striped.sm_90a.cubin,striped.compute_80.ptx\n"),
                manifest);
        assertTrue(manifest.contains("striped.sm_90a.cubin.flags=-std=c++17 -O3 -I. --Werror=all-warnings -Xptxas=-v -cubin "
                + "-gencode=arch=compute_90a,code=sm_90a\n"), manifest);
        assertTrue(manifest.contains("striped.compute_80.ptx.flags=-std=c++17 -O3 -I. --Werror=all-warnings -Xptxas=-v -ptx "
                + "-arch=compute_80\n"), manifest);
        for (String image : STRIPED_IMAGES) {
            assertEquals("image " + image, Files.readString(published().resolve(image)).trim());
        }
        String report = Files.readString(folder.resolve("target/kernel-report.txt"));
        assertTrue(report.lines().anyMatch(line -> line.matches("striped_entry +sm_80 +40 +1024 +0 +0 +0")), report);
    }

    @Test
    void compilesOnlyWhatChanged() throws Exception {
        build("auto");
        assertEquals(4, compiled().size());
        build("auto");
        assertEquals(List.of(), compiled(), "nothing changed");

        write("striped/striped.cuh", "#include \"../common.cuh\"\n// changed\n");
        build("auto");
        assertEquals(STRIPED_IMAGES.stream().sorted().toList(), compiled(), "a header of one family");

        write("common.cuh", "// changed\n");
        build("auto");
        assertEquals(4, compiled().size(), "a header that both families include, one of them through another header");

        write("striped/unused.cuh", "// new\n");
        build("auto");
        assertEquals(List.of(), compiled(), "a header that nobody includes");

        installNvcc(cuda, "13.1.0", CLEAN);
        build("auto");
        assertEquals(4, compiled().size(), "another nvcc");
    }

    @Test
    void spillOrStackFrameFailsEveryTime() throws Exception {
        for (String frame : List.of("8 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads",
                "0 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads",
                "0 bytes stack frame, 0 bytes spill stores, 12 bytes spill loads")) {
            installNvcc(cuda, "13.0." + Math.abs(frame.hashCode()), frame);
            for (int run = 0; run < 2; run++) {
                String message = assertThrows(KernelBuildException.class, () -> build("auto")).getMessage();
                assertTrue(message.contains("striped_entry for sm_80: " + frame.replace(" frame", "")), message);
                assertTrue(message.contains("all must be 0"), message);
            }
            assertFalse(Files.exists(published().resolve("striped.sm_80.cubin")), "an image that spills must not be published");
        }
    }

    /** setmaxnreg hands registers on from as many as the kernel starts with; with fewer its warps would wait for ever. */
    @Test
    void anotherNumberOfRegistersThanTheSourceCountsOnFails() throws Exception {
        Path hopper = sources.resolve("hopper/hopper.cu");
        String source = Files.readString(hopper);
        build("auto");
        Files.writeString(hopper, source + "// registers: 40\n");     // what the stand-in for nvcc says
        build("auto");
        Files.writeString(hopper, source + "// registers: 168\n");
        String message = assertThrows(KernelBuildException.class, () -> build("auto")).getMessage();
        assertTrue(message.contains(" for sm_90a: 40 registers, its source counts on 168"), message);
    }

    @Test
    void serializedTensorCoreInstructionsFail() throws Exception {
        String warning = "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized";
        installNvcc(cuda, "13.0.1", CLEAN + "\n" + warning);
        assertTrue(assertThrows(KernelBuildException.class, () -> build("auto")).getMessage().contains("C7510"));
    }

    @Test
    void withoutNvccOneLineAndNoImages() throws Exception {
        build("auto");
        console.reset();
        new KernelBuild("auto", sources, folder.resolve("target"), published(), new PrintStream(console)).run(Map.of(), List.of());
        assertEquals("kernels: no nvcc in CUDA_HOME, CUDA_PATH, PATH or the usual places; building without CUDA kernels, "
                + "the CPU path works\n", console.toString(StandardCharsets.UTF_8));
        assertFalse(Files.exists(published()), "images of an earlier build must not stay in the jar");
    }

    @Test
    void withoutNvccRequiredFails() {
        String message = assertThrows(KernelBuildException.class, () -> new KernelBuild("required", sources, folder.resolve("target"),
                published(), new PrintStream(console)).run(Map.of(), List.of())).getMessage();
        assertEquals("no nvcc in CUDA_HOME, CUDA_PATH, PATH or the usual places, and -Djmarlin.kernels=required", message);
    }

    @Test
    void skipSaysNothingAndCompilesNothing() throws Exception {
        build("skip");
        assertEquals("", console.toString(StandardCharsets.UTF_8));
        assertEquals(List.of(), compiled());
        assertFalse(Files.exists(published()));
    }

    @Test
    void unknownModeIsRefused() {
        String message = assertThrows(KernelBuildException.class, () -> build("requierd")).getMessage();
        assertEquals("-Djmarlin.kernels=requierd: must be auto, required or skip", message);
    }

    @Test
    void compilerErrorFailsWithItsOutput() throws Exception {
        installNvcc(cuda, "13.0.88", CLEAN);
        write("striped/striped.cu", "syntax error\n");
        String message = assertThrows(KernelBuildException.class, () -> build("auto")).getMessage();
        assertTrue(message.contains("nvcc failed with status 2"), message);
        assertTrue(message.contains("error: syntax error"), message);
    }

    @Test
    void nvccWithoutHostCompilerCountsAsMissing() throws Exception {
        Files.writeString(cuda.resolve("bin/nvcc"), "#!/bin/sh\n[ \"$1\" = --version ] && echo V13.0.88 && exit 0\n"
                + "echo 'nvcc fatal   : Failed to preprocess host compiler properties.' >&2; exit 1\n");
        build("auto");
        assertEquals("kernels: " + cuda.resolve("bin/nvcc") + " does not work: nvcc fatal   : Failed to preprocess host compiler "
                + "properties.; building without CUDA kernels, the CPU path works\n", console.toString(StandardCharsets.UTF_8));
    }

    @Test
    void entryPointsInASecondFileAreRefused() throws Exception {
        write("striped/more.cu", "");
        String message = assertThrows(KernelBuildException.class, () -> build("auto")).getMessage();
        assertTrue(message.startsWith("kernel family striped: its entry points belong in " + Path.of("striped/striped.cu")), message);
    }

    // ---- helpers ----

    private void build(String mode) throws Exception {
        new KernelBuild(mode, sources, folder.resolve("target"), published(), new PrintStream(console))
                .run(Map.of("CUDA_HOME", cuda.toString(), "PATH", ""), List.of());
    }

    private Path published() {
        return folder.resolve("target/classes/images");
    }

    /** Names of the images compiled since the last call, sorted. */
    private List<String> compiled() throws IOException {
        Path log = cuda.resolve("compiled.txt");
        List<String> names = Files.exists(log) ? Files.readAllLines(log).stream().sorted().toList() : List.of();
        Files.deleteIfExists(log);
        return names;
    }

    private void write(String name, String text) throws IOException {
        Path file = sources.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    /** {@code frame}: the line (and what else) that its ptxas prints below "Function properties". */
    private static void installNvcc(Path toolkit, String version, String frame) throws IOException {
        Path nvcc = toolkit.resolve("bin/nvcc");
        Files.createDirectories(nvcc.getParent());
        Files.writeString(nvcc, """
                #!/bin/sh
                case "$*" in
                  --version) echo "Cuda compilation tools, release 13.0, V%s"; exit 0;;
                  "-E "*) exit 0;;
                esac
                for last; do :; done
                while [ "$1" != -o ]; do
                  case "$1" in *code=*) target=${1##*code=};; esac
                  shift
                done
                image=$(basename "$2" .tmp)
                if grep -q 'syntax error' "$last"; then echo "$last(1): error: syntax error" >&2; exit 2; fi
                echo "$image" >> '%s'
                echo "image $image" > "$2"
                if [ -n "$target" ]; then
                  cat >&2 <<END
                ptxas info    : 0 bytes gmem
                ptxas info    : Compiling entry function 'striped_entry' for '$target'
                ptxas info    : Function properties for striped_entry
                    %s
                ptxas info    : Used 40 registers, used 1 barriers, 1024 bytes smem, 400 bytes cmem[0]
                END
                fi
                """.formatted(version, toolkit.resolve("compiled.txt"), frame));
        Files.setPosixFilePermissions(nvcc, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
}
