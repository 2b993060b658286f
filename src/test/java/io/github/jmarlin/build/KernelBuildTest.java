package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.build.Targets.Phase;
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

/** The kernel build against shell scripts that answer like nvcc and ptxas and write down what they were asked to make. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "the stand-ins for nvcc and ptxas are shell scripts")
class KernelBuildTest {
    private static final String CLEAN = "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads";
    private static final List<String> STRIPED_PTX = List.of("striped_m16.compute_80.ptx", "striped_m8.compute_80.ptx");
    private static final List<String> STRIPED = List.of("striped_m16.compute_80.ptx", "striped_m16.sm_80.cubin",
            "striped_m8.compute_80.ptx", "striped_m8.sm_80.cubin");
    private static final List<String> HOPPER = List.of("hopper.compute_90a.ptx", "hopper.sm_90a.cubin");
    private static final List<String> ALL = Stream.concat(HOPPER.stream(), STRIPED.stream()).toList();

    @TempDir
    Path folder;

    private Path cuda;
    private Path sources;
    private final ByteArrayOutputStream console = new ByteArrayOutputStream();

    @BeforeEach
    void writeSourcesAndCompiler() throws IOException {
        sources = folder.resolve("cuda");
        write("common.cuh", "#include <cstdint>\n");
        write("striped/striped.cuh", "#include \"../common.cuh\"\n#define T(TILE, ...) TILE(__VA_ARGS__, 8) TILE(__VA_ARGS__, 16)\n");
        write("striped/striped.cu", "// targets: sm_80 compute_80\n// tiles: m\n#include \"striped.cuh\"\n");
        write("hopper/hopper.cu", "// targets: sm_90a compute_90a\n#include \"common.cuh\"\n");
        cuda = folder.resolve("toolkit");
        installCompiler("13.0.88", CLEAN);
    }

    @Test
    void compilesEveryTileForItsTargetsAndDescribesThem() throws Exception {
        build("required");
        assertEquals(ALL, made());
        String manifest = Files.readString(published().resolve("images.properties"));
        assertTrue(manifest.contains("nvcc=13.0.88\n"), manifest);
        assertTrue(manifest.contains("images=hopper.sm_90a.cubin,hopper.compute_90a.ptx,striped_m8.sm_80.cubin,striped_m16.sm_80.cubin,"
                + "striped_m8.compute_80.ptx,striped_m16.compute_80.ptx\n"), manifest);
        assertTrue(manifest.contains("striped_m8.compute_80.ptx.flags=-std=c++17 -O3 -I. --Werror=all-warnings -lineinfo -ptx "
                + "-arch=compute_80 -DJMARLIN_TILE=8\n"), manifest);
        assertTrue(manifest.contains("striped_m8.sm_80.cubin.flags=-O3 --warning-as-error -v -arch=sm_80\n"), manifest);
        assertTrue(manifest.contains("striped_m8.sm_80.cubin.ptx=7.4\n"), manifest);
        assertTrue(manifest.contains("striped_m8.sm_80.cubin.ptxas=13.0.88\n"), manifest);
        assertTrue(manifest.contains("striped_m8.sm_80.cubin.elf.abi=8\n"), manifest);
        assertTrue(manifest.contains("striped_m8.sm_80.cubin.driver=R580 (CUDA 13.0)\n"), manifest);
        assertTrue(manifest.contains("hopper.compute_90a.ptx.ptx=8.0\n"), manifest);
        assertTrue(manifest.contains("hopper.compute_90a.ptx.driver=R525 (CUDA 12.0)\n"), manifest);
        assertFalse(manifest.contains("hopper.compute_90a.ptx.ptxas"), manifest);
        assertEquals(ALL.stream().sorted().toList(), publishedNames());
        String report = Files.readString(folder.resolve("target/kernel-report.txt"));
        assertTrue(report.lines().anyMatch(line -> line.matches("striped_entry +sm_80 +40 +1024 +0 +0 +0")), report);
    }

    /** Machine code is made of the very text that ships; the tests' machine gets the same text with source lines. */
    @Test
    void theTextThatShipsIsTheLinedOneWithoutItsLines() throws Exception {
        build("required");
        for (String name : STRIPED_PTX) {
            String shipped = Files.readString(published().resolve(name));
            String lined = Files.readString(folder.resolve("target/kernels/lined").resolve(name));
            assertTrue(lined.contains("\t.loc\t1 1 1\n") && lined.contains("\t.file\t1 \"" + sources.toRealPath()), lined);
            assertEquals(shipped, PtxText.withoutLines(lined));
            assertFalse(shipped.contains(".loc") || shipped.contains(".file") || shipped.contains(folder.toString()), shipped);
            assertTrue(shipped.startsWith(".version 7.4\n"), shipped);
            String code = Files.readString(published().resolve(name.replace("compute_80.ptx", "sm_80.cubin")));
            assertEquals("code of " + shipped, code.substring(code.indexOf("code of ")));
        }
    }

    @Test
    void compilesOnlyWhatChanged() throws Exception {
        build("required");
        assertEquals(ALL, made());
        build("required");
        assertEquals(List.of(), made(), "nothing changed");

        write("striped/striped.cuh", Files.readString(sources.resolve("striped/striped.cuh")) + "// changed\n");
        build("required");
        assertEquals(STRIPED_PTX, made(), "a header of one family; its text stays the same, and with it the machine code");

        write("common.cuh", "// changed\n");
        build("required");
        assertEquals(Stream.concat(Stream.of("hopper.compute_90a.ptx"), STRIPED_PTX.stream()).toList(), made(),
                "a header that both families include, one of them through another header");

        write("striped/unused.cuh", "// new\n");
        build("required");
        assertEquals(List.of(), made(), "a header that nobody includes");

        write("striped/striped.cu", Files.readString(sources.resolve("striped/striped.cu")) + "// ptx: 8.0\n");
        build("required");
        assertEquals(STRIPED, made(), "another PTX version");

        installCompiler("13.1.0", CLEAN);
        build("required");
        assertEquals(ALL, made(), "another nvcc");
    }

    @Test
    void eachPhaseHasWhatItIsFor() throws Exception {
        build(Phase.COMPILE, "auto", "auto", List.of());
        assertEquals(List.of(), made());
        assertFalse(Files.exists(published()));
        assertEquals("kernels: none compiled, this machine has no GPU to run them; tests and packages get their PTX, "
                + "-Djmarlin.targets=all compiles every image\n", console.toString(StandardCharsets.UTF_8));

        build(Phase.TEST, "auto", "auto", List.of());
        assertEquals(Stream.concat(Stream.of("hopper.compute_90a.ptx"), STRIPED_PTX.stream()).toList(), made());
        assertEquals(3, publishedNames().size());

        build(Phase.COMPILE, "auto", "auto", List.of(86));
        assertEquals(List.of(), made(), "there is no machine code for 8.6 alone, and the PTX is already there");
        build(Phase.COMPILE, "auto", "auto", List.of(80));
        assertEquals(List.of("striped_m16.sm_80.cubin", "striped_m8.sm_80.cubin"), made());
        assertEquals(5, publishedNames().size());

        build(Phase.PACKAGE, "auto", "sm_90a", List.of(80));
        assertEquals(List.of("hopper.sm_90a.cubin"), made());
        assertEquals(List.of("hopper.sm_90a.cubin"), publishedNames());
    }

    @Test
    void machineCodeAloneNeedsItsTextButDoesNotShipIt() throws Exception {
        build(Phase.PACKAGE, "auto", "sm_80", List.of());
        assertEquals(STRIPED, made());
        assertEquals(List.of("striped_m16.sm_80.cubin", "striped_m8.sm_80.cubin"), publishedNames());
    }

    @Test
    void spillOrStackFrameFailsEveryTime() throws Exception {
        for (String frame : List.of("8 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads",
                "0 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads",
                "0 bytes stack frame, 0 bytes spill stores, 12 bytes spill loads")) {
            installCompiler("13.0." + Math.abs(frame.hashCode()), frame);
            for (int run = 0; run < 2; run++) {
                String message = assertThrows(KernelBuildException.class, () -> build("required")).getMessage();
                assertTrue(message.contains("striped_entry for sm_80: " + frame.replace(" frame", "")), message);
                assertTrue(message.contains("all must be 0"), message);
            }
            assertFalse(Files.exists(published().resolve("striped_m8.sm_80.cubin")), "an image that spills must not be published");
        }
    }

    /** setmaxnreg hands registers on from as many as the kernel starts with; with fewer its warps would wait for ever. */
    @Test
    void anotherNumberOfRegistersThanTheSourceCountsOnFails() throws Exception {
        Path hopper = sources.resolve("hopper/hopper.cu");
        String source = Files.readString(hopper);
        build("required");
        Files.writeString(hopper, source + "// registers: 40\n");     // what the stand-in for ptxas says
        build("required");
        Files.writeString(hopper, source + "// registers: 168\n");
        String message = assertThrows(KernelBuildException.class, () -> build("required")).getMessage();
        assertTrue(message.contains(" for sm_90a: 40 registers, its source counts on 168"), message);
    }

    @Test
    void serializedTensorCoreInstructionsFail() throws Exception {
        String warning = "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized";
        installCompiler("13.0.1", CLEAN + "\n" + warning);
        assertTrue(assertThrows(KernelBuildException.class, () -> build("required")).getMessage().contains("C7510"));
    }

    @Test
    void withoutNvccOneLineAndNoImages() throws Exception {
        build("auto");
        console.reset();
        compiling(Phase.TEST, "auto", "auto", "auto").run(Map.of(), List.of(), List.of());
        assertEquals("kernels: no nvcc in CUDA_HOME, CUDA_PATH, PATH or the usual places; building without CUDA kernels, "
                + "the CPU path works\n", console.toString(StandardCharsets.UTF_8));
        assertFalse(Files.exists(published()), "images of an earlier build must not stay in the jar");
    }

    @Test
    void withoutNvccRequiredFails() {
        String message = assertThrows(KernelBuildException.class,
                () -> compiling(Phase.COMPILE, "required", "auto", "auto").run(Map.of(), List.of(), List.of())).getMessage();
        assertEquals("no nvcc in CUDA_HOME, CUDA_PATH, PATH or the usual places, and -Djmarlin.kernels=required", message);
    }

    @Test
    void skipSaysNothingAndCompilesNothing() throws Exception {
        build("skip");
        assertEquals("", console.toString(StandardCharsets.UTF_8));
        assertEquals(List.of(), made());
        assertFalse(Files.exists(published()));
    }

    @Test
    void unknownModeIsRefused() {
        String message = assertThrows(KernelBuildException.class, () -> build("requierd")).getMessage();
        assertEquals("-Djmarlin.kernels=requierd: must be auto, required or skip", message);
    }

    @Test
    void compilerErrorFailsWithItsOutput() throws Exception {
        write("striped/striped.cu", Files.readString(sources.resolve("striped/striped.cu")) + "syntax error\n");
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

    /** A file of its own has its own tiles, targets and PTX version, and is made again without the others. */
    @Test
    void aSecondEntryFileMakesImagesOfItsOwn() throws Exception {
        build("required");
        made();
        write("striped/few.cuh", "#define T(TILE, ...) TILE(__VA_ARGS__, 8)\n");
        write("striped/striped_sp24.cu", "// targets: sm_80 compute_80\n// ptx: 8.5\n// tiles: m\n#include \"few.cuh\"\n");
        build("required");
        assertEquals(List.of("striped_sp24_m8.compute_80.ptx", "striped_sp24_m8.sm_80.cubin"), made());
        String manifest = Files.readString(published().resolve("images.properties"));
        assertTrue(manifest.contains("striped_sp24_m8.compute_80.ptx.driver=R555 (CUDA 12.5)\n"), manifest);
        assertTrue(manifest.contains("striped_m8.compute_80.ptx.driver=R470 (CUDA 11.4)\n"), manifest);
        assertEquals(ALL.size() + 2, publishedNames().size());
        assertTrue(Files.readString(published().resolve("striped_sp24_m8.compute_80.ptx")).startsWith(".version 8.5\n"));
    }

    @Test
    void entryFilesAreNamedAfterTheirFolder() throws Exception {
        write("striped/more.cu", "");
        String message = assertThrows(KernelBuildException.class, () -> build("auto")).getMessage();
        assertTrue(message.startsWith("kernel family " + Path.of("striped/more.cu") + ": entry files of striped are striped.cu and "
                + "striped_<what it is for>.cu"), message);
    }

    /** Another assembler makes the machine code of the older architectures anew; the younger ones keep nvcc's own. */
    @Test
    void anAssemblerThatIsNamedIsTakenForOlderArchitectures() throws Exception {
        write("wide/wide.cu", "// targets: sm_120\n");
        build("required");
        made();
        Path other = folder.resolve("other/ptxas");
        installPtxas(other, "12.6.77", CLEAN);
        compiling(Phase.PACKAGE, "required", "auto", other.toString()).run(environment(), List.of(), List.of());
        assertEquals(ALL.stream().filter(name -> name.endsWith(".cubin")).toList(), made());
        assertTrue(console.toString(StandardCharsets.UTF_8).contains("kernels: ptxas 12.6.77 makes 3 image(s)"), console.toString());
        String manifest = Files.readString(published().resolve("images.properties"));
        assertTrue(manifest.contains("striped_m8.sm_80.cubin.ptxas=12.6.77\n"), manifest);
        assertTrue(manifest.contains("striped_m8.sm_80.cubin.driver=R525 (CUDA 12.0)\n"), manifest);
        assertTrue(manifest.contains("hopper.sm_90a.cubin.ptxas=12.6.77\n"), manifest);
        assertTrue(manifest.contains("wide.sm_120.cubin.ptxas=13.0.88\n"), manifest);
    }

    @Test
    void anAssemblerThatIsNoneIsRefused() throws Exception {
        Path none = folder.resolve("none");
        assertEquals("-Djmarlin.ptxas=" + none + " is not a program", assertThrows(KernelBuildException.class,
                () -> compiling(Phase.PACKAGE, "required", "auto", none.toString()).run(environment(), List.of(), List.of())).getMessage());
        script(none, "echo hello\n");
        assertEquals("ptxas " + none + " does not tell its version", assertThrows(KernelBuildException.class,
                () -> compiling(Phase.PACKAGE, "required", "auto", none.toString()).run(environment(), List.of(), List.of())).getMessage());
    }

    // ---- helpers ----

    private void build(String mode) throws Exception {
        build(Phase.TEST, mode, "auto", List.of());
    }

    private void build(Phase phase, String mode, String targets, List<Integer> gpus) throws Exception {
        compiling(phase, mode, targets, "auto").run(environment(), List.of(), gpus);
    }

    private KernelBuild compiling(Phase phase, String mode, String targets, String ptxas) {
        return new KernelBuild(phase, mode, targets, ptxas, sources, folder.resolve("target"), published(), new PrintStream(console));
    }

    private Map<String, String> environment() {
        return Map.of("CUDA_HOME", cuda.toString(), "PATH", "");
    }

    private Path published() {
        return folder.resolve("target/classes/images");
    }

    private List<String> publishedNames() throws IOException {
        try (Stream<Path> files = Files.list(published())) {
            return files.map(file -> file.getFileName().toString()).filter(name -> !name.equals("images.properties")).sorted().toList();
        }
    }

    /** Names of the images made since the last call, sorted. */
    private List<String> made() throws IOException {
        Path log = folder.resolve("made.txt");
        List<String> names = Files.exists(log) ? Files.readAllLines(log).stream().sorted().toList() : List.of();
        Files.deleteIfExists(log);
        return names;
    }

    private void write(String name, String text) throws IOException {
        Path file = sources.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    private void installCompiler(String version, String frame) throws IOException {
        script(cuda.resolve("bin/nvcc"), """
                case "$*" in
                  --version) echo "Cuda compilation tools, release 13.0, V%1$s"; exit 0;;
                  "-E "*) exit 0;;
                esac
                for last; do :; done
                while [ "$1" != -o ]; do
                  case "$1" in -arch=*) target=${1#-arch=compute_};; esac
                  shift
                done
                image=$(basename "$2" .tmp)
                if grep -q 'syntax error' "$last"; then echo "$last(1): error: syntax error" >&2; exit 2; fi
                echo "$image" >> '%2$s'
                printf '.version 9.0\\n.target sm_%%s\\n// %%s\\n\\t.loc\\t1 1 1\\n\\tret;\\n' "$target" "$image" > "$2"
                printf '\\t.file\\t1 "%%s"\\n' "$PWD/$last" >> "$2"
                """.formatted(version, folder.resolve("made.txt")));
        installPtxas(cuda.resolve("bin/ptxas"), version, frame);
    }

    /** {@code frame}: the line (and what else) that it prints below "Function properties". */
    private void installPtxas(Path file, String version, String frame) throws IOException {
        script(file, """
                if [ "$*" = --version ]; then echo "Cuda compilation tools, release 13.0, V%1$s"; exit 0; fi
                for last; do :; done
                while [ "$1" != -o ]; do
                  case "$1" in -arch=*) target=${1#-arch=};; esac
                  shift
                done
                basename "$2" .tmp >> '%2$s'
                (printf '\\177ELF\\002\\001\\001A\\010 code of '; cat "$last") > "$2"
                cat >&2 <<END
                ptxas info    : 0 bytes gmem
                ptxas info    : Compiling entry function 'striped_entry' for '$target'
                ptxas info    : Function properties for striped_entry
                    %3$s
                ptxas info    : Used 40 registers, used 1 barriers, 1024 bytes smem, 400 bytes cmem[0]
                END
                """.formatted(version, folder.resolve("made.txt"), frame));
    }

    private static void script(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, "#!/bin/sh\n" + text);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
}
