package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.checkpoint.packed.PackedComparison;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.PackedShards;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Proves that a packed model is its source, and that it multiplies. */
@Command(name = "verify", mixinStandardHelpOptions = true,
        description = "Decode every packed layer and compare it with its source exactly; multiply once and compare with fp64. "
                + "A model that is not packed is packed in memory for it.")
final class VerifyCommand implements Callable<Integer> {
    /** Codes of the slabs in which a layer is compared. */
    private static final long SLAB_CODES = 8L << 20;
    private static final long SEED = 20261121;

    @Spec
    private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "MODEL_DIR", description = "a packed model, or a model to be packed in memory")
    private Path folder;

    @Option(names = "--source", paramLabel = "DIR", description = "the model that was packed (default: where it was then)")
    private Path source;

    @Mixin
    private DeviceOption device;

    @Mixin
    private DenseOptions dense;

    /** What was found about one layer; error is NaN if nothing was multiplied. */
    private record Finding(Optional<String> difference, double error, double bound) {
        boolean isGood() {
            return difference.isEmpty() && error <= bound;
        }
    }

    @Override
    public Integer call() throws IOException {
        PackedModel packed = PackedModel.isPacked(folder) ? PackedModel.open(folder) : null;
        Checkpoint checkpoint = Checkpoint.open(packed == null ? folder : sourceOf(packed), dense.quantization(spec));
        ComputeDevice computing = device.choose(spec).device();
        Table table = Table.ofText();
        table.row("layer", "against the source", "error to fp64", "bound");
        int bad = 0;
        int count = 0;
        var names = packed == null ? checkpoint.layerNames() : packed.layers().keySet();
        try (Progress progress = new Progress("verify", names.size())) {
            for (String name : names) {
                if (packed == null && checkpoint.isDense(name) && !dense.quantize()) {
                    continue;
                }
                Finding finding = packed == null ? verify(checkpoint.layer(name), computing)
                        : verify(packed, checkpoint, name, computing);
                table.row(name, finding.difference.orElse("equal"), Figures.format("%.2e", finding.error),
                        Figures.format("%.1e", finding.bound));
                bad += finding.isGood() ? 0 : 1;
                count++;
                progress.step(name);
            }
        }
        table.fact("model", folder + (packed == null ? ", packed in memory" : ", packed from " + checkpoint.folder()));
        table.fact("device", computing.name());
        table.fact("result", count - bad + " of " + count + " layers are right");
        PrintWriter out = spec.commandLine().getOut();
        out.print(table);
        out.flush();
        return bad == 0 && count > 0 ? 0 : 1;
    }

    private Path sourceOf(PackedModel packed) {
        Path from = source != null ? source : packed.source();
        if (from == null || !Files.isDirectory(from)) {
            throw new ParameterException(spec.commandLine(), "the source of " + folder + (from == null ? " is not recorded"
                    : " is not at " + from + " any more") + ": name it with --source");
        }
        return from;
    }

    private static Finding verify(PackedModel model, Checkpoint checkpoint, String name, ComputeDevice computing) {
        Finding finding = verify(checkpoint.layer(name), model.weights(name), computing);
        if (finding.difference.isEmpty() && !model.isFrom(checkpoint, name)) {
            return new Finding(Optional.of("equal, but the source's bytes changed since"), finding.error, finding.bound);
        }
        return finding;
    }

    private static Finding verify(LayerSource layer, ComputeDevice computing) {
        try (QuantizedMatrix matrix = layer.read(); PackedWeights weights = PackedWeights.pack(matrix, layer.scaleType())) {
            return verify(layer, weights, computing);
        }
    }

    private static Finding verify(LayerSource layer, PackedWeights weights, ComputeDevice computing) {
        if (weights.k() != layer.k() || weights.n() != layer.n()) {
            return new Finding(Optional.of("shape " + weights.layout()), Double.NaN, 0);
        }
        DataType type = weights.computeType();
        Random random = new Random(SEED);
        float[] a = new float[layer.k()];
        for (int i = 0; i < a.length; i++) {
            a[i] = HalfFloats.decode(type, HalfFloats.encode(type, (float) random.nextGaussian()));
        }
        double[] expected = new double[layer.n()];
        int step = (int) Math.max(1, SLAB_CODES / layer.k() / LayerSource.COLUMN_STEP) * LayerSource.COLUMN_STEP;
        for (int from = 0; from < layer.n(); from += step) {
            int to = (int) Math.min(layer.n(), (long) from + step);
            try (QuantizedMatrix slab = layer.read(from, to)) {
                Optional<String> difference = PackedComparison.firstDifference(slab, PackedShards.columns(weights, from, to));
                if (difference.isPresent()) {
                    return new Finding(Optional.of("columns from " + from + ": " + difference.get()), Double.NaN, 0);
                }
                System.arraycopy(ReferenceProduct.multiply(slab, a, 1), 0, expected, from, to - from);
            }
        }
        try (LinearLayer linear = computing.place(weights)) {
            double bound = ErrorBound.of(linear.supports(DataType.FP32) ? DataType.FP32 : type, weights.form());
            return new Finding(Optional.empty(), relativeError(expected, linear.multiply(a, 1)), bound);
        }
    }

    /** |found - expected| / |expected| in the Frobenius norm. */
    private static double relativeError(double[] expected, float[] found) {
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < expected.length; i++) {
            difference += (found[i] - expected[i]) * (found[i] - expected[i]);
            norm += expected[i] * expected[i];
        }
        return difference == 0 ? 0 : Math.sqrt(difference / norm);
    }
}
