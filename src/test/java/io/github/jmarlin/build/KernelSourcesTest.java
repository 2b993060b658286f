package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.build.KernelSources.Family;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.Kernels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What the comment lines of a family's entry file say. */
class KernelSourcesTest {
    private static final Path SOURCES = Path.of("src/main/cuda");

    @TempDir
    Path folder;

    /** What the plans can choose, the build compiles: a module for each tile, named as the loader asks for it, with an entry for all. */
    @ParameterizedTest
    @EnumSource
    @Tag("source-tree")
    void tilesAndEntriesOfPlansAndSourcesAgree(KernelSet set) throws IOException {
        agree(KernelFamily.STRIPED, "", set, set.tiles().stream().map(tile -> "_m" + tile.batchTile() + "_n" + tile.nTile()));
        agree(KernelFamily.STRIPED, KernelSet.HALVES, set,
                set.tilesInHalves().stream().map(tile -> "_m" + tile.batchTile() + "_n" + tile.nTile() + "_h2"));
        agree(KernelFamily.HOPPER, "", set, set.hopperTiles().stream().map(
                tile -> "_m" + tile.batchTile() + "_n" + tile.nTile() + "_p" + tile.neighbours() + "_s" + tile.split()));
    }

    private static void agree(KernelFamily kernels, String word, KernelSet set, Stream<String> tiles) throws IOException {
        String name = new Kernels(kernels, set) + word;
        Optional<Family> family = families().stream().filter(one -> one.name().equals(name)).findFirst();
        TreeSet<String> planned = tiles.map(tile -> name + tile).collect(Collectors.toCollection(TreeSet::new));
        assertEquals(planned, family.stream().flatMap(one -> one.images("compute_90a")).map(KernelImage::module)
                .collect(Collectors.toCollection(TreeSet::new)));
        if (family.isPresent()) {
            TreeSet<String> entries = Pattern.compile("(?m)^ENTRIES\\((\\w+),").matcher(Files.readString(SOURCES.resolve(
                    family.get().entryName()))).results().map(entry -> entry.group(1)).collect(Collectors.toCollection(TreeSet::new));
            assertEquals(new TreeSet<>(set.instances(kernels)), entries, name);
        }
    }

    /** What 2:4 products need is of 8.5; the others load on older drivers too. */
    @Test
    @Tag("source-tree")
    void everyFamilySaysItsPtxVersion() throws IOException {
        assertTrue(families().stream().anyMatch(family -> family.name().equals("gather")));
        for (Family family : families()) {
            int version = family.name().matches("(striped|hopper)_sp24") ? 85 : family.folder().equals("hopper") ? 80 : 74;
            assertEquals(version, family.ptxVersion(), family.name());
            family.images("compute_90a").forEach(image -> assertEquals(Math.max(80, version), image.ptxVersion(), image.fileName()));
        }
    }

    @Test
    void aFamilyWithoutCommentLinesHasOneModuleForEveryTarget() throws IOException {
        write("plain/plain.cu", "// nothing: here\n");
        Family family = new KernelSources(folder).families().get(0);
        assertEquals(Targets.ALL, family.targets());
        assertEquals(-1, family.registers());
        assertEquals(List.of("plain.sm_86.cubin"), family.images("sm_86").map(KernelImage::fileName).toList());
        assertEquals(List.of("plain.compute_80.ptx"), family.images("sm_86").map(image -> image.ptx().fileName()).toList());
        assertEquals(List.of("plain.compute_90a.ptx"), family.images("sm_90a").map(image -> image.ptx().fileName()).toList());
    }

    @Test
    void tilesAreReadFromWhatIsIncluded() throws IOException {
        write("wide/wide.cu", "// targets: sm_90a, compute_90a\n// ptx: 8.6\n// registers: 168\n// tiles: m p\n#include \"list.cuh\"\n");
        write("wide/list.cuh", "#define LIST(TILE, ...) TILE(__VA_ARGS__, 8, 1) TILE(__VA_ARGS__, 16, 2)\n");
        Family family = new KernelSources(folder).families().get(0);
        assertEquals(List.of("sm_90a", "compute_90a"), family.targets());
        assertEquals(168, family.registers());
        assertEquals(List.of("8,1", "16,2"), family.tiles());
        List<KernelImage> images = family.images("compute_90a").toList();
        assertEquals(List.of("wide_m8_p1.compute_90a.ptx", "wide_m16_p2.compute_90a.ptx"),
                images.stream().map(KernelImage::fileName).toList());
        assertEquals(86, images.get(0).ptxVersion());
        assertTrue(Nvcc.flags(images.get(1)).contains("-DJMARLIN_TILE=16\\,2"), Nvcc.flags(images.get(1)).toString());
    }

    @Test
    void whatTheLinesMayNotSayIsRefused() throws IOException {
        refused("// targets: sm_75\n", "sm_75 must be one of");
        refused("// ptx: seven\n", "// ptx: seven: must be a version such as 7.4");
        refused("// tiles: m n\n", "must have a number for each letter, found []");
        refused("// tiles: m n\n// TILE(__VA_ARGS__, 8)\n", "must have a number for each letter, found [8]");
    }

    private void refused(String source, String why) throws IOException {
        write("bad/bad.cu", source);
        String message = assertThrows(KernelBuildException.class, () -> new KernelSources(folder).families()).getMessage();
        assertTrue(message.startsWith("bad/bad.cu: // ") && message.contains(why), message);
    }

    private static List<Family> families() throws IOException {
        return new KernelSources(SOURCES).families();
    }

    private void write(String name, String text) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }
}
