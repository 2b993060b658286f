package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntUnaryOperator;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/** What the tests of real repositories have in common: a fixture of a real tool, changed as people's folders are. */
final class Repository {
    static final ObjectMapper JSON = new ObjectMapper();
    static final String LAYER = "model.layers.0.self_attn.q_proj";

    private Repository() {
    }

    /** Changes a text file. */
    static void edit(Path file, UnaryOperator<String> change) throws IOException {
        String before = Files.readString(file);
        String after = change.apply(before);
        assertTrue(!after.equals(before), "the change of " + file + " has an effect");
        Files.writeString(file, after);
    }

    /** Inserts a pair at the start of config.json. */
    static void addToConfig(Path folder, String pair) throws IOException {
        edit(folder.resolve("config.json"), text -> text.replaceFirst("\\{", "{" + pair.replace("\\", "\\\\") + ","));
    }

    /** config.json as a tree, changed. */
    static void config(Path folder, Consumer<ObjectNode> change) throws IOException {
        Path file = folder.resolve("config.json");
        ObjectNode tree = (ObjectNode) JSON.readTree(file.toFile());
        change.accept(tree);
        JSON.writeValue(file.toFile(), tree);
    }

    /** Replaces 32-bit words of a tensor, in place. */
    static void words(Path file, String tensor, IntUnaryOperator change) throws IOException {
        Tensor found = SafetensorsFile.open(file).tensor(tensor);
        ByteBuffer words = ByteBuffer.allocate((int) found.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        ByteBuffer old = found.slice(0, (int) found.bytes());
        for (int i = 0; i < words.capacity(); i += Integer.BYTES) {
            words.putInt(i, change.applyAsInt(old.getInt(i)));
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.write(words, found.fileOffset());
        }
    }

    /** inspect, pack and verify all succeed, and the packed weights are the fixture's, bit for bit. */
    static void assertPacksTo(String fixture, Path folder, Path target) throws IOException {
        Cli inspected = Cli.run("inspect", folder.toString());
        assertEquals(0, inspected.status(), inspected.toString());
        Cli packed = Cli.run("pack", folder.toString(), target.toString());
        assertEquals(0, packed.status(), packed.toString());
        Cli verified = Cli.run("verify", target.toString(), "--device", "cpu");
        assertEquals(0, verified.status(), verified.toString());
        assertWeights(fixture, target);
    }

    /** The packed weights are the fixture's, bit for bit. */
    static void assertWeights(String fixture, Path target) throws IOException {
        SafetensorsFile expected = SafetensorsFile.open(Fixtures.folder(fixture).resolve("expected.safetensors"));
        PackedModel model = PackedModel.open(target);
        assertEquals(expected.find("weight").isPresent() ? 1 : 2, model.layers().size());
        for (String name : model.layers().keySet()) {
            Tensor weights = expected.tensor(expected.find("weight").isPresent() ? "weight" : name + ".weight");
            ByteBuffer bytes = weights.slice(0, (int) weights.bytes());
            int k = Math.toIntExact(weights.shape().get(1));
            try (QuantizedMatrix matrix = model.weights(name).unpack()) {
                for (int row = 0; row < k; row++) {
                    int input = matrix.hasInputOrder() ? matrix.inputOrder().get(row) : row;
                    for (int column = 0; column < matrix.n(); column++) {
                        assertEquals(bytes.getFloat((column * k + input) * Float.BYTES), matrix.weight(row, column) + 0f,
                                name + ", input " + input + ", column " + column);
                    }
                }
            }
        }
    }

    /** The command fails with one line that has all of {@code parts}; nothing is at {@code target}. */
    static void assertRefused(Path target, int status, String[] command, String... parts) {
        Cli run = Cli.run(command);
        assertEquals(status, run.status(), run.toString());
        assertEquals(1, run.err().lines().count(), run.toString());
        for (String part : parts) {
            assertTrue(run.err().contains(part), part + " expected in: " + run.err());
        }
        assertTrue(target == null || Files.notExists(target), "nothing is written");
    }

    static List<String> names(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }
}
