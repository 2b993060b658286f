package io.github.jmarlin.checkpoint.container;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Which files of a folder are the model. In this order:
 * <ol>
 *   <li>the index {@code model.safetensors.index.json}, else the only other one that is not {@code consolidated.*} (a second copy
 *       in the names of its maker) and names a file that is here;
 *   <li>{@code model.safetensors};
 *   <li>every {@code .safetensors} file, without {@code consolidated*} and {@code adapter_model*} if there are others.
 * </ol>
 * Names that begin with a dot and what operating systems leave in folders are nobody's. Shards that say how many they are must
 * all be there.
 *
 * @param index the index, or null
 * @param shards the model's files if there is no index
 * @param leftOut safetensors files and indexes that are not the model, with the reason
 */
record ModelFiles(ConfigNode index, List<Path> shards, Map<String, String> leftOut) {
    static final String INDEX_SUFFIX = ".safetensors.index.json";
    static final String FILE_SUFFIX = ".safetensors";
    private static final String INDEX = "model" + INDEX_SUFFIX;
    private static final String SINGLE_FILE = "model" + FILE_SUFFIX;
    private static final String SECOND_COPY = "a second copy under other names";
    private static final Set<String> SIDECARS = Set.of("thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r");
    /** {@code model-00002-of-00005.safetensors}; numbers of any width, from 0 or 1 on. */
    private static final Pattern NUMBERED = Pattern.compile("(.*?)(\\d{1,9})-of-(\\d{1,9})(.*)");

    static ModelFiles find(Path folder) throws IOException {
        Set<String> names = new TreeSet<>();
        for (Path file : list(folder)) {
            names.add(file.getFileName().toString());
        }
        Map<String, String> leftOut = new LinkedHashMap<>();
        ConfigNode index = index(folder, names, leftOut);
        if (index != null) {
            Set<String> named = new TreeSet<>();
            index.get("weight_map").entries().values().forEach(file -> named.add(file.string()));
            names.stream().filter(name -> name.endsWith(FILE_SUFFIX) && !named.contains(name))
                    .forEach(name -> leftOut.put(name, "not named by " + index.file().getFileName()));
            requireWhole(index.file(), named);
            return new ModelFiles(index, List.of(), leftOut);
        }
        List<String> shards = shards(names, leftOut);
        if (shards.isEmpty()) {
            throw new UnsupportedCheckpointException(folder, "weights", names,
                    "safetensors files, or the name of a .gguf file itself (convert .bin and .pt files first)");
        }
        requireWhole(folder, shards);
        return new ModelFiles(null, shards.stream().map(folder::resolve).toList(), leftOut);
    }

    /** The files of a folder that somebody put there on purpose, sorted by name. */
    static List<Path> list(Path folder) throws IOException {
        return FileProblem.explained("list this folder", folder, () -> {
            try (Stream<Path> entries = Files.list(folder)) {
                return entries.filter(path -> !isSidecar(path.getFileName().toString())).sorted().toList();
            }
        });
    }

    /** Whether an operating system or a tool put a file of that name beside the user's. */
    static boolean isSidecar(String name) {
        return name.startsWith(".") || name.startsWith("~$") || SIDECARS.contains(name.toLowerCase(Locale.ROOT));
    }

    private static ConfigNode index(Path folder, Set<String> names, Map<String, String> leftOut) throws IOException {
        List<String> indexes = new ArrayList<>(names.stream().filter(name -> name.endsWith(INDEX_SUFFIX)).toList());
        if (indexes.contains(INDEX)) {
            indexes.remove(INDEX);
            indexes.forEach(other -> leftOut.put(other, SECOND_COPY));
            indexes = List.of(INDEX);
        } else if (indexes.size() > 1) {
            indexes.stream().filter(name -> name.startsWith("consolidated.")).forEach(name -> leftOut.put(name, SECOND_COPY));
            indexes.removeAll(leftOut.keySet());
        }
        if (indexes.size() > 1) {
            throw new MalformedCheckpointException(folder, "index", indexes, "only one file may end with " + INDEX_SUFFIX
                    + ", or one must be " + INDEX);
        }
        if (indexes.isEmpty()) {
            return null;
        }
        ConfigNode index = Json.read(folder.resolve(indexes.get(0)));
        Collection<ConfigNode> files = index.get("weight_map").entries().values();
        boolean stale = !files.isEmpty() && names.stream().anyMatch(name -> name.endsWith(FILE_SUFFIX))
                && files.stream().noneMatch(file -> file.raw() instanceof String && names.contains(file.raw()))
                && files.stream().allMatch(file -> isShardName(file.raw()));
        if (stale) {
            leftOut.put(indexes.get(0), "names no file that is here");
            return null;
        }
        return index;
    }

    /** Whether an index may name that file at all; what it may not is an error, not a sign of an old index. */
    private static boolean isShardName(Object name) {
        return name instanceof String && ((String) name).matches("[^/\\\\\0]+-of-[^/\\\\\0]+");
    }

    private static List<String> shards(Set<String> names, Map<String, String> leftOut) {
        List<String> all = names.stream().filter(name -> name.endsWith(FILE_SUFFIX)).toList();
        if (all.contains(SINGLE_FILE)) {
            all.stream().filter(name -> !name.equals(SINGLE_FILE))
                    .forEach(name -> leftOut.put(name, SINGLE_FILE + " is the model"));
            return List.of(SINGLE_FILE);
        }
        List<String> kept = new ArrayList<>(all);
        for (String prefix : List.of("consolidated", "adapter_model")) {
            List<String> others = kept.stream().filter(name -> !name.startsWith(prefix)).toList();
            if (!others.isEmpty() && others.size() < kept.size()) {
                kept.stream().filter(name -> name.startsWith(prefix))
                        .forEach(name -> leftOut.put(name, prefix.startsWith("c") ? SECOND_COPY : "an adapter"));
                kept = new ArrayList<>(others);
            }
        }
        return kept;
    }

    /** A set of numbered shards is whole or an error: a part of a model must not pass for one. */
    private static void requireWhole(Path where, Collection<String> names) {
        Map<List<String>, Set<Integer>> sets = new TreeMap<>((a, b) -> a.toString().compareTo(b.toString()));
        for (String name : names) {
            Matcher match = NUMBERED.matcher(name);
            if (match.matches()) {
                sets.computeIfAbsent(List.of(match.group(1), match.group(3), match.group(4)), key -> new TreeSet<>())
                        .add(Integer.parseInt(match.group(2)));
            }
        }
        sets.forEach((set, numbers) -> {
            int count = Integer.parseInt(set.get(1));
            int first = numbers.contains(0) ? 0 : 1;
            boolean whole = numbers.size() == count && numbers.stream().allMatch(i -> i >= first && i < first + count);
            if (!whole) {
                throw new MalformedCheckpointException(where, "shards " + set.get(0) + "*-of-" + set.get(1) + set.get(2),
                        numbers.size() <= 20 ? "numbers " + numbers : numbers.size() + " of them",
                        "a set of " + count + " must be there from " + first + " to " + (first + count - 1));
            }
        });
    }
}
