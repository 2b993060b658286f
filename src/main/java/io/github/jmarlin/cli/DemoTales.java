package io.github.jmarlin.cli;

import io.github.jmarlin.checkpoint.format.Calibration;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.llama.CpuDecoder;
import io.github.jmarlin.llama.Decoder;
import io.github.jmarlin.llama.Evaluation;
import io.github.jmarlin.llama.InputHessians;
import io.github.jmarlin.llama.LlamaModel;
import io.github.jmarlin.llama.Step;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The demo's second table: what a trained model loses in 4 bits, and what calibration gives back. */
final class DemoTales {
    /** Small groups: a trained model this small has little to spare. */
    static final int GROUP = 64;
    private static final String BEGINNING = "Once there was a silver marlin called Mara.";
    private static final double LEAST_SECONDS = 0.4;
    /** Of its tale, what fits a line of the table. */
    private static final int SHOWN = 100;

    private final CpuDevice device;
    private final Table table = Table.ofFigures();
    private boolean finite = true;

    DemoTales(CpuDevice device) {
        this.device = device;
    }

    /** Measures all three. */
    Table run(Progress progress) throws IOException {
        try (Tales tales = new Tales()) {
            progress.step("a tale in 16 bits");
            Evaluation dense;
            Calibration calibration;
            table.row("weights of the layers", "size", "same byte foretold", "mean log-probability", "tokens/s");
            try (LlamaModel model = LlamaModel.open(tales.folder(), LlamaModel.Options.STORED)) {
                table.fact("model", model.config().layers() + " blocks");
                dense = evaluate("16 bits", model, null);
                progress.step("calibrate");
                calibration = InputHessians.of(device, model, Tales.calibration());
            }
            for (boolean calibrated : new boolean[] {false, true}) {
                String name = calibrated ? "4 bits, GPTQ" : "4 bits, to the nearest";
                progress.step(name);
                DenseQuantization how = new DenseQuantization(GROUP, true, true, DenseQuantization.USUALLY_EXCLUDED,
                        calibrated ? calibration : null);
                try (LlamaModel model = LlamaModel.open(tales.folder(),
                        new LlamaModel.Options(LlamaModel.Weights.QUANTIZED, how, true))) {
                    evaluate(name, model, dense);
                }
            }
        }
        return table;
    }

    private Evaluation evaluate(String name, LlamaModel model, Evaluation dense) throws IOException {
        try (Decoder decoder = new CpuDecoder(device, model, 1, model.config().positions())) {
            Evaluation evaluation = Evaluation.of(decoder, Tales.heldOut());
            finite &= Double.isFinite(evaluation.meanLogProbability());
            long tokens = 0;
            byte[] tale;
            long start = System.nanoTime();
            do {
                tale = tell(decoder);
                tokens += tale.length;
            } while (Stopwatch.secondsSince(start) < LEAST_SECONDS);
            double seconds = Stopwatch.secondsSince(start);
            table.fact(name + " says", new String(tale, 0, Math.min(SHOWN, tale.length), StandardCharsets.UTF_8));
            table.row(name, "?", dense == null ? "" : Figures.format("%.2f%%", 100 * evaluation.agreement(dense)),
                    Figures.format("%.4f", evaluation.meanLogProbability()), Figures.format("%.0f", tokens / seconds));
            return evaluation;
        }
    }

    /** What follows the beginning, token by token, the likeliest each time. */
    private static byte[] tell(Decoder decoder) {
        int[] beginning = Tales.beginning(BEGINNING);
        ByteArrayOutputStream tale = new ByteArrayOutputStream();
        int token = decoder.argmax(Step.prompt(0, 0, beginning, false))[0];
        int position = beginning.length;
        while (!decoder.config().endIds().contains(token) && position < decoder.positions()) {
            tale.write(token);
            token = decoder.argmax(Step.tokens(new int[] {0}, new int[] {position++}, new int[] {token}))[0];
        }
        return tale.toByteArray();
    }

    /** Whether every figure is a number. */
    boolean isFinite() {
        return finite;
    }
}
