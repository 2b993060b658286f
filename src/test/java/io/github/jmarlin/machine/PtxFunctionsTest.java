package io.github.jmarlin.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The machine executes what the kernels call, so an instruction's function that nothing calls is executed by nothing. */
@Tag("source-tree")
class PtxFunctionsTest {
    private static final Path MAIN = Path.of("src/main/cuda");
    private static final Path PROBE = Path.of("src/bench/cuda");
    /** Between registers and CUDA's own types: for the header itself. */
    private static final Set<String> CONVERSIONS = Set.of("as_half2", "as_bfloat2", "bits_of");
    private static final Pattern FUNCTION = Pattern.compile("(?m)^JMARLIN_DEVICE [^;{(=]*?\\b(\\w+)\\(");

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
        Set<String> functions = FUNCTION.matcher(Files.readString(MAIN.resolve(header))).results().map((MatchResult found) -> found.group(1))
                .collect(Collectors.toCollection(TreeSet::new));
        assertTrue(functions.size() > 5, () -> "found only " + functions);
        functions.removeAll(CONVERSIONS);
        functions.removeIf(function -> Pattern.compile("\\b" + function + "\\b").matcher(sources).find());
        assertEquals(Set.of(), functions);
    }
}
