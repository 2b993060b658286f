package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --sparse24} as a user meets it: models that are 2:4 sparse already, and models that are pruned. */
final class Sparse24CommandsTest {
    private static final int K = 200;
    private static final int N = 130;
    private static final String LAYER = "model.layers.0.mlp.up_proj";

    @TempDir
    Path folder;

    private String target() {
        return folder.resolve("packed").toString();
    }

    private static float[] weight(boolean sparse) {
        float[] weight = TestMatrices.gaussian(N * K, 3);
        for (int i = 0; sparse && i < weight.length; i++) {
            weight[i] = i % 4 == 1 || i % 4 == (i / 4 % 2 == 0 ? 0 : 3) ? weight[i] : 0;
        }
        return weight;
    }

    private Path model(float[] weight) throws IOException {
        return new TestModel().floats(LAYER + ".weight", TensorType.F16, weight, N, K).write(folder.resolve("model"),
                "{\"model_type\":\"llama\"}");
    }

    private Path calibration() throws IOException {
        float[] inputs = TestMatrices.gaussian(400 * K, 4);
        for (int i = 1; i < inputs.length; i++) {
            inputs[i] = 0.8f * inputs[i - 1] + 0.6f * inputs[i];
        }
        return new TestModel().floats(LAYER + ".input", TensorType.F32, inputs, 400, K).write(folder.resolve("inputs"), null);
    }

    private void assertPackedSparse(float[] weight, boolean zerosKept, String... options) throws IOException {
        try (PackedWeights packed = PackedModel.open(Path.of(target())).weights(LAYER); QuantizedMatrix matrix = packed.unpack()) {
            assertEquals(WeightForm.Sparsity.TWO_OF_FOUR, packed.form().sparsity());
            for (int i = 0; zerosKept && i < weight.length; i++) {
                assertTrue(weight[i] != 0 || matrix.code(i % K, i / K) == 8, "input " + i % K + ", output " + i / K);
            }
        }
        Cli same = run("verify", options, target(), "--device", "cpu");
        assertEquals(0, same.status(), same.out() + same.err());
        Cli dense = Cli.run("verify", target(), "--device", "cpu");
        assertEquals(1, dense.status(), "dense weights are others: " + dense.out());
        assertTrue(Cli.run("inspect", target()).out().contains("2:4"), Cli.run("inspect", target()).out());
    }

    private static Cli run(String command, String[] options, String... arguments) {
        return Cli.run(Stream.of(new String[] {command}, options, arguments).flatMap(Stream::of).toArray(String[]::new));
    }

    @Test
    void sparseModelsArePackedAsTheyAre() throws IOException {
        String[] options = {"--quantize", "--sparse24=keep"};
        assertEquals("", run("pack", options, model(weight(true)).toString(), target()).err());
        assertPackedSparse(weight(true), true, options);
    }

    @Test
    void theirRestIsQuantizedWithGptqIfThereIsCalibration() throws IOException {
        String[] options = {"--quantize", "--sparse24=keep", "--group=64", "--calibration=" + calibration()};
        assertEquals("", run("pack", options, model(weight(true)).toString(), target()).err());
        assertPackedSparse(weight(true), true, options);
    }

    @Test
    void modelsThatAreNotSparseAreRefusedWithThePlace() throws IOException {
        float[] weight = weight(true);
        weight[100 * K + 8] = weight[100 * K + 9] = weight[100 * K + 11] = 1e-4f;
        Cli pack = Cli.run("pack", model(weight).toString(), target(), "--quantize", "--sparse24=keep");
        assertEquals(1, pack.status(), pack.out());
        assertTrue(pack.err().contains("output 100, inputs 8 to 11: 3 weights are not 0"), pack.err());
        assertEquals(1, pack.err().lines().count(), pack.err());
    }

    @Test
    void modelsArePrunedWithCalibration() throws IOException {
        String[] options = {"--quantize", "--sparse24=prune", "--calibration=" + calibration()};
        assertEquals("", run("pack", options, model(weight(false)).toString(), target()).err());
        assertPackedSparse(weight(false), false, options);
    }

    @Test
    void layersWithoutCalibrationAreNotPruned() throws IOException {
        Path inputs = new TestModel().floats("other.input", TensorType.F32, new float[K], 1, K).write(folder.resolve("inputs"), null);
        Cli pack = Cli.run("pack", model(weight(false)).toString(), target(), "--quantize", "--sparse24=prune", "--calibration=" + inputs);
        assertEquals(1, pack.status(), pack.out());
        assertTrue(pack.err().contains("no calibration of layer " + LAYER), pack.err());
    }

    @Test
    void whatCannotBeIsAUsageError() throws IOException {
        String model = model(weight(true)).toString();
        String[][] wrong = {{"--quantize", "--sparse24=prune"}, {"--quantize", "--sparse24=keep", "--asymmetric"},
            {"--quantize", "--sparse24=keep", "--group=32"}, {"--sparse24=keep"}, {"--quantize", "--sparse24=some"}};
        for (String[] options : wrong) {
            Cli pack = run("pack", options, model, target());
            assertEquals(2, pack.status(), String.join(" ", options) + pack.err());
            assertTrue(pack.err().contains("--sparse24") && Files.notExists(Path.of(target())), pack.err());
        }
    }
}
