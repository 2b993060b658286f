package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.format.Calibration;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.llama.CpuDecoder;
import io.github.jmarlin.llama.Evaluation;
import io.github.jmarlin.llama.Generation;
import io.github.jmarlin.llama.InputHessians;
import io.github.jmarlin.llama.LlamaModel;
import io.github.jmarlin.llama.Stories;
import io.github.jmarlin.quantize.Pruning;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What two trained models lose with two of every four weights: chosen with SparseGPT, and the largest two as they are. */
class Sparse24QualityTest {
    private static final int GROUP = 64;

    @TempDir
    Path folder;

    private final CpuDevice device = new CpuDevice(2);

    /** Magnitude keeps two of three argmaxes of this model, so that twice as many are not to be had: of what it loses, two of three. */
    @Test
    void tales() throws IOException {
        try (Tales tales = new Tales()) {
            Kept kept = compare("tales", tales.folder(), Tales.heldOut(), Tales.calibration());
            assertTrue(1 - kept.sparseGpt <= (1 - kept.magnitude) / 3, kept.figures);
            assertTrue(kept.sparseGpt < 0.99, () -> "nothing was pruned: " + kept.figures);
        }
    }

    /** Calibrated with what the model makes up itself: its fixture has no other text than the one that is evaluated. */
    @Test
    void stories() throws IOException {
        Path model = Stories.folder();
        int[] ids = Stories.ids();
        Kept kept = compare("stories260K", model, List.of(ids), madeUp(model, ids[0], ids.length));
        assertTrue(kept.sparseGpt >= 2 * kept.magnitude, kept.figures);
    }

    private Kept compare(String name, Path model, List<int[]> texts, List<int[]> others) throws IOException {
        Path largest = largestTwo(model);
        Evaluation full = evaluate(model, LlamaModel.Options.STORED, texts);
        Calibration calibration = calibration(model, others);
        Evaluation sparse = evaluate(model, quantized(calibration, Pruning.SPARSE_GPT), texts);
        Evaluation dense = evaluate(model, quantized(calibration, Pruning.NONE), texts);
        Evaluation magnitude = evaluate(largest, LlamaModel.Options.STORED, texts);
        Evaluation magnitudeIn4 = evaluate(largest, quantized(null, Pruning.GIVEN), texts);
        String figures = Figures.format("%s, argmaxes kept: %s in 4 bits (GPTQ); with 2:4: %s SparseGPT in 4 bits, %s magnitude as it is,"
                + " %s magnitude in 4 bits; mean log-probability %.4f in full", name, text(dense, full), text(sparse, full),
                text(magnitude, full), text(magnitudeIn4, full), full.meanLogProbability());
        System.out.println(figures);
        return new Kept(sparse.agreement(full), magnitudeIn4.agreement(full), figures);
    }

    /** Shares of the argmaxes, both in 4 bits. */
    private record Kept(double sparseGpt, double magnitude, String figures) {
    }

    private static String text(Evaluation evaluation, Evaluation full) {
        return Figures.format("%.1f %% (%.4f)", 100 * evaluation.agreement(full), evaluation.meanLogProbability());
    }

    private static LlamaModel.Options quantized(Calibration calibration, Pruning pruning) {
        return new LlamaModel.Options(LlamaModel.Weights.QUANTIZED,
                new DenseQuantization(GROUP, true, true, DenseQuantization.USUALLY_EXCLUDED, calibration, pruning), true);
    }

    private Evaluation evaluate(Path folder, LlamaModel.Options options, List<int[]> texts) throws IOException {
        try (LlamaModel model = LlamaModel.open(folder, options); CpuDecoder decoder = decoder(model)) {
            return Evaluation.of(decoder, texts);
        }
    }

    private CpuDecoder decoder(LlamaModel model) {
        return new CpuDecoder(device, model, 1, model.config().positions());
    }

    private Calibration calibration(Path folder, List<int[]> texts) throws IOException {
        try (LlamaModel model = LlamaModel.open(folder, LlamaModel.Options.STORED)) {
            return InputHessians.of(device, model, texts);
        }
    }

    /** Texts that the model draws at temperature 1. */
    private List<int[]> madeUp(Path folder, int first, int length) throws IOException {
        List<int[]> texts = new ArrayList<>();
        try (LlamaModel model = LlamaModel.open(folder, LlamaModel.Options.STORED); CpuDecoder decoder = decoder(model)) {
            for (int seed = 1; seed <= 64; seed++) {
                Generation.Settings settings = new Generation.Settings(length, 1, 1, seed);
                List<Integer> drawn = new Generation(decoder, settings, (prompt, token) -> { }).run(List.of(new int[] {first})).tokens().get(0);
                texts.add(Stream.concat(Stream.of(first), drawn.stream()).mapToInt(Integer::intValue).toArray());
            }
        }
        return texts;
    }

    /** A copy of the model in which of every four neighbouring inputs of its linear layers the two smallest are 0. */
    private Path largestTwo(Path model) throws IOException {
        TestModel pruned = new TestModel();
        for (Tensor tensor : SafetensorsFile.open(model.resolve("model.safetensors")).tensors().values()) {
            float[] values = Floats.read(tensor, 0, tensor.shape().stream().reduce(1L, Math::multiplyExact));
            for (int quad = 0; tensor.name().endsWith("_proj.weight") && quad < values.length; quad += 4) {
                for (int i = 0; i < 2; i++) {
                    int smallest = -1;
                    for (int at = quad; at < quad + 4; at++) {
                        boolean smaller = smallest < 0 || Math.abs(values[at]) < Math.abs(values[smallest]);
                        smallest = values[at] != 0 && smaller ? at : smallest;
                    }
                    values[smallest] = 0;
                }
            }
            pruned.floats(tensor.name(), tensor.type(), values, tensor.shape().stream().mapToLong(Long::longValue).toArray());
        }
        return pruned.write(folder.resolve("largest-two"), Files.readString(model.resolve("config.json")));
    }
}
