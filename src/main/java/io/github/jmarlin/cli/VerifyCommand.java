package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.Survey;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.format.GateUpSource;
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
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
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
        description = "Decode every packed layer and compare it with its source exactly; multiply once and compare with fp64; compare "
                + "what was carried over byte for byte. A model that is not packed is packed in memory for it. Fails too if quantized "
                + "tensors belong to no layer.")
final class VerifyCommand implements Callable<Integer> {
    /** Codes of the slabs in which a layer is compared: memory does not grow with the layer. */
    private static final long SLAB_CODES = 8L << 20;
    private static final int COPY_BYTES = 8 << 20;
    private static final long SEED = 20261121;

    @Spec
    private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "MODEL", description = "a packed model, or a folder or .gguf file to be packed in memory")
    private Path folder;

    @Option(names = "--source", paramLabel = "MODEL", description = "the model that was packed (default: where it was then)")
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

    /** The packed form of columns {@code [from, to)}, given the matrix of them. */
    private interface Slabs {
        PackedWeights of(QuantizedMatrix slab, int from, int to);
    }

    @Override
    public Integer call() throws IOException {
        ComputeDevice computing = device.choose(spec).device();
        PackedModel packed = PackedModel.isPacked(folder) ? PackedModel.open(folder) : null;
        Checkpoint checkpoint = Checkpoint.open(packed == null ? folder : sourceOf(packed), dense.quantization(spec));
        Survey survey = checkpoint.survey();
        Map<String, LayerSource> layers = chosen(packed, checkpoint, survey);
        Table table = Table.ofText();
        table.row("layer", "against the source", "error to fp64", "bound");
        int bad = 0;
        long bytes = 0;
        long start = System.nanoTime();
        try (Progress progress = new Progress("verify", layers.size())) {
            for (Map.Entry<String, LayerSource> layer : layers.entrySet()) {
                Finding finding = verify(packed, checkpoint, layer.getKey(), layer.getValue(), computing);
                table.row(layer.getKey(), finding.difference.orElseGet(() -> equal(layer.getValue())),
                        Figures.format("%.2e", finding.error), Figures.format("%.1e", finding.bound));
                bad += finding.isGood() ? 0 : 1;
                bytes += layer.getValue() == null ? 0 : layer.getValue().bytes();
                progress.step(layer.getKey());
            }
        }
        double seconds = Stopwatch.secondsSince(start);
        int wrong = bad + others(packed, checkpoint, survey, table);
        table.fact("model", folder + (packed == null ? ", packed in memory" : ", packed from " + checkpoint.folder()));
        table.fact("device", computing.name());
        table.fact("result", layers.size() - bad + " of " + layers.size() + " layers are right"
                + (layers.isEmpty() ? ": nothing was verified; " + survey.whyNothing(checkpoint) : ""));
        table.fact("read", Figures.bytes(bytes) + " of layers, " + Figures.bytes(bytes / seconds) + "/s");
        PrintWriter out = spec.commandLine().getOut();
        out.print(table);
        out.flush();
        return wrong == 0 && !layers.isEmpty() ? 0 : 1;
    }

    private static String equal(LayerSource layer) {
        return layer.scaleType() == DataType.FP32 ? "equal; scales " + layer.scales() : "equal";
    }

    /** The layers to be verified; null for one that the source does not have, or cannot read, any more. */
    private Map<String, LayerSource> chosen(PackedModel packed, Checkpoint checkpoint, Survey survey) {
        Map<String, LayerSource> layers = new LinkedHashMap<>();
        if (packed != null) {
            packed.layers().forEach((name, layer) -> layers.put(name,
                    GateUpSource.packedAs(name, layer.form().columns(), survey.layers())));
        }
        Set<String> parts = layers.values().stream().filter(GateUpSource.class::isInstance)
                .flatMap(layer -> ((GateUpSource) layer).parts().stream()).map(LayerSource::name).collect(Collectors.toSet());
        survey.layers().forEach((name, layer) -> {
            if (!parts.contains(name) && (!checkpoint.isDense(name) || packed == null && dense.quantize())) {
                layers.put(name, layer);
            }
        });
        return layers;
    }

    /** Rows for what is no layer that runs; returns how many of them are wrong. */
    private static int others(PackedModel packed, Checkpoint checkpoint, Survey survey, Table table) {
        int[] wrong = new int[1];
        Kinds kinds = new Kinds(false);
        survey.refused().forEach((name, why) -> {
            boolean whole = why instanceof UnsupportedCheckpointException;
            wrong[0] += whole ? 0 : 1;
            kinds.add(name, whole ? "not packed: " + why.getMessage() : why.getMessage());
        });
        survey.unclaimed().forEach(module -> {
            wrong[0]++;
            kinds.add(module.module(), "belongs to no layer: " + module.parts() + ": " + module.why());
        });
        if (packed != null) {
            Set<String> packedTensors = packed.layerTensors();
            long[] equal = new long[2];
            for (Tensor copy : packed.tensors().values()) {
                if (!packedTensors.contains(copy.name())) {
                    String difference = difference(checkpoint.tensors().get(copy.name()), copy);
                    if (difference == null) {
                        equal[0]++;
                        equal[1] += copy.bytes();
                    } else {
                        wrong[0]++;
                        kinds.add(copy.name(), difference);
                    }
                }
            }
            table.fact("carried over", equal[0] + " tensors, " + Figures.bytes(equal[1]) + ", equal byte for byte");
        }
        kinds.forEach((name, count, cells) -> table.row(name + (count == 1 ? "" : " (" + count + ")"), cells[0], "", ""));
        return wrong[0];
    }

    /** What differs between a tensor and its copy, or null. */
    private static String difference(Tensor original, Tensor copy) {
        if (original == null) {
            return "the source has no such tensor any more";
        }
        if (original.type() != copy.type() || !original.shape().equals(copy.shape())) {
            return "is " + copy + ", but the source's " + original;
        }
        for (long at = 0; at < copy.bytes(); at += COPY_BYTES) {
            int length = (int) Math.min(COPY_BYTES, copy.bytes() - at);
            int byteAt = original.slice(at, length).mismatch(copy.slice(at, length));
            if (byteAt >= 0) {
                return "differs from the source at byte " + (at + byteAt);
            }
        }
        return null;
    }

    private Path sourceOf(PackedModel packed) {
        Path from = source != null ? source : packed.source();
        if (from == null || !Files.exists(from)) {
            throw new ParameterException(spec.commandLine(), "the source of " + folder + (from == null ? " is not recorded"
                    : " is not at " + from + " any more") + ": name it with --source");
        }
        return from;
    }

    private static Finding verify(PackedModel model, Checkpoint checkpoint, String name, LayerSource layer, ComputeDevice computing) {
        if (layer == null) {
            String why = checkpoint.layerNames().contains(name) ? checkpoint.whyNot(name) : "the source has no such layer";
            return new Finding(Optional.of(why), Double.NaN, 0);
        }
        if (model == null) {
            return verify(layer, layer.computeType(), (slab, from, to) -> PackedWeights.pack(slab, layer.computeType()), computing);
        }
        if (!model.layers().containsKey(name)) {
            return new Finding(Optional.of("the packed model has no such layer"), Double.NaN, 0);
        }
        PackedWeights weights = model.weights(name);
        if (weights.k() != layer.k() || weights.n() != layer.n()) {
            return new Finding(Optional.of("shape " + weights.layout()), Double.NaN, 0);
        }
        Finding finding = verify(layer, weights.computeType(), (slab, from, to) -> PackedShards.columns(weights, from, to), computing);
        if (finding.difference.isEmpty() && !model.isFrom(checkpoint, name)) {
            return new Finding(Optional.of("equal, but the source's bytes changed since"), finding.error, finding.bound);
        }
        return finding;
    }

    /** Slab by slab: decode and compare, multiply, and compare with fp64; the errors of all slabs are one. */
    private static Finding verify(LayerSource layer, DataType type, Slabs packed, ComputeDevice computing) {
        Random random = new Random(SEED);
        float[] a = new float[layer.k()];
        for (int i = 0; i < a.length; i++) {
            a[i] = HalfFloats.decode(type, HalfFloats.encode(type, (float) random.nextGaussian()));
        }
        int step = (int) Math.max(1, SLAB_CODES / layer.k() / layer.columnStep()) * layer.columnStep();
        double[] squares = new double[2];
        double bound = 0;
        for (int from = 0; from < layer.n(); from += step) {
            int to = (int) Math.min(layer.n(), (long) from + step);
            try (QuantizedMatrix slab = layer.read(from, to); PackedWeights weights = packed.of(slab, from, to)) {
                Optional<String> difference = PackedComparison.firstDifference(slab, weights);
                if (difference.isPresent()) {
                    return new Finding(Optional.of("columns from " + from + ": " + difference.get()), Double.NaN, 0);
                }
                try (LinearLayer linear = computing.place(weights)) {
                    bound = ErrorBound.of(linear.supports(DataType.FP32) ? DataType.FP32 : type, weights.form());
                    addSquares(reference(slab, weights, a), linear.multiply(a, 1), squares);
                }
            } catch (IllegalArgumentException e) {
                throw new JMarlinException("layer " + layer.name() + ", columns " + from + ".." + to + ": " + e.getMessage(), e);
            }
        }
        return new Finding(Optional.empty(), squares[0] == 0 ? 0 : Math.sqrt(squares[0] / squares[1]), bound);
    }

    /** With the packed weights' own scales where packing had to round them: what that lost is said, and is no error of a product. */
    private static double[] reference(QuantizedMatrix slab, PackedWeights weights, float[] a) {
        if (slab.scaleType() == weights.computeType() && !weights.form().hasFloatZeros()) {
            return ReferenceProduct.multiply(slab, a, 1);
        }
        try (QuantizedMatrix packed = weights.unpack()) {
            return ReferenceProduct.multiply(packed, a, 1);
        }
    }

    /** Adds |found - expected|^2 and |expected|^2, whose ratio is the squared relative error in the Frobenius norm. */
    private static void addSquares(double[] expected, float[] found, double[] squares) {
        for (int i = 0; i < expected.length; i++) {
            squares[0] += (found[i] - expected[i]) * (found[i] - expected[i]);
            squares[1] += expected[i] * expected[i];
        }
    }
}
