package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.Devices;
import io.github.jmarlin.checkpoint.container.FileProblem;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.llama.CalibrationWriter;
import io.github.jmarlin.llama.LlamaModel;
import io.github.jmarlin.llama.Tokenizer;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Runs a text through a model and keeps what goes into its layers. */
@Command(name = "calibrate", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Run a text through a model on the processor and write what goes into its linear layers, for "
                + "`jmarlin pack --quantize --calibration OUT`.")
final class CalibrateCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "MODEL",
            description = "folder with config.json and safetensors files, or a .gguf file; only read")
    private Path folder;

    @Parameters(index = "1", paramLabel = "OUT", description = "folder for the activations")
    private Path target;

    @Option(names = "--text", paramLabel = "FILE", required = true,
            description = "text like that the model will see, in UTF-8; token ids where the model has no tokenizer.json")
    private Path text;

    @Option(names = "--tokens", paramLabel = "COUNT", defaultValue = "4096",
            description = "use at most so many tokens from the text's beginning (default ${DEFAULT-VALUE})")
    private int most;

    @Option(names = "--length", paramLabel = "COUNT", defaultValue = "512",
            description = "cut them into sequences of so many (default ${DEFAULT-VALUE}, or what the model has)")
    private int length;

    @Override
    public Integer call() throws IOException {
        if (most < 1 || length < 1) {
            throw new ParameterException(spec.commandLine(), "--tokens " + most + " --length " + length + ": both must be at least 1");
        }
        if (Files.exists(target) && Files.isSameFile(folder, target)) {
            throw new ParameterException(spec.commandLine(), "OUT " + target
                    + " is the model's folder: its files would no longer be one model");
        }
        long start = System.nanoTime();
        try (LlamaModel model = LlamaModel.open(folder, LlamaModel.Options.STORED)) {
            int[] tokens = tokens();
            int used = Math.min(most, tokens.length);
            CalibrationWriter writer = new CalibrationWriter(processor(), model, Math.min(length, model.config().positions()));
            CalibrationWriter.Result result;
            try (Progress progress = new Progress("calibrate", used)) {
                result = writer.write(Arrays.copyOf(tokens, used), target, progress::step);
            }
            PrintWriter out = spec.commandLine().getOut();
            out.println(Figures.format("%d tokens of %d through %d layers in %s: wrote %s", used, tokens.length, result.layers(),
                    Figures.seconds(Stopwatch.secondsSince(start)), Figures.bytes(result.bytes())));
            out.flush();
        }
        return 0;
    }

    static CpuDevice processor() {
        for (ComputeDevice device : Devices.all()) {
            if (device instanceof CpuDevice cpu) {
                return cpu;
            }
        }
        throw new IllegalStateException("every machine has a processor");
    }

    private int[] tokens() throws IOException {
        String content = FileProblem.explained("read this file", text, () -> Files.readString(text));
        if (content.isBlank()) {
            throw new IllegalArgumentException(text + " is empty: a text expected");
        }
        if (!Tokenizer.isIn(folder)) {
            return TokenIds.parse(content, text + " (ids, as the model has no " + Tokenizer.FILE + ")", folder);
        }
        try (Tokenizer tokenizer = Tokenizer.open(folder)) {
            return tokenizer.encode(content);
        }
    }
}
