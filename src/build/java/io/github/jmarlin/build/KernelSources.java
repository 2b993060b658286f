package io.github.jmarlin.build;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The families of a source folder. A family is an entry file: {@code striped/striped.cu}, and beside it for what only some callers need
 * {@code striped/striped_sp24.cu}, which becomes images of its own. Comment lines in it say what the build must know:
 * <pre>
 *   // targets: sm_90a compute_90a   what it can be compiled for; all that the build knows without the line
 *   // ptx: 8.0                      the oldest PTX version that has its instructions
 *   // tiles: m n                    an image per tile: the letters before a tile's numbers in names. The tiles are the lines
 *                                    TILE(__VA_ARGS__, 8, 64) of the files it includes; each is compiled with JMARLIN_TILE=8,64
 *   // registers: 168                what every kernel must have: those that hand registers on between warps count on it
 * </pre>
 */
final class KernelSources {
    private static final Pattern TARGETS = line("targets");
    private static final Pattern PTX = line("ptx");
    private static final Pattern TILES = line("tiles");
    private static final Pattern REGISTERS = line("registers");
    private static final Pattern TILE = Pattern.compile("\\bTILE\\(__VA_ARGS__, ([0-9, ]+)\\)");
    private static final Pattern INCLUDE = Pattern.compile("(?m)^\\s*#\\s*include\\s*\"([^\"]+)\"");

    private final Path folder;

    KernelSources(Path folder) {
        this.folder = folder;
    }

    /**
     * @param name of the entry file, without .cu
     * @param folder that it is in
     * @param inputs the entry file and everything it includes, relative to the source folder
     * @param tiles the numbers of each tile, as in 8,64; one empty string if there are none
     * @param letters a letter for each number
     * @param registers of every kernel; -1 if any number will do
     */
    record Family(String name, String folder, Set<Path> inputs, List<String> targets, int ptxVersion, List<String> tiles,
                  List<String> letters, int registers) {
        /** As nvcc is given it in the source folder. */
        String entryName() {
            return folder + "/" + name + ".cu";
        }

        /** An image of each tile for a target. */
        Stream<KernelImage> images(String target) {
            return tiles.stream().map(tile -> new KernelImage(this, tile, module(tile), target));
        }

        private String module(String tile) {
            StringBuilder module = new StringBuilder(name);
            String[] numbers = tile.split(",");
            for (int i = 0; i < letters.size(); i++) {
                module.append('_').append(letters.get(i)).append(numbers[i]);
            }
            return module.toString();
        }
    }

    List<Family> families() throws IOException {
        List<Family> families = new ArrayList<>();
        for (Path child : Files.isDirectory(folder) ? sorted(folder, Files::isDirectory) : List.<Path>of()) {
            String name = child.getFileName().toString();
            for (Path entry : sorted(child, p -> p.toString().endsWith(".cu"))) {
                families.add(family(name, folder.relativize(entry)));
            }
        }
        return families;
    }

    private Family family(String parent, Path entry) throws IOException {
        String name = entry.getFileName().toString().replaceFirst("\\.cu$", "");
        if (!name.equals(parent) && !name.startsWith(parent + "_")) {
            throw new KernelBuildException("kernel family " + entry + ": entry files of " + parent + " are " + parent + ".cu and "
                    + parent + "_<what it is for>.cu: kernels and images are named after them");
        }
        Set<Path> inputs = new LinkedHashSet<>();
        addIncludes(entry, inputs);
        String source = Files.readString(folder.resolve(entry));
        List<String> targets = words(source, TARGETS);
        for (String target : targets) {
            Targets.check(target, entry + ": // targets");
        }
        List<String> ptx = words(source, PTX);
        if (!ptx.isEmpty() && !ptx.get(0).matches("[7-9]\\.\\d")) {
            throw new KernelBuildException(entry + ": // ptx: " + ptx.get(0) + ": must be a version such as 7.4");
        }
        List<String> registers = words(source, REGISTERS);
        List<String> letters = words(source, TILES);
        return new Family(name, parent, inputs, targets.isEmpty() ? Targets.ALL : targets,
                ptx.isEmpty() ? Targets.PTX_OF_80 : Integer.parseInt(ptx.get(0).replace(".", "")),
                letters.isEmpty() ? List.of("") : tiles(entry, inputs, letters), letters,
                registers.isEmpty() ? -1 : Integer.parseInt(registers.get(0)));
    }

    private List<String> tiles(Path entry, Set<Path> inputs, List<String> letters) throws IOException {
        List<String> tiles = new ArrayList<>();
        for (Path input : inputs) {
            TILE.matcher(Files.readString(folder.resolve(input))).results().map(tile -> tile.group(1).replace(" ", "")).forEach(tiles::add);
        }
        if (tiles.isEmpty() || tiles.stream().anyMatch(tile -> tile.split(",").length != letters.size())) {
            throw new KernelBuildException(entry + ": // tiles: " + String.join(" ", letters) + ": every line TILE(__VA_ARGS__, ...) of"
                    + " what it includes must have a number for each letter, found " + tiles);
        }
        return tiles;
    }

    private static Pattern line(String key) {
        return Pattern.compile("(?m)^// " + key + ": (.+)$");
    }

    private static List<String> words(String source, Pattern line) {
        Matcher found = line.matcher(source);
        return found.find() ? List.of(found.group(1).trim().split("[ ,]+")) : List.of();
    }

    private void addIncludes(Path file, Set<Path> inputs) throws IOException {
        if (!inputs.add(file)) {
            return;
        }
        Matcher includes = INCLUDE.matcher(Files.readString(folder.resolve(file)));
        while (includes.find()) {
            // As the compiler looks: beside the including file, then -I. ; what is in neither is nvcc's own.
            for (Path candidate : List.of(file.resolveSibling(includes.group(1)).normalize(), Path.of(includes.group(1)).normalize())) {
                if (Files.isRegularFile(folder.resolve(candidate))) {
                    addIncludes(candidate, inputs);
                    break;
                }
            }
        }
    }

    /** Hash of the contents that a family's images are made of. */
    String hash(Family family) throws IOException {
        MessageDigest digest = sha256();
        for (Path input : new TreeSet<>(family.inputs())) {
            digest.update((input.toString().replace(File.separatorChar, '/') + "\0").getBytes(StandardCharsets.UTF_8));
            digest.update(Files.readAllBytes(folder.resolve(input)));
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    static List<Path> sorted(Path folder, Predicate<Path> wanted) throws IOException {
        try (Stream<Path> children = Files.list(folder)) {
            return children.filter(wanted).sorted().toList();
        }
    }
}
