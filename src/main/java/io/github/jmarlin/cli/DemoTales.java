package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.checkpoint.format.Calibration;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.llama.Decoder;
import io.github.jmarlin.llama.Decoders;
import io.github.jmarlin.llama.Evaluation;
import io.github.jmarlin.llama.Generation;
import io.github.jmarlin.llama.InputHessians;
import io.github.jmarlin.llama.LlamaConfig;
import io.github.jmarlin.llama.LlamaModel;
import io.github.jmarlin.llama.Projection;
import java.io.IOException;

/**
 * The demo's second table: how well a trained model foretells tales that it has not seen in 16 bits, in 4 bits to the nearest, and in
 * 4 bits with GPTQ calibrated on further tales; and what it tells.
 */
final class DemoTales {
    /** How often the progress advances. */
    static final int STEPS = 3;
    /** The library's default. */
    private static final int GROUP = DenseQuantization.DEFAULT.groupSize();
    private static final String BEGINNING = "Once there was a silver marlin called Mara.";
    /** Characters of a tale that are shown. */
    private static final int SHOWN = 88;
    private static final double LEAST_SECONDS = 0.3;

    private final ComputeDevice device;
    private final Progress progress;
    private final Table table = Table.ofFigures();

    /** @param device the processor is taken instead if there is no decoder for it */
    DemoTales(ComputeDevice device, Progress progress) {
        this.device = Decoders.runOn(device) ? device : CalibrateCommand.processor();
        this.progress = progress;
    }

    /** Fills the table. */
    Table run() throws IOException {
        table.row("layers", "size", "same byte as in 16 bits", "divergence", "mean log-probability", "tokens/s");
        try (Tales tales = new Tales()) {
            Evaluation full;
            Calibration calibration;
            progress.begin("a tale in 16 bits");
            try (LlamaModel model = LlamaModel.open(tales.folder(), options(LlamaModel.Weights.STORED, null))) {
                describe(model.config());
                full = evaluate("16 bits", model, null);
                progress.step("calibrate");
                calibration = InputHessians.of(CalibrateCommand.processor(), model, Tales.calibration());
            }
            progress.step("a tale in 4 bits");
            try (LlamaModel model = LlamaModel.open(tales.folder(), options(LlamaModel.Weights.QUANTIZED, null))) {
                evaluate("4 bits, to the nearest", model, full);
            }
            progress.step("with GPTQ");
            try (LlamaModel model = LlamaModel.open(tales.folder(), options(LlamaModel.Weights.QUANTIZED, calibration))) {
                evaluate("4 bits, GPTQ", model, full);
            }
        }
        return table;
    }

    private LlamaModel.Options options(LlamaModel.Weights weights, Calibration calibration) {
        return new LlamaModel.Options(weights, new DenseQuantization(GROUP, true, true, DenseQuantization.USUALLY_EXCLUDED, calibration),
                Decoders.readInPlace(device));
    }

    private void describe(LlamaConfig config) throws IOException {
        int bytes = Tales.heldOut().stream().mapToInt(tale -> tale.length - 1).sum();
        table.fact("device", device.name() + (device instanceof CpuDevice cpu ? ", " + cpu.computesWith() : ""));
        table.fact("model", Figures.format("a %s of our own (src/model): %d blocks, hidden %d, a token a byte; all of it fits the cache",
                config.modelType(), config.layers(), config.hidden()));
        table.fact("foretells", Figures.format("%d bytes of tales that it has not seen; groups of %d; divergence from 16 bits in nats a "
                + "byte", bytes, GROUP));
        table.fact("prompt", BEGINNING);
    }

    private Evaluation evaluate(String name, LlamaModel model, Evaluation full) throws IOException {
        try (Decoder decoder = Decoders.on(device, model, 1, model.config().positions())) {
            Evaluation evaluation = Evaluation.of(decoder, Tales.heldOut());
            Generation.Result told;
            long tokens = 0;
            double seconds = 0;
            do {
                told = Tales.tell(decoder, BEGINNING);
                tokens += told.decodeTokens();
                seconds += told.decodeSeconds();
            } while (seconds < LEAST_SECONDS);
            String tale = Tales.text(told.tokens().get(0)).strip();
            table.fact(name, tale.length() <= SHOWN ? tale : tale.substring(0, SHOWN) + " ...");
            table.row(name, Figures.bytes(blockBytes(model)),
                    full == null ? "" : Figures.format("%.2f%%", 100 * evaluation.agreement(full)),
                    full == null ? "" : Figures.format("%.2e", evaluation.divergence(full)),
                    Figures.format("%.4f", evaluation.meanLogProbability()), Figures.format("%.0f", tokens / seconds));
            return evaluation;
        }
    }

    /** Bytes of all linear layers but the head. */
    private static long blockBytes(LlamaModel model) {
        return model.projections().filter(layer -> layer != model.head())
                .mapToLong(layer -> layer instanceof Projection.Packed packed ? packed.weights().byteSize()
                        : ((Projection.Dense) layer).matrix().data().size())
                .sum();
    }
}
