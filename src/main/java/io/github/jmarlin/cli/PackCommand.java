package io.github.jmarlin.cli;

import io.github.jmarlin.DataType;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.checkpoint.packed.ModelPacker;
import io.github.jmarlin.checkpoint.packed.PackOptions;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Writes a model in the form that devices multiply with. */
@Command(name = "pack", mixinStandardHelpOptions = true,
        description = "Pack a 4- or 8-bit model (GPTQ, AWQ, compressed-tensors, Marlin, MLX, MXFP4, NVFP4, GGUF) or quantize one in full "
                + "precision, so that it opens in an instant. May be interrupted and run again: what is finished is kept.")
final class PackCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "MODEL",
            description = "folder with safetensors files and configuration, or a .gguf file; only read")
    private Path source;

    @Parameters(index = "1", paramLabel = "OUT_DIR", description = "folder for the packed model")
    private Path target;

    @Option(names = "--dtype", paramLabel = "TYPE", converter = ComputeType.class,
            description = "fp16 or bf16: what to compute with (default: each layer's scales)")
    private DataType computeType;

    @Option(names = "--threads", paramLabel = "COUNT", description = "default: all processors")
    private int threads = Runtime.getRuntime().availableProcessors();

    @Option(names = "--interleave-gate-up", description = "one layer gate_up_proj of each gate_proj and up_proj, their columns in turn, "
            + "so that one product computes silu(gate) * up")
    private boolean interleaveGateUp;

    @Option(names = "--strict", description = "fail if a layer cannot run, or quantized tensors belong to no layer, instead of "
            + "carrying them over as they are; or if a configuration or tokenizer cannot be carried over")
    private boolean strict;

    @Mixin
    private DenseOptions dense;

    @Override
    public Integer call() throws IOException {
        if (threads < 1) {
            throw new ParameterException(spec.commandLine(), "--threads " + threads + ": must be at least 1");
        }
        dense.checkUsed(spec);
        DenseQuantization quantization = dense.quantization(spec);
        Checkpoint checkpoint = Checkpoint.open(source, quantization);
        ByteProgress[] shown = new ByteProgress[1];
        PackOptions options = new PackOptions(computeType, quantization, dense.quantize(), interleaveGateUp, threads, strict,
                bytes -> shown[0].advanced(bytes));
        ModelPacker packer = new ModelPacker(checkpoint, target, options);
        ModelPacker.Result result;
        try (ByteProgress progress = new ByteProgress("pack", packer.sourceBytes())) {
            shown[0] = progress;
            result = packer.run();
        }
        PrintWriter out = spec.commandLine().getOut();
        out.println(Figures.format("%d layers (%s) in %d files%s: read %s, wrote %s in %s, %.2f GB/s", result.layers(),
                checkpoint.scheme(), result.files(), result.keptFiles() == 0 ? "" : ", " + result.keptFiles()
                + " kept from before",
                Figures.bytes(result.sourceBytes()), Figures.bytes(result.writtenBytes()), Figures.seconds(result.seconds()),
                result.sourceBytes() / result.seconds() * 1e-9));
        explain(out, checkpoint, packer);
        out.flush();
        return 0;
    }

    /** What was not packed, a line for each kind and reason. */
    private void explain(PrintWriter out, Checkpoint checkpoint, ModelPacker packer) throws IOException {
        Kinds carried = new Kinds(false);
        packer.survey().refused().forEach((layer, why) -> carried.add(layer, why.getMessage()));
        packer.survey().unclaimed().forEach(module -> carried.add(module.module(), module.parts() + ": " + module.why()));
        carried.forEach((name, count, why) -> out.println("carried over as it is: " + name + times(count) + ": " + why[0]));
        if (dense.quantize()) {
            Kinds left = new Kinds(false);
            checkpoint.leftInFullPrecision().forEach((tensor, why) -> left.add(tensor, why));
            left.forEach((name, count, why) -> out.println("left in full precision: " + name + times(count) + ": " + why[0]));
        }
        packer.notCarriedOver().forEach(what -> out.println("not carried over: " + what));
        Kinds apart = new Kinds(false);
        packer.notInterleaved().forEach(apart::add);
        apart.forEach((name, count, why) -> out.println("not interleaved: " + name + times(count) + ": " + why[0]));
        for (Path file : packer.otherWeights()) {
            out.println("not copied: " + file.getFileName() + ": weights in another container");
        }
    }

    private static String times(int count) {
        return count == 1 ? "" : " (" + count + ")";
    }
}
