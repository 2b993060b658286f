package io.github.jmarlin.machine;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** Which instructions of a family's entries some run executed, and why the others are not. */
final class Covered {

    /**
     * An instruction that never ran.
     *
     * @param source the line of the source that it comes from: {@code "epilogue.cuh: if (row >= args.m) continue;"}, just
     *         {@code "compiler"} if it comes from none
     */
    record Never(String entry, String source, String text) {
        @Override
        public String toString() {
            return entry + ": " + text + " of " + source;
        }
    }

    /** A line of {@code uncovered.txt}: regular expressions for entries, lines of the source, instructions; why no case runs them. */
    record Reason(Pattern entry, Pattern source, Pattern text, String why) {
        boolean explains(Never never) {
            return entry.matcher(never.entry).find() && source.matcher(never.source).find() && text.matcher(never.text).find();
        }

        static List<Reason> all() throws IOException {
            List<Reason> reasons = new ArrayList<>();
            for (String line : Files.readAllLines(PtxSuite.RESOURCES.resolve("uncovered.txt"))) {
                if (!line.isBlank() && !line.startsWith("#")) {
                    String[] parts = line.split(" ; ");
                    reasons.add(new Reason(Pattern.compile(parts[0]), Pattern.compile(parts[1]), Pattern.compile(parts[2]), parts[3]));
                }
            }
            return reasons;
        }
    }

    private final Path folder;
    private final Map<String, Integer> instructions = new TreeMap<>();
    private final Map<String, Map<String, Never>> never = new HashMap<>();   // entry -> number of the instruction
    private final Map<Path, List<String>> sources = new HashMap<>();

    /** @param family whose folder of {@code src/main/cuda} the sources are in, or else above it */
    Covered(String family) {
        folder = PtxSuite.ROOT.resolve("src/main/cuda").resolve(family);
    }

    private String source(String site) throws IOException {
        int colon = site.lastIndexOf(':');
        if (colon < 0) {
            return "compiler";
        }
        String name = site.substring(0, colon);
        Path file = Files.exists(folder.resolve(name)) ? folder.resolve(name) : folder.resolveSibling(name);
        if (!Files.exists(file)) {
            return name;
        }
        return name + ": " + sources.computeIfAbsent(file, Covered::lines).get(Integer.parseInt(site.substring(colon + 1)) - 1).strip();
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Adds what {@code ptx_suite --coverage} wrote. */
    void add(Path file) throws IOException {
        Map<String, Map<String, Never>> ofFile = new HashMap<>();
        for (String line : Files.readAllLines(file)) {
            String[] words = line.split("\t");
            Map<String, Never> entry = ofFile.computeIfAbsent(words[1], name -> new TreeMap<>());
            if (words[0].equals("ran")) {
                instructions.put(words[1], Integer.parseInt(words[2]));
            } else {
                entry.put(words[2], new Never(words[1], source(words[3]), words[4]));
            }
        }
        ofFile.forEach((entry, notHere) -> never.merge(entry, notHere, (before, now) -> {
            before.keySet().retainAll(now.keySet());
            return before;
        }));
    }

    /** Entries of which something ran. */
    int entries() {
        return instructions.size();
    }

    int instructions() {
        return instructions.values().stream().mapToInt(Integer::intValue).sum();
    }

    List<Never> never() {
        return never.values().stream().flatMap(entry -> entry.values().stream()).toList();
    }

    double percent() {
        return 100.0 * (instructions() - never().size()) / instructions();
    }
}
