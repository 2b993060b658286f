package io.github.jmarlin.machine;

import java.io.IOException;
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

    /** An instruction that never ran. */
    record Never(String entry, String site, String text) {
        @Override
        public String toString() {
            return entry + " " + text;
        }
    }

    /**
     * A line of {@code src/test/cuda/suites/uncovered.txt}: entries, sites and instructions whose names match, and why no case runs them.
     */
    record Reason(Pattern entry, Pattern site, Pattern text, String why) {
        boolean explains(Never never) {
            return entry.matcher(never.entry).find() && site.matcher(never.site).find() && text.matcher(never.text).find();
        }

        static List<Reason> all() throws IOException {
            List<Reason> reasons = new ArrayList<>();
            for (String line : Files.readAllLines(PtxSuite.SOURCES.resolve("uncovered.txt"))) {
                if (!line.isBlank() && !line.startsWith("#")) {
                    String[] parts = line.split(" \\| ");
                    reasons.add(new Reason(Pattern.compile(parts[0]), Pattern.compile(parts[1]), Pattern.compile(parts[2]), parts[3]));
                }
            }
            return reasons;
        }
    }

    private final Map<String, Integer> instructions = new TreeMap<>();
    private final Map<String, Map<String, Never>> never = new HashMap<>();   // entry -> number of the instruction

    /** Adds what {@code ptx_suite --coverage} wrote. */
    void add(Path file) throws IOException {
        Map<String, Map<String, Never>> ofFile = new HashMap<>();
        for (String line : Files.readAllLines(file)) {
            String[] words = line.split("\t");
            Map<String, Never> entry = ofFile.computeIfAbsent(words[1], name -> new TreeMap<>());
            if (words[0].equals("ran")) {
                instructions.put(words[1], Integer.parseInt(words[2]));
            } else {
                entry.put(words[2], new Never(words[1], words[3], words[4]));
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
