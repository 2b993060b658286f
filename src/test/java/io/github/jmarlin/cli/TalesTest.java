package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.format.Calibration;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.llama.CpuDecoder;
import io.github.jmarlin.llama.Evaluation;
import io.github.jmarlin.llama.InputHessians;
import io.github.jmarlin.llama.LlamaModel;
import io.github.jmarlin.llama.Tokenizer;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The model in the command line's jar says what PyTorch says with its weights (src/model/expected.py), and 4 bits keep most of it. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class TalesTest {
    private final CpuDevice device = new CpuDevice(2);
    private Tales tales;
    private Evaluation full;
    private Calibration calibration;

    @BeforeAll
    void inFull() throws IOException {
        tales = new Tales();
        full = evaluate(LlamaModel.Options.STORED);
        try (LlamaModel model = LlamaModel.open(tales.folder(), LlamaModel.Options.STORED)) {
            calibration = InputHessians.of(device, model, Tales.calibration());
        }
    }

    @AfterAll
    void delete() {
        tales.close();
        device.close();
        assertFalse(Files.exists(tales.folder()));
    }

    private static ConfigNode expected() throws IOException {
        try {
            return Json.read(Path.of(TalesTest.class.getResource("tales-expected.json").toURI()));
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void greedyDecodingIsPyTorchs() throws IOException {
        try (LlamaModel model = LlamaModel.open(tales.folder(), LlamaModel.Options.STORED);
                CpuDecoder decoder = new CpuDecoder(device, model, 1, model.config().positions())) {
            int tokens = 0;
            for (ConfigNode expected : expected().get("greedy").items()) {
                String prompt = expected.get("prompt").string();
                List<Integer> ids = expected.get("ids").items().stream().map(id -> (int) id.number()).toList();
                assertEquals(ids, Tales.tell(decoder, prompt).tokens().get(0), prompt);
                tokens += ids.size();
            }
            assertTrue(tokens > 1000, "only " + tokens + " tokens compared");
        }
    }

    @Test
    void logProbabilityIsPyTorchs() throws IOException {
        double expected = (Double) expected().get("mean_log_probability").raw();
        assertEquals(expected, full.meanLogProbability(), 1e-6);
    }

    /**
     * A tale's names and turns are drawn, and there the model itself hesitates between equals: of the argmaxes, it is those that any
     * change turns over. The divergence does not depend on them.
     */
    @ParameterizedTest
    @ValueSource(ints = {32, 64, 128})
    void calibrationKeepsMoreThanTheNearest(int group) throws IOException {
        Evaluation nearest = evaluate(quantized(group, null));
        Evaluation calibrated = evaluate(quantized(group, calibration));
        String figures = Figures.format("groups of %d: %s to the nearest, %s with GPTQ, mean log-probability %.4f in full", group,
                text(nearest), text(calibrated), full.meanLogProbability());
        System.out.println(figures);
        assertTrue(nearest.agreement(full) >= 0.88, figures);
        assertTrue(nearest.divergence(full) > 1e-5, figures);
        assertTrue(calibrated.agreement(full) > nearest.agreement(full), figures);
        assertTrue(calibrated.divergence(full) < 0.7 * nearest.divergence(full), figures);
    }

    private String text(Evaluation evaluation) {
        return Figures.format("%.2f %% of argmaxes kept, divergence %.2e, mean log-probability %.4f", 100 * evaluation.agreement(full),
                evaluation.divergence(full), evaluation.meanLogProbability());
    }

    private static LlamaModel.Options quantized(int group, Calibration calibration) {
        return new LlamaModel.Options(LlamaModel.Weights.QUANTIZED,
                new DenseQuantization(group, true, true, DenseQuantization.USUALLY_EXCLUDED, calibration), true);
    }

    private Evaluation evaluate(LlamaModel.Options options) throws IOException {
        try (LlamaModel model = LlamaModel.open(tales.folder(), options);
                CpuDecoder decoder = new CpuDecoder(device, model, 1, model.config().positions())) {
            return Evaluation.of(decoder, Tales.heldOut());
        }
    }

    /** {@code tokenizer.json} says the same as {@link Tales}. */
    @Test
    void aTokenIsAByte() throws IOException {
        try (Tokenizer tokenizer = Tokenizer.open(tales.folder())) {
            for (String text : new String[] {"Once there was", "  two blanks,\ta tab\n", "\u00fcber \ud83d\udc1f"}) {
                assertArrayEquals(Tales.beginning(text), tokenizer.encode(text), text);
            }
        }
    }

    @Test
    void theCommandLineRunsItByName() {
        Cli run = Cli.run("generate", Tales.NAME, "--prompt", "Once", "--max-tokens", "40", "--device", "cpu");
        assertEquals(0, run.status(), run.err());
        assertTrue(run.out().matches(" there was an? [a-z-]+ [a-z]+.*\\R"), run.out());
    }

    /** What the jar pays for it. */
    @Test
    void itIsSmall() throws IOException {
        try (Stream<Path> files = Files.list(tales.folder())) {
            long bytes = files.mapToLong(file -> file.toFile().length()).sum();
            assertTrue(bytes > 0 && bytes <= 1_700_000, bytes + " bytes");
        }
        long parameters = SafetensorsFile.open(tales.folder().resolve("model.safetensors")).tensors().values().stream()
                .mapToLong(tensor -> tensor.bytes() / Short.BYTES).sum();
        assertTrue(parameters > 300_000 && parameters <= 400_000, parameters + " parameters");
    }
}
