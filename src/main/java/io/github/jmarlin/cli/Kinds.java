package io.github.jmarlin.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Things that differ only in the numbers of their names, as one: {@code model.layers.*.mlp.experts.*.up_proj} stands for every
 * expert of every layer.
 */
final class Kinds {
    private static final Pattern NUMBER = Pattern.compile("(?<![^.])\\d+(?![^.])");

    private final Map<String, Kind> kinds = new LinkedHashMap<>();
    private final boolean all;

    /** Things of one kind: the parts of their names, null where they differ, and what the first one is described by. */
    private static final class Kind {
        private final String[] parts;
        private final String[] cells;
        private int count;

        Kind(String name, String[] cells) {
            this.parts = name.split("\\.");
            this.cells = cells;
        }

        void add(String name) {
            count++;
            String[] others = name.split("\\.");
            for (int i = 0; i < parts.length; i++) {
                parts[i] = others[i].equals(parts[i]) ? parts[i] : "*";
            }
        }
    }

    /** @param all whether everything stays by itself */
    Kinds(boolean all) {
        this.all = all;
    }

    /** The name with {@code *} for each part that is a number. */
    static String of(String name) {
        return NUMBER.matcher(name).replaceAll("*");
    }

    /** Adds something of that name which is described by {@code cells}; two are of a kind if name and cells are the same. */
    void add(String name, String... cells) {
        String key = all ? name : of(name) + "\0" + of(String.join("\0", cells).replace(name, of(name)));
        kinds.computeIfAbsent(key, first -> new Kind(name, cells)).add(name);
    }

    /** What is told about each kind. */
    interface Row {
        /** @param name with {@code *} for the numbers in which its members differ; {@code cells} those of the first */
        void of(String name, int count, String[] cells);
    }

    void forEach(Row row) {
        kinds.values().forEach(kind -> row.of(String.join(".", kind.parts), kind.count, kind.cells));
    }
}
