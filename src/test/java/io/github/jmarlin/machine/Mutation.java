package io.github.jmarlin.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One way to break a kernel, of {@code mutations.txt}, which describes its own form.
 *
 * @param file a header of {@code src/main/cuda}, or "ptx"
 * @param entry the kernel that shows it
 * @param representative whether the test command tries it
 * @param finding what a case that fails must say
 * @param edits in turn
 */
record Mutation(String file, String entry, String name, boolean representative, String finding, List<Edit> edits) {
    private static final Pattern HEAD = Pattern.compile("(\\*?)(.*) \\? (.*)");
    private static final Pattern EDIT = Pattern.compile("(?s)~(\\d*) (.*?) =>(?: (.*))?");

    boolean ofPtx() {
        return file.equals("ptx");
    }

    /** A text with the change. */
    String apply(String text) {
        String changed = text;
        for (Edit edit : edits) {
            changed = edit.apply(changed, name + " in " + file);
        }
        return changed;
    }

    interface Edit {
        String apply(String text, String where);
    }

    /** Whole lines, compared without indentation. */
    private record Lines(List<String> from, List<String> to) implements Edit {
        @Override
        public String apply(String text, String where) {
            List<String> lines = text.lines().toList();
            int found = -1;
            for (int at = 0; at + from.size() <= lines.size(); at++) {
                if (lines.subList(at, at + from.size()).stream().map(String::strip).toList().equals(from)) {
                    assertEquals(-1, found, where + ": the lines occur twice");
                    found = at;
                }
            }
            assertTrue(found >= 0, where + ": the lines do not occur");
            List<String> changed = new ArrayList<>(lines.subList(0, found));
            changed.addAll(to);
            changed.addAll(lines.subList(found + from.size(), lines.size()));
            return String.join("\n", changed) + "\n";
        }
    }

    private record Text(String from, String to) implements Edit {
        @Override
        public String apply(String text, String where) {
            assertTrue(text.contains(from), where + ": '" + from + "' does not occur");
            return text.replace(from, to);
        }
    }

    private record Match(int number, Pattern from, String to) implements Edit {
        @Override
        public String apply(String text, String where) {
            Matcher match = from.matcher(text);
            for (int i = 0; i < number; i++) {
                assertTrue(match.find(), where + ": no match " + number + " of " + from);
            }
            StringBuilder changed = new StringBuilder(text.substring(0, match.start()));
            changed.append(from.matcher(match.group()).replaceFirst(to));
            return changed.append(text.substring(match.end())).toString();
        }
    }

    static List<Mutation> all() throws IOException {
        return read(PtxSuite.RESOURCES.resolve("mutations.txt"));
    }

    private static List<Mutation> read(Path list) throws IOException {
        List<Mutation> mutations = new ArrayList<>();
        String[] where = {};
        List<String> from = new ArrayList<>();
        List<String> to = new ArrayList<>();
        for (String line : Files.readAllLines(list)) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            String rest = line.substring(1).strip();
            switch (line.charAt(0)) {
                case '@' -> where = rest.split(" ");
                case '=' -> {
                    Matcher head = HEAD.matcher(rest);
                    assertTrue(head.matches() && where.length == 2, line);
                    boolean representative = !head.group(1).isEmpty();
                    mutations.add(new Mutation(where[0], where[1], head.group(2), representative, head.group(3), new ArrayList<>()));
                    from = new ArrayList<>();
                    to = new ArrayList<>();
                }
                case '-' -> {
                    from.add(rest);
                    if (from.size() == 1) {
                        mutations.get(mutations.size() - 1).edits().add(new Lines(from, to));
                    }
                }
                case '+' -> to.add(rest);
                case '~' -> {
                    Matcher edit = EDIT.matcher(line);
                    assertTrue(edit.matches(), line);
                    String other = edit.group(3) == null ? "" : edit.group(3);
                    mutations.get(mutations.size() - 1).edits().add(edit.group(1).isEmpty()
                            ? new Text(edit.group(2).replace("\\n", "\n"), other.replace("\\n", "\n"))
                            : new Match(Integer.parseInt(edit.group(1)), Pattern.compile(edit.group(2), Pattern.MULTILINE), other));
                }
                default -> throw new IOException(list + ": " + line);
            }
        }
        return mutations;
    }
}
