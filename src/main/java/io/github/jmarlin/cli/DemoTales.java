package io.github.jmarlin.cli;

import io.github.jmarlin.checkpoint.format.Calibration;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.llama.CpuDecoder;
import io.github.jmarlin.llama.Decoder;
import io.github.jmarlin.llama.Evaluation;
import io.github.jmarlin.llama.InputHessians;
import io.github.jmarlin.llama.LlamaConfig;
import io.github.jmarlin.llama.LlamaModel;
import io.github.jmarlin.llama.Projection;
import java.io.IOException;
import java.util.List;
import java.util.stream.Stream;

/**
 * The demo's second table: how well a trained model foretells tales that it has not seen in 16 bits, in 4 bits to the nearest, and in
 * 4 bits with GPTQ calibrated on tales of their own; and what it tells.
 */
final class DemoTales {
    /** How often the progress advances. */
    static final int STEPS = 4;
    /** Of a model this small, larger groups lose more than of a large one. */
    static final int GROUP = 64;

    private static final String BEGINNING = "Once there was a silver marlin called Mara.";
    /** Bytes of its tale that are shown. */
    private static final int SHOWN = 110;
    private static final double LEAST_SECONDS = 0.4;

    private final Progress progress;
    private final Table table = Table.ofFigures();

    DemoTales(Progress progress) {
        this.progress = progress;
    }

    /** Fills the table. */
    Table run() throws IOException {
        table.row("layers", "size", "same byte foretold as in 16 bits", "mean log-probability", "tokens/s");
        try (CpuDevice device = new CpuDevice(); Tales tales = new Tales()) {
            Evaluation full;
            Calibration calibration;
            progress.begin("16 bits");
            try (LlamaModel model = LlamaModel.open(tales.folder(), LlamaModel.Options.STORED)) {
                describe(model.config(), device);
                full = evaluate("16 bits", device, model, null);
                progress.step("calibrate");
                calibration = InputHessians.of(device, model, Tales.calibration());
            }
            progress.step("to the nearest");
            try (LlamaModel model = LlamaModel.open(tales.folder(), quantized(null))) {
                evaluate("4 bits, to the nearest", device, model, full);
            }
            progress.step("GPTQ");
            try (LlamaModel model = LlamaModel.open(tales.folder(), quantized(calibration))) {
                evaluate("4 bits, GPTQ", device, model, full);
            }
        }
        return table;
    }

    private static LlamaModel.Options quantized(Calibration calibration) {
        return new LlamaModel.Options(LlamaModel.Weights.QUANTIZED,
                new DenseQuantization(GROUP, true, true, DenseQuantization.USUALLY_EXCLUDED, calibration), true);
    }

    private void describe(LlamaConfig config, CpuDevice device) throws IOException {
        int bytes = Tales.heldOut().stream().mapToInt(tale -> tale.length - 1).sum();
        table.fact("model", Figures.format("%s, %d blocks, hidden %d, a token a byte, trained for this by src/model", config.modelType(),
                config.layers(), config.hidden()));
        table.fact("device", device.name() + ", " + device.computesWith());
        table.fact("asked", Figures.format("%d bytes of tales that it has not seen; group %d; tokens/s of one tale alone, from a cache "
                + "that holds the model in 16 bits too", bytes, GROUP));
        table.fact("begin", BEGINNING);
    }

    private Evaluation evaluate(String name, CpuDevice device, LlamaModel model, Evaluation full) throws IOException {
        try (Decoder decoder = new CpuDecoder(device, model, 1, model.config().positions())) {
            Evaluation evaluation = Evaluation.of(decoder, Tales.heldOut());
            String tale;
            long tokens = 0;
            long start = System.nanoTime();
            double seconds;
            do {
                int[] told = Tales.tell(decoder, BEGINNING);
                tokens += told.length;
                tale = Tales.text(told);
                seconds = Stopwatch.secondsSince(start);
            } while (seconds < LEAST_SECONDS);
            table.fact(name, tale.substring(0, Math.min(SHOWN, tale.length())) + " ...");
            table.row(name, Figures.bytes(layerBytes(model)), full == null ? "" : Figures.format("%.2f%%", 100 * evaluation.agreement(full)),
                    Figures.format("%.4f", evaluation.meanLogProbability()), Figures.format("%.0f", tokens / seconds));
            return evaluation;
        }
    }

    private static long layerBytes(LlamaModel model) {
        return model.blocks().stream()
                .flatMap(block -> Stream.of(block.qkv(), List.of(block.output()), block.gateUp(), List.of(block.down())))
                .flatMap(List::stream)
                .mapToLong(layer -> layer instanceof Projection.Packed packed ? packed.weights().byteSize()
                        : ((Projection.Dense) layer).matrix().data().size())
                .sum();
    }
}
