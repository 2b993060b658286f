package io.github.jmarlin.emulator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the emulator that tests the kernels. */
class EmulatorSelfTest {
    private static final Path MAIN = Path.of("src/main/cuda");
    private static final Path EMULATOR = Path.of("src/test/cuda/emulator");
    private static final Path PROBE = Path.of("src/bench/cuda");
    /** Between registers and CUDA's own types: only the real header has them, and only for itself. */
    private static final Set<String> CONVERSIONS = Set.of("as_half2", "as_bfloat2", "bits_of");
    private static final Pattern FUNCTION = Pattern.compile("(?m)^JMARLIN_DEVICE [^;{(=]*?\\b(\\w+)\\(");

    private static final Pattern INTERNAL =
            Pattern.compile("(?ms)^namespace emulator \\{.*?^\\}  // namespace emulator$");

    /** Every case of src/test/cuda/emulator/selftest. */
    @TestFactory
    Stream<DynamicTest> cases(@TempDir Path folder) throws IOException, InterruptedException {
        EmulatorBuild build = EmulatorBuild.ofProject();
        assumeTrue(build.unavailable().isEmpty(), () -> build.unavailable().orElseThrow());
        List<Path> sources;
        try (Stream<Path> files = Files.list(EMULATOR.resolve("selftest"))) {
            sources = files.filter(file -> file.toString().endsWith(".cpp")).sorted().toList();
        }
        Path program = build.program("emulator_selftest", sources, List.of());

        Path printed = folder.resolve("printed");
        Process process = new ProcessBuilder(program.toString()).redirectErrorStream(true)
                .redirectOutput(printed.toFile()).start();
        boolean ended = process.waitFor(3, TimeUnit.MINUTES);
        process.destroyForcibly();
        List<String> lines = Files.readAllLines(printed, StandardCharsets.UTF_8);
        assertTrue(ended, () -> "still running after three minutes; last case: " + last(lines));
        int exit = process.waitFor();
        assertTrue(exit == 0 || exit == 1, () -> "exits " + exit + "; last case: " + last(lines));
        assertFalse(lines.isEmpty(), "no case ran");
        return lines.stream().map(line -> DynamicTest.dynamicTest(line.replaceFirst("^(ok|FAIL) ", ""), () -> {
            if (!line.startsWith("ok ")) {
                fail(line);
            }
        }));
    }

    /** Both headers have the same functions: so the kernels compile with either, and nothing is emulated that does not exist. */
    @ParameterizedTest
    @ValueSource(strings = {"ptx.cuh", "ptx_sm90.cuh"})
    void headersDeclareTheSameFunctions(String header) throws IOException {
        Set<String> real = functions(Files.readString(MAIN.resolve(header)));
        real.removeAll(CONVERSIONS);
        Set<String> emulated = functions(Files.readString(EMULATOR.resolve(header)));
        assertTrue(real.size() > 5, () -> "found only " + real);
        assertEquals(real, emulated);
    }

    /** What only these self tests call would be emulated for nothing. */
    @ParameterizedTest
    @ValueSource(strings = {"ptx.cuh", "ptx_sm90.cuh"})
    void kernelsOrTheProbeUseEveryFunction(String header) throws IOException {
        StringBuilder sources = new StringBuilder();
        for (Path folder : List.of(MAIN, PROBE)) {
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path file : files.filter(Files::isRegularFile).filter(file -> !file.getFileName().toString().startsWith("ptx")).toList()) {
                    sources.append(Files.readString(file));
                }
            }
        }
        Set<String> unused = functions(Files.readString(MAIN.resolve(header)));
        unused.removeAll(CONVERSIONS);
        unused.removeIf(function -> Pattern.compile("\\b" + function + "\\b").matcher(sources).find());
        assertEquals(Set.of(), unused);
    }

    private static Set<String> functions(String source) {
        String visible = INTERNAL.matcher(source).replaceAll("");
        Set<String> names = new TreeSet<>();
        for (Matcher found = FUNCTION.matcher(visible); found.find();) {
            names.add(found.group(1));
        }
        return names;
    }

    private static String last(List<String> lines) {
        return lines.isEmpty() ? "none" : lines.get(lines.size() - 1);
    }
}
