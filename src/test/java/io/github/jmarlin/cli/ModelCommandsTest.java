package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.RandomAccessFile;
import java.io.StringWriter;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** pack, inspect and verify as a user calls them. */
final class ModelCommandsTest {
    @TempDir
    Path folder;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(String... args) {
        out.getBuffer().setLength(0);
        err.getBuffer().setLength(0);
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out, true));
        commandLine.setErr(new PrintWriter(err, true));
        return commandLine.execute(args);
    }

    private static String fixture(String name) throws URISyntaxException {
        return Path.of(ModelCommandsTest.class.getResource("/fixtures/" + name).toURI()).toString();
    }

    private String target() {
        return folder.resolve("packed").toString();
    }

    @ParameterizedTest
    @ValueSource(strings = {"gptq_v1_desc_act_g32", "gptq_v2_asym_g64", "awq_gemm_g64", "ct_pack_asym_g32", "marlin_channel",
            "sharded_gptq"})
    void packInspectVerify(String name) throws URISyntaxException {
        assertEquals(0, run("pack", fixture(name), target()), err.toString());
        assertTrue(out.toString().matches("(?s)[12] layers \\(.*\\) in [12] files: read .*GB/s\\R"), out.toString());
        assertEquals(0, run("inspect", target()), err.toString());
        assertTrue(out.toString().contains("packed, layout version 2"), out.toString());
        assertEquals(1, run("pack", target(), folder.resolve("again").toString()));
        assertTrue(err.toString().contains("found a packed model"), err.toString());
        assertEquals(0, run("verify", target(), "--device", "cpu"), out.toString() + err);
        assertTrue(out.toString().contains("equal"), out.toString());
        assertEquals(0, run("verify", fixture(name), "--device", "cpu"), out.toString() + err);
        assertEquals(0, run("inspect", fixture(name)), err.toString());
        assertTrue(out.toString().contains("yes"), out.toString());
    }

    @Test
    void optionsThatWouldBeIgnoredAreRefused() throws URISyntaxException {
        for (String option : new String[] {"--asymmetric", "--group=64", "--exclude=x", "--calibration=" + folder}) {
            assertEquals(2, run("pack", fixture("gptq_v1_sym_g128"), target(), option), err.toString());
            assertTrue(err.toString().contains(option.split("=")[0] + " says how --quantize works"), err.toString());
            assertTrue(Files.notExists(Path.of(target())), "nothing is written");
        }
    }

    @Test
    void verifyFindsOneWrongByte() throws IOException, URISyntaxException {
        assertEquals(0, run("pack", fixture("gptq_v1_sym_g128"), target()));
        try (Stream<Path> files = Files.list(Path.of(target()))) {
            Path file = files.filter(path -> path.toString().endsWith(".safetensors")).findFirst().orElseThrow();
            try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
                long position = bytes.length() / 2;
                bytes.seek(position);
                int old = bytes.read();
                bytes.seek(position);
                bytes.write(old ^ 0x10);
            }
        }
        assertEquals(1, run("verify", target(), "--device", "cpu"));
        assertTrue(out.toString().contains("code of row") && out.toString().contains("0 of 1 layers are right"), out.toString());
    }

    @Test
    void verifyOfNothingSaysWhy() throws IOException {
        Path dense = new TestModel().floats("model.layers.0.mlp.up_proj.weight", TensorType.F16, new float[64 * 64], 64, 64)
                .write(folder.resolve("dense"), "{\"model_type\":\"llama\"}");
        assertEquals(1, run("verify", dense.toString(), "--device", "cpu"));
        assertTrue(out.toString().contains("0 of 0 layers are right: nothing was verified; 1 layers in full precision were found"),
                out.toString());
        assertEquals(1, run("pack", dense.toString(), target()));
        assertTrue(err.toString().contains("no layer to pack; 1 layers in full precision were found"), err.toString());
        assertEquals(0, run("verify", "--quantize", dense.toString(), "--device", "cpu"), out.toString() + err);
    }

    @Test
    void verifyNeedsTheSource() throws IOException, URISyntaxException {
        Path copy = folder.resolve("source");
        Files.createDirectories(copy);
        try (Stream<Path> files = Files.list(Path.of(fixture("gptq_v1_sym_g128")))) {
            for (Path file : files.toList()) {
                Files.copy(file, copy.resolve(file.getFileName()));
            }
        }
        assertEquals(0, run("pack", copy.toString(), target()));
        Files.move(copy, folder.resolve("moved"));
        assertEquals(2, run("verify", target()));
        assertTrue(err.toString().contains("name it with --source"), err.toString());
        assertEquals(0, run("verify", target(), "--source", folder.resolve("moved").toString(), "--device", "cpu"),
                err.toString());
    }

    @Test
    void badInputIsALineNotAStackTrace() throws IOException {
        assertEquals(1, run("pack", folder.resolve("none").toString(), target()));
        assertTrue(err.toString().startsWith("jmarlin pack: ") && err.toString().lines().count() == 1, err.toString());
        assertEquals(1, run("inspect", folder.toString()));
        assertTrue(err.toString().contains("accepted: safetensors files"), err.toString());
        assertEquals(2, run("pack", folder.toString(), target(), "--dtype", "fp32"));
        assertEquals(2, run("pack", folder.toString(), target(), "--threads", "0"));
        assertEquals(2, run("pack", folder.toString(), target(), "--group", "48"));
        assertEquals(2, run("pack", folder.toString(), target(), "--exclude", "("));
        assertEquals(2, run("pack", folder.toString()));
    }
}
