package io.github.jmarlin.emulator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.github.jmarlin.emulator.EmulatorBuild.Source;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Proves that the striped kernel's cases can fail: every entry of {@code src/test/cuda/striped/mutations.txt} breaks one
 * thing in a copy of the kernel's headers, and some case must say so, in the words that the entry expects.
 */
class StripedMutationTest {
    private static final Path ROOT = Path.of(System.getProperty("basedir", ""));
    private static final Path HEADERS = ROOT.resolve("src/main/cuda");
    private static final Path COPIES = ROOT.resolve("target/emulator/mutants");

    /** One change to one header; its lines are compared without indentation. */
    record Mutation(String name, String expected, String file, List<String> from, List<String> to) {

        /** The header with the change. */
        List<String> apply(List<String> lines) {
            int found = -1;
            for (int at = 0; at + from.size() <= lines.size(); at++) {
                if (lines.subList(at, at + from.size()).stream().map(String::strip).toList().equals(from)) {
                    assertEquals(-1, found, name + ": its lines occur twice in " + file);
                    found = at;
                }
            }
            assertTrue(found >= 0, name + ": its lines do not occur in " + file);
            List<String> changed = new ArrayList<>(lines.subList(0, found));
            changed.addAll(to);
            changed.addAll(lines.subList(found + from.size(), lines.size()));
            return changed;
        }
    }

    private static List<Mutation> mutations() throws IOException {
        List<Mutation> mutations = new ArrayList<>();
        Map<Character, List<String>> entry = new LinkedHashMap<>();
        List<String> lines = new ArrayList<>(Files.readAllLines(ROOT.resolve("src/test/cuda/striped/mutations.txt")));
        lines.add("");
        for (String line : lines) {
            if (!line.isBlank() && !line.startsWith("#")) {
                entry.computeIfAbsent(line.charAt(0), key -> new ArrayList<>()).add(line.substring(1).strip());
            } else if (!entry.isEmpty()) {
                mutations.add(new Mutation(entry.get('=').get(0), entry.get('?').get(0), entry.get('@').get(0), entry.get('-'),
                        entry.getOrDefault('+', List.of())));
                entry.clear();
            }
        }
        return mutations;
    }

    /** The few instances that the mutations are tried on, unchanged: they pass. */
    @Test
    void withoutMutationAllCasesPass() throws IOException {
        List<String> lines = StripedProgram.run(build(Map.of("mutant_none", StripedProgram.ofKernel(HEADERS))).get(0), "all");
        assertTrue(lines.size() > 40 && lines.stream().allMatch(line -> line.startsWith("ok ")), () -> String.join("\n", lines));
    }

    @TestFactory
    Stream<DynamicTest> everyMutationIsCaught() throws IOException {
        List<Mutation> mutations = mutations();
        assertTrue(mutations.size() >= 30, () -> "only " + mutations.size() + " mutations");
        Map<String, List<Source>> programs = new LinkedHashMap<>();
        for (int i = 0; i < mutations.size(); i++) {
            programs.put("mutant_" + i, StripedProgram.ofKernel(mutate(mutations.get(i), COPIES.resolve(Integer.toString(i)))));
        }
        List<Path> built = build(programs);
        Map<Mutation, List<String>> failures = new ConcurrentHashMap<>();
        IntStream.range(0, mutations.size()).parallel()
                .forEach(i -> failures.put(mutations.get(i), failures(built.get(i), mutations.get(i))));
        return mutations.stream().map(mutation -> dynamicTest(mutation.name(), () -> {
            List<String> failed = failures.get(mutation);
            assertTrue(failed.stream().anyMatch(line -> line.contains(mutation.expected())),
                    () -> "no case failed with '" + mutation.expected() + "', but so:\n" + String.join("\n", failed));
        }));
    }

    /** The cases that fail, up to the one that is expected. */
    private static List<String> failures(Path program, Mutation mutation) {
        try {
            List<String> lines = StripedProgram.run(program, "all", "0/1", mutation.expected());
            return lines.stream().filter(line -> line.startsWith("FAIL ")).toList();
        } catch (IOException e) {
            return List.of(e.toString());
        }
    }

    private static List<Path> build(Map<String, List<Source>> programs) throws IOException {
        EmulatorBuild build = EmulatorBuild.ofProject();
        assumeTrue(build.unavailable().isEmpty(), () -> build.unavailable().get());
        return build.programs(programs);
    }

    private static Path mutate(Mutation mutation, Path copy) throws IOException {
        try (Stream<Path> files = Files.walk(HEADERS)) {
            for (Path file : files.filter(path -> path.toString().endsWith(".cuh")).toList()) {
                Path name = HEADERS.relativize(file);
                List<String> lines = Files.readAllLines(file);
                Files.createDirectories(copy.resolve(name).getParent());
                Files.write(copy.resolve(name), name.equals(Path.of(mutation.file())) ? mutation.apply(lines) : lines);
            }
        }
        return copy;
    }
}
