package io.github.jmarlin.cli;

import io.github.jmarlin.checkpoint.format.Calibration;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.quantize.Pruning;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** The options of commands that may meet layers in full precision. */
final class DenseOptions {
    @Option(names = "--quantize",
            description = "also quantize layers that are in full precision (to the nearest, or with --calibration)")
    private boolean quantize;

    @Option(names = "--group", paramLabel = "SIZE", defaultValue = "128",
            description = "group size for --quantize: -1, 32, 64, 128 or 256 (default ${DEFAULT-VALUE})")
    private int group;

    @Option(names = "--asymmetric", description = "zero points for --quantize")
    private boolean asymmetric;

    @Option(names = "--exclude", paramLabel = "REGEX",
            description = "layers that --quantize leaves alone (default: embeddings, heads, norms, routers)")
    private String exclude;

    @Option(names = "--calibration", paramLabel = "DIR", description = "for --quantize: use GPTQ for layers with a tensor "
            + "<layer>.input, [tokens][in-features], in the safetensors files of this folder")
    private Path calibration;

    @Option(names = "--sparse24", paramLabel = "HOW", description = "for --quantize: store two of every four weights. keep: of layers "
            + "that are 2:4 sparse already; others are an error. prune: choose them with SparseGPT, which needs --calibration")
    private Sparse24 sparse24;

    /** What {@code --sparse24} takes, in lower case. */
    private enum Sparse24 { keep, prune }

    boolean quantize() {
        return quantize;
    }

    private Pruning pruning() {
        return sparse24 == null ? Pruning.NONE : sparse24 == Sparse24.keep ? Pruning.GIVEN : Pruning.SPARSE_GPT;
    }

    /** Refuses an option that would be ignored. */
    void checkUsed(CommandSpec spec) {
        for (String option : List.of("--group", "--asymmetric", "--exclude", "--calibration", "--sparse24")) {
            if (!quantize && spec.commandLine().getParseResult().hasMatchedOption(option)) {
                throw new ParameterException(spec.commandLine(), option + " says how --quantize works: give both or neither");
            }
        }
    }

    DenseQuantization quantization(CommandSpec spec) throws IOException {
        try {
            Pattern excluded = exclude == null ? DenseQuantization.USUALLY_EXCLUDED : Pattern.compile(exclude);
            if (sparse24 == Sparse24.prune && calibration == null) {
                throw new ParameterException(spec.commandLine(),
                        "--sparse24=prune needs --calibration: without it a pruned model is ruined");
            }
            return new DenseQuantization(group, !asymmetric, true, excluded,
                    calibration == null ? null : Calibration.open(calibration), pruning());
        } catch (PatternSyntaxException e) {
            throw new ParameterException(spec.commandLine(), "--exclude " + exclude + ": must be a regular expression: "
                    + e.getDescription());
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), "--group " + group + (asymmetric ? " --asymmetric" : "")
                    + (sparse24 == null ? "" : " --sparse24=" + sparse24) + ": " + e.getMessage());
        }
    }
}
