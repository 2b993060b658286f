package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.format.Calibration;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.llama.CpuDecoder;
import io.github.jmarlin.llama.Evaluation;
import io.github.jmarlin.llama.InputHessians;
import io.github.jmarlin.llama.LlamaModel;
import io.github.jmarlin.llama.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The model in the command line's jar says what PyTorch says with its weights (src/model/expected.py), and 4 bits keep most of it. */
class TalesTest {
    private static final Path EXPECTED = Path.of("src/test/resources/io/github/jmarlin/cli/tales-expected.json");

    private final CpuDevice device = new CpuDevice(2);
    private Tales tales;

    @BeforeEach
    void extract() throws IOException {
        tales = new Tales();
    }

    @AfterEach
    void delete() {
        tales.close();
        device.close();
        assertFalse(Files.exists(tales.folder()));
    }

    @Test
    void greedyDecodingIsPyTorchs() throws IOException {
        try (LlamaModel model = LlamaModel.open(tales.folder(), LlamaModel.Options.STORED);
                CpuDecoder decoder = new CpuDecoder(device, model, 1, model.config().positions())) {
            int tokens = 0;
            for (ConfigNode expected : Json.read(EXPECTED).get("greedy").items()) {
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
        double expected = (Double) Json.read(EXPECTED).get("mean_log_probability").raw();
        assertEquals(expected, evaluate(LlamaModel.Options.STORED).meanLogProbability(), 1e-4);
    }

    @ParameterizedTest
    @ValueSource(ints = {32, 64, 128})
    void calibrationKeepsMoreThanTheNearest(int group) throws IOException {
        Evaluation full = evaluate(LlamaModel.Options.STORED);
        Evaluation nearest = evaluate(quantized(group, null));
        Evaluation calibrated;
        try (LlamaModel model = LlamaModel.open(tales.folder(), LlamaModel.Options.STORED)) {
            calibrated = evaluate(quantized(group, InputHessians.of(device, model, Tales.calibration())));
        }
        String figures = Figures.format("groups of %d: %.2f %% kept, mean log-probability %.4f to the nearest, %.2f %%, %.4f with GPTQ, "
                + "%.4f in full", group, 100 * nearest.agreement(full), nearest.meanLogProbability(), 100 * calibrated.agreement(full),
                calibrated.meanLogProbability(), full.meanLogProbability());
        System.out.println(figures);
        assertTrue(nearest.agreement(full) >= 0.88, figures);
        assertTrue(calibrated.agreement(full) > nearest.agreement(full), figures);
        assertTrue(calibrated.meanLogProbability() > nearest.meanLogProbability(), figures);
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

    /** What the jar pays for it. */
    @Test
    void theFolderIsSmall() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/main/resources/io/github/jmarlin/cli/tales"))) {
            long bytes = files.mapToLong(file -> file.toFile().length()).sum();
            assertTrue(bytes > 0 && bytes <= 1_700_000, bytes + " bytes");
        }
        long weights = Files.size(tales.folder().resolve("model.safetensors"));
        assertTrue(weights <= 2 * 400_000, weights + " bytes: more than 400,000 parameters of 16 bits");
    }
}
