package io.github.jmarlin.checkpoint.packed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code jmarlin pack} in a process of its own, killed without warning at random moments; {@code -Djmarlin.kills=20} for more.
 */
final class InterruptedPackTest {
    private static final int KILLS = Integer.getInteger("jmarlin.kills", 5);

    @TempDir
    Path folder;

    @Test
    void killedAtRandomMomentsAndRunAgain() throws IOException, InterruptedException {
        Path source = folder.resolve("source");
        Path target = folder.resolve("packed");
        GeneratedModel.write(source, 12, 1024, 3072, 256, 2000);
        byte[] before = fingerprint(source);

        long start = System.nanoTime();
        assertEquals(0, pack(source, folder.resolve("whole"), Long.MAX_VALUE));
        long whole = System.nanoTime() - start;
        Random random = new Random(20261121);
        int interrupted = 0;
        int kept = 0;
        for (int kill = 0; kill < KILLS; kill++) {
            int status = pack(source, target, (long) (random.nextDouble() * whole));
            if (PackedModel.isPacked(target)) {
                assertWhole(source, target);    // also where the kill came after the last file and before the exit
                delete(target);
            } else {
                assertNotEquals(0, status, "a run that was not killed left no packed model");
                interrupted++;
            }
        }
        kept = new ModelPacker(Checkpoint.open(source), target, PackOptions.DEFAULT).run().keptFiles();
        System.out.println(interrupted + " of " + KILLS + " runs were killed before they ended; the last found " + kept
                + " files done");
        assertTrue(interrupted > 0, "no run was killed in time");

        assertWhole(source, target);
        try (Stream<Path> files = Files.list(target)) {
            assertEquals(0, files.filter(file -> file.toString().endsWith(".partial")).count());
        }
        org.junit.jupiter.api.Assertions.assertArrayEquals(before, fingerprint(source), "the source was touched");
    }

    /** Every layer is there, and right. */
    private static void assertWhole(Path source, Path target) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(source);
        PackedModel packed = PackedModel.open(target);
        assertEquals(checkpoint.layerNames().stream().filter(name -> !checkpoint.isDense(name)).count(), packed.layers().size());
        for (String name : packed.layers().keySet()) {
            try (QuantizedMatrix matrix = checkpoint.layer(name).read()) {
                assertEquals(Optional.empty(), PackedComparison.firstDifference(matrix, packed.weights(name)), name);
            }
        }
    }

    /** The exit status of the command, which is killed after some nanoseconds. */
    private int pack(Path source, Path target, long nanoseconds) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256m",
                "-cp", System.getProperty("java.class.path"), "io.github.jmarlin.cli.Main", "pack", source.toString(),
                target.toString())
                .redirectErrorStream(true).redirectOutput(folder.resolve("log").toFile()).start();
        if (!process.waitFor(nanoseconds, TimeUnit.NANOSECONDS)) {
            process.destroyForcibly();
        }
        return process.waitFor();
    }

    private static byte[] fingerprint(Path source) throws IOException {
        SourceHash hash = new SourceHash();
        try (Stream<Path> files = Files.list(source)) {
            for (Path file : files.sorted().toList()) {
                hash.add(file.getFileName() + " " + Files.getLastModifiedTime(file));
                hash.add(java.util.HexFormat.of().formatHex(Files.readAllBytes(file)));
            }
        }
        return hash.finish().getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    }

    private static void delete(Path target) throws IOException {
        try (Stream<Path> files = Files.walk(target)) {
            for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
