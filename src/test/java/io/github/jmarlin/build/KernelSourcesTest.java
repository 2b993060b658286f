package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.build.KernelSources.Family;
import io.github.jmarlin.plan.HopperTile;
import io.github.jmarlin.plan.TileShape;
import io.github.jmarlin.plan.WeightShape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the comment lines of a family's entry file say. */
class KernelSourcesTest {
    @TempDir
    Path folder;

    /** What the plans can choose, the build compiles: a module for each tile, named as the loader asks for it. */
    @Test
    @Tag("source-tree")
    void tilesOfPlansAndSourcesAgree() throws IOException {
        WeightShape weights = new WeightShape(64, 64, 64, DataType.FP16, false);
        assertEquals(modules(TileShape.INSTANCES.stream().map(tile -> tile.kernelName(weights))), compiled("striped"));
        assertEquals(modules(HopperTile.INSTANCES.stream().map(tile -> tile.kernelName(weights))), compiled("hopper"));
        assertEquals(new TreeSet<>(List.of("gather")), compiled("gather"));
    }

    @Test
    @Tag("source-tree")
    void everyFamilySaysItsPtxVersion() throws IOException {
        for (Family family : new KernelSources(Path.of("src/main/cuda")).families()) {
            assertEquals(family.name().equals("hopper") ? 80 : 74, family.ptxVersion(), family.name());
            family.images("compute_90a").forEach(image -> assertEquals(80, image.ptxVersion(), image.fileName()));
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

    private static TreeSet<String> modules(Stream<String> kernels) {
        return kernels.map(kernel -> kernel.replace("_f16_sym_g64", "")).collect(Collectors.toCollection(TreeSet::new));
    }

    private static TreeSet<String> compiled(String family) throws IOException {
        return new KernelSources(Path.of("src/main/cuda")).families().stream().filter(one -> one.name().equals(family))
                .flatMap(one -> one.images("compute_90a")).map(KernelImage::module).collect(Collectors.toCollection(TreeSet::new));
    }

    private void write(String name, String text) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }
}
