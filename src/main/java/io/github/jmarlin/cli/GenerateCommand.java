package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DeviceChoice;
import io.github.jmarlin.Devices;
import io.github.jmarlin.checkpoint.container.FileProblem;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.llama.CpuDecoder;
import io.github.jmarlin.llama.Decoder;
import io.github.jmarlin.llama.Decoders;
import io.github.jmarlin.llama.Generation;
import io.github.jmarlin.llama.LlamaModel;
import io.github.jmarlin.llama.Projection;
import io.github.jmarlin.llama.Tokenizer;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Lets a model speak. */
@Command(name = "generate", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Continue prompts with a Llama, Mistral, Qwen2 or Qwen3 model: a packed one, or a folder or .gguf file as people download "
                + "it. What is new goes to stdout, tokens per second to stderr.")
final class GenerateCommand implements Callable<Integer> {
    /** Prompts of a batch file that are in the cache at once. */
    private static final int MOST_SEQUENCES = 64;

    @Spec
    private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "MODEL",
            description = "folder with config.json and safetensors files, or a .gguf file; only read. `"
            + Tales.NAME + "`, where there is no such folder, is a small model that comes along")
    private Path folder;

    @ArgGroup(multiplicity = "1")
    private Prompts prompts;

    /** Where the prompts come from. */
    private static final class Prompts {
        @Option(names = "--prompt", paramLabel = "TEXT", description = "text to continue, as it is: no chat template is put around it")
        private String text;

        @Option(names = "--ids", paramLabel = "\"ID ID\"",
                description = "token ids to continue, blanks between; the new ids go to stdout on one line")
        private String ids;

        @Option(names = "--batch-file", paramLabel = "FILE", description = "a prompt a line (ids where the model has no tokenizer.json), "
                + "continued together; a line comes out for each, line ends in it as \\n")
        private Path file;
    }

    @Option(names = "--tokenizer", paramLabel = "FILE", description = "a tokenizer.json other than the model's own")
    private Path tokenizer;

    @Option(names = "--max-tokens", paramLabel = "COUNT", defaultValue = "128",
            description = "the most new tokens of a prompt (default ${DEFAULT-VALUE})")
    private int maxTokens;

    @Option(names = "--temperature", paramLabel = "T", defaultValue = "0",
            description = "0 takes the most probable token, above 0 draws (default ${DEFAULT-VALUE})")
    private double temperature;

    @Option(names = "--top-p", paramLabel = "P", defaultValue = "1",
            description = "draw among the most probable tokens that together have this probability (default ${DEFAULT-VALUE})")
    private double topP;

    @Option(names = "--seed", paramLabel = "NUMBER", defaultValue = "42",
            description = "of the draws, for each prompt alike (default ${DEFAULT-VALUE})")
    private long seed;

    @Mixin
    private DeviceOption device;

    @Option(names = "--dense", description = "run quantized layers on dequantized weights, in fp32")
    private boolean dense;

    @Mixin
    private DenseOptions quantization;

    @Override
    public Integer call() throws IOException {
        if (!Tales.isMeant(folder)) {
            return generate();
        }
        try (Tales tales = new Tales()) {
            folder = tales.folder();
            return generate();
        }
    }

    private int generate() throws IOException {
        Generation.Settings settings = settings();
        if (dense && quantization.quantize()) {
            throw new ParameterException(spec.commandLine(), "--dense and --quantize exclude each other");
        }
        quantization.checkUsed(spec);
        ComputeDevice chosen = decodingDevice();
        LlamaModel.Weights weights = dense ? LlamaModel.Weights.DENSE
                : quantization.quantize() ? LlamaModel.Weights.QUANTIZED : LlamaModel.Weights.STORED;
        LlamaModel.Options options = new LlamaModel.Options(weights, quantization.quantization(spec), Decoders.readInPlace(chosen));
        long start = System.nanoTime();
        try (LlamaModel model = LlamaModel.open(folder, options); Tokenizer tokenizer = tokenizer()) {
            double seconds = Stopwatch.secondsSince(start);
            List<int[]> all = prompts(tokenizer);
            int positions = Generation.positions(model.config(), all, maxTokens);
            GenerationOutput output = new GenerationOutput(spec.commandLine().getOut(), tokenizer, prompts.file != null);
            List<Generation.Result> results = new ArrayList<>();
            String shares;
            try (Decoder decoder = Decoders.on(chosen, model, Math.min(all.size(), MOST_SEQUENCES), positions)) {
                for (int from = 0; from < all.size(); from += MOST_SEQUENCES) {
                    List<int[]> part = all.subList(from, Math.min(all.size(), from + MOST_SEQUENCES));
                    output.begin(part);
                    Generation.Result result = new Generation(decoder, settings, output::token).run(part);
                    output.end(result);
                    results.add(result);
                }
                shares = shares(decoder, results);
            }
            statistics(model, chosen, seconds, all.size(), results);
            spec.commandLine().getErr().print(shares);
            spec.commandLine().getErr().flush();
        }
        return 0;
    }

    private Generation.Settings settings() {
        try {
            return new Generation.Settings(maxTokens, temperature, topP, seed);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), e.getMessage(), e);
        }
    }

    /** The best device, if there is a decoder for it. */
    private ComputeDevice decodingDevice() {
        DeviceChoice choice = device.choose(spec);
        if (Decoders.runOn(choice.device()) || spec.commandLine().getParseResult().hasMatchedOption("--device")) {
            return choice.device();
        }
        return Devices.all().stream().filter(Decoders::runOn).findFirst().orElse(choice.device());
    }

    /** Null where token ids do. */
    private Tokenizer tokenizer() throws IOException {
        if (prompts.ids != null) {
            return null;
        }
        if (tokenizer != null) {
            return Tokenizer.openFile(tokenizer);
        }
        return prompts.text != null || Tokenizer.isIn(folder) ? Tokenizer.open(folder) : null;
    }

    private List<int[]> prompts(Tokenizer tokenizer) throws IOException {
        if (prompts.text != null) {
            return List.of(tokenizer.encode(prompts.text));
        }
        if (prompts.ids != null) {
            return List.of(TokenIds.parse(prompts.ids, "--ids"));
        }
        List<String> lines = FileProblem.explained("read this file", prompts.file, () -> Files.readAllLines(prompts.file));
        List<int[]> all = new ArrayList<>();
        for (String line : lines) {
            String where = prompts.file + ", line " + (all.size() + 1);
            if (line.isBlank()) {
                throw new IllegalArgumentException(where + " is empty: a prompt a line expected");
            }
            all.add(tokenizer != null ? tokenizer.encode(line) : TokenIds.parse(line, where, folder));
        }
        if (all.isEmpty()) {
            throw new IllegalArgumentException(prompts.file + " is empty: a prompt a line expected");
        }
        return all;
    }

    /** What the time on a processor went into; nothing for a GPU, where nobody stops it. */
    private static String shares(Decoder decoder, List<Generation.Result> results) {
        if (!(decoder instanceof CpuDecoder cpu)) {
            return "";
        }
        double seconds = results.stream().mapToDouble(result -> result.prefillSeconds() + result.decodeSeconds()).sum();
        return Figures.format("of the time, packed products took %.0f %% and products in full precision %.0f %%%n",
                100 * cpu.packedSeconds() / seconds, 100 * cpu.denseSeconds() / seconds);
    }

    private void statistics(LlamaModel model, ComputeDevice used, double openSeconds, int count, List<Generation.Result> results) {
        PrintWriter err = spec.commandLine().getErr();
        long prefill = results.stream().mapToLong(Generation.Result::prefillTokens).sum();
        double prefillSeconds = results.stream().mapToDouble(Generation.Result::prefillSeconds).sum();
        long decoded = results.stream().mapToLong(Generation.Result::decodeTokens).sum();
        double decodeSeconds = results.stream().mapToDouble(Generation.Result::decodeSeconds).sum();
        long packed = model.projections().filter(Projection.Packed.class::isInstance).count();
        err.println(Figures.format("%s of %d blocks, %d packed products and %d in full precision, opened in %s; %s%s",
                model.config().modelType(), model.config().layers(), packed, model.projections().count() - packed,
                Figures.seconds(openSeconds), used.name(), used instanceof CpuDevice cpu ? ", " + cpu.computesWith() : ""));
        err.println(Figures.format("prefill %d tokens in %s, %.1f tokens/s; decode %d tokens in %s, %.1f tokens/s%s", prefill,
                Figures.seconds(prefillSeconds), prefill / prefillSeconds, decoded, Figures.seconds(decodeSeconds),
                decoded == 0 ? 0 : decoded / decodeSeconds, count == 1 ? "" : ", " + count + " prompts"));
        err.flush();
    }
}
