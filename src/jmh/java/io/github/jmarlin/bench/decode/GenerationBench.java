package io.github.jmarlin.bench.decode;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.bench.decode.SyntheticModel.Shape;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.llama.Decoder;
import io.github.jmarlin.llama.Decoders;
import io.github.jmarlin.llama.LlamaModel;
import io.github.jmarlin.llama.Projection;
import io.github.jmarlin.llama.Step;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** Whole models in 4 bits against the same decoder on dense weights: tokens per second at several batch sizes. */
public final class GenerationBench {
    /** Tokens of the prompt whose prefill is timed. */
    public static final int PROMPT = 128;
    /** Sequences that are decoded together. */
    public static final List<Integer> BATCHES = List.of(1, 16, 64);
    /** Above this the two forms do not compute the same: they differ by the rounding of dense weights and by the products'. */
    public static final double LARGEST_ERROR = 0.02;

    private static final int POSITIONS = 16;
    /** Of the vocabulary: a head is as long as it has rows, and whole ones would not fit small machines. */
    private static final int HEAD_PARTS = 8;

    private final ComputeDevice device;
    private final double secondsEach;
    private final Consumer<String> progress;

    /**
     * A bench.
     *
     * @param secondsEach of timing for each batch size and form
     * @param progress told what begins
     */
    public GenerationBench(ComputeDevice device, double secondsEach, Consumer<String> progress) {
        this.device = device;
        this.secondsEach = secondsEach;
        this.progress = progress;
    }

    private interface Opening {
        LlamaModel open(boolean dense) throws IOException;
    }

    /** Some blocks of a shape and an eighth of its head, extrapolated to the whole. */
    public List<GenerationFigures> synthetic(Shape shape, int blocks) throws IOException {
        int headRows = shape.vocabulary() / HEAD_PARTS;
        return both(shape.name() + " (random weights)", shape.layers(), (double) headRows / shape.vocabulary(), true,
                dense -> SyntheticModel.of(shape, blocks, headRows, dense));
    }

    /** A model of a folder, whole: in 4 bits as it is stored or, if it is dense, quantized to the nearest. */
    public List<GenerationFigures> folder(Path folder) throws IOException {
        String name = folder.toAbsolutePath().normalize().getFileName().toString();
        if (isQuantized(folder)) {
            return both(name, 0, 1, true, dense -> open(folder, dense ? LlamaModel.Weights.DENSE : LlamaModel.Weights.STORED));
        }
        return both(name, 0, 1, false, dense -> open(folder, dense ? LlamaModel.Weights.STORED : LlamaModel.Weights.QUANTIZED));
    }

    private boolean isQuantized(Path folder) throws IOException {
        try (LlamaModel model = open(folder, LlamaModel.Weights.STORED)) {
            return model.projections().anyMatch(Projection.Packed.class::isInstance);
        }
    }

    private LlamaModel open(Path folder, LlamaModel.Weights weights) throws IOException {
        return LlamaModel.open(folder, new LlamaModel.Options(weights, DenseQuantization.DEFAULT, Decoders.readInPlace(device)));
    }

    /** @param sameWeights both forms stand for the same numbers, so that their logits must agree */
    private List<GenerationFigures> both(String name, int allBlocks, double headShare, boolean sameWeights, Opening opening)
            throws IOException {
        List<GenerationFigures> figures = new ArrayList<>();
        float[] dense = measure(name, true, allBlocks, headShare, opening, null, figures);
        measure(name, false, allBlocks, headShare, opening, sameWeights ? dense : null, figures);
        return figures;
    }

    /** Adds what one form reaches; returns the logits of a short prompt, or null if it was skipped. */
    private float[] measure(String name, boolean dense, int allBlocks, double headShare, Opening opening, float[] other,
            List<GenerationFigures> figures) throws IOException {
        String weights = dense ? "dense" : "4-bit";
        progress.accept(name + ", " + weights + ": making or opening the model");
        try (LlamaModel model = opening.open(dense)) {
            int blocks = model.config().layers();
            int all = Math.max(blocks, allBlocks);
            double blockFactor = (double) all / blocks;
            float[] logits;
            double prefill;
            try (Decoder decoder = Decoders.on(device, model, 1, Math.min(PROMPT, model.config().positions()))) {
                progress.accept(name + ", " + weights + ": prefill");
                logits = decoder.logits(Step.prompt(0, 0, IntStream.range(0, 8).toArray(), true));
                int tokens = Math.min(decoder.mostRows(), decoder.positions());
                prefill = tokens / DecoderTimes.ofPrompt(decoder, tokens, secondsEach).extrapolated(blockFactor, 1 / headShare);
            }
            double error = other == null ? Double.NaN : error(other, logits);
            for (int batch : BATCHES) {
                progress.accept(name + ", " + weights + ": decoding " + batch);
                try (Decoder decoder = Decoders.on(device, model, batch, Math.min(POSITIONS, model.config().positions()))) {
                    double seconds = DecoderTimes.ofBatch(decoder, batch, secondsEach).extrapolated(blockFactor, 1 / headShare);
                    figures.add(new GenerationFigures(name, weights, batch, batch / seconds, prefill, blocks, all, headShare, error, null));
                }
            }
            return logits;
        } catch (JMarlinException e) {
            figures.add(new GenerationFigures(name, weights, 0, 0, 0, 0, allBlocks, headShare, Double.NaN, e.getMessage()));
            return null;
        }
    }

    /** Relative Frobenius error; NaN if any element is. */
    private static double error(float[] expected, float[] actual) {
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < expected.length; i++) {
            difference += ((double) actual[i] - expected[i]) * ((double) actual[i] - expected[i]);
            norm += (double) expected[i] * expected[i];
        }
        return Math.sqrt(difference / norm);
    }
}
