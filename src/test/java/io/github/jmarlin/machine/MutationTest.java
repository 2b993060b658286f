package io.github.jmarlin.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Proves that the kernels' cases can fail: whatever {@code mutations.txt} breaks some case must find, in the words expected. */
class MutationTest {
    private static final int SECONDS = 120;
    private static final List<String> SUITES = List.of("exact", "banks", "schedules", "real", "dense", "once", "every", "epilogues",
            "decoder_rows", "decoder_heads");

    @TestFactory
    Stream<DynamicTest> representativeMutationsAreFound() throws IOException {
        return found(Mutation.all().stream().filter(Mutation::representative).toList());
    }

    @Tag("long")
    @TestFactory
    Stream<DynamicTest> everyMutationIsFound() throws IOException {
        return found(Mutation.all().stream().filter(mutation -> !mutation.representative()).toList());
    }

    /** At least the lists of the emulator that was here before, and 30 of the text. */
    @Test
    void thereAreEnough() throws IOException {
        List<Mutation> all = Mutation.all();
        long ofPtx = all.stream().filter(Mutation::ofPtx).count();
        assertTrue(ofPtx >= 30 && all.size() - ofPtx >= 99, () -> all.size() + " mutations, " + ofPtx + " of them of the PTX");
        assertEquals(all.size(), all.stream().map(mutation -> mutation.file() + mutation.entry() + mutation.name()).distinct().count());
    }

    /** The kernels that are mutated, as they are, in every case that a mutant runs. */
    @Tag("long")
    @TestFactory
    Stream<DynamicTest> withoutMutationAllCasesPass() throws IOException {
        PtxSuite.program();
        List<String> entries = Mutation.all().stream().map(Mutation::entry).distinct().toList();
        List<Callable<List<String>>> runs = new ArrayList<>();
        for (String entry : entries) {
            runs.add(() -> PtxSuite.run(SECONDS, List.of(Mutant.unbroken(entry)), SUITES));
        }
        List<List<String>> lines = PtxSuite.onAllProcessors(runs);
        return Stream.iterate(0, i -> i + 1).limit(entries.size()).map(i -> dynamicTest(entries.get(i), () -> assertTrue(
                !lines.get(i).isEmpty() && lines.get(i).stream().allMatch(line -> line.startsWith("ok ")),
                () -> String.join("\n", lines.get(i)))));
    }

    /** What the cases of a mutant said that failed, up to the one that is expected; or why there is none. */
    private record Outcome(List<String> failures, Throwable broken) {}

    private static Stream<DynamicTest> found(List<Mutation> mutations) throws IOException {
        PtxSuite.program();
        List<Callable<Outcome>> runs = new ArrayList<>();
        for (Mutation mutation : mutations) {
            runs.add(() -> outcome(mutation));
        }
        List<Outcome> outcomes = PtxSuite.onAllProcessors(runs);
        return Stream.iterate(0, i -> i + 1).limit(mutations.size()).map(i -> {
            Mutation mutation = mutations.get(i);
            return dynamicTest(mutation.entry() + ": " + mutation.name(), () -> {
                Outcome outcome = outcomes.get(i);
                if (outcome.broken() != null) {
                    throw new AssertionError("no mutant, or no cases", outcome.broken());
                }
                assertTrue(outcome.failures().stream().anyMatch(line -> line.contains(mutation.finding())), () -> "no case failed with '"
                        + mutation.finding() + "', but so:\n" + String.join("\n", outcome.failures()));
            });
        });
    }

    private static Outcome outcome(Mutation mutation) {
        try {
            Path text = Mutant.of(mutation);
            List<String> words = new ArrayList<>(SUITES);
            words.addAll(List.of("--until", mutation.finding()));
            List<String> lines = PtxSuite.run(SECONDS, List.of(text), words);
            return new Outcome(lines.stream().filter(line -> line.startsWith("FAIL ")).toList(), null);
        } catch (IOException | AssertionError e) {
            return new Outcome(List.of(), e);
        }
    }
}
