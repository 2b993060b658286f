package io.github.jmarlin.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Things that differ only in the numbers of their names, as one: {@code model.layers.*.mlp.experts.*.up_proj} stands for every
 * expert of every layer.
 */
final class Kinds {
    private static final Pattern NUMBER = Pattern.compile("(?<![^.])\\d+(?![^.])");

    private final Map<String, List<String[]>> kinds = new LinkedHashMap<>();
    private final Map<String, List<String>> names = new LinkedHashMap<>();
    private final boolean all;

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
        kinds.computeIfAbsent(key, other -> new ArrayList<>(1));
        if (kinds.get(key).isEmpty()) {
            kinds.get(key).add(cells);
        }
        names.computeIfAbsent(key, other -> new ArrayList<>()).add(name);
    }

    /** What is told about each kind. */
    interface Row {
        /** @param name its name if there is one only; {@code cells} those of the first */
        void of(String name, int count, String[] cells);
    }

    void forEach(Row row) {
        kinds.forEach((key, cells) -> {
            List<String> members = names.get(key);
            row.of(members.size() == 1 ? members.get(0) : of(members.get(0)), members.size(), cells.get(0));
        });
    }
}
