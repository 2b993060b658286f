package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.Survey;
import io.github.jmarlin.checkpoint.container.SafetensorsWriter;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorFile;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.format.GateUpSource;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.checkpoint.format.UnclaimedTensors;
import io.github.jmarlin.checkpoint.packed.PackedLayer.Part;
import io.github.jmarlin.layout.WeightForm;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * Which layer and tensor goes into which file of a packed model, decided before anything is written and the same on every run:
 * a file per transformer block, cut where it would pass 1 GiB. A file is what an interrupted run keeps or loses.
 */
final class PackPlan {
    private static final long LARGEST_SHARD = 1L << 30;
    private static final Pattern NUMBER = Pattern.compile("[0-9]{1,9}");

    /** One output file: packed layers and copied tensors. */
    static final class Shard {
        final List<LayerSource> sources = new ArrayList<>();
        final List<PackedLayer> layers = new ArrayList<>();
        final List<Tensor> copies = new ArrayList<>();
        long bytes;

        /** Packed parts first, largest alignment first: all their sizes but the input order's are multiples of 128 bytes. */
        SafetensorsWriter.Layout layout() {
            SafetensorsWriter.Layout layout = new SafetensorsWriter.Layout();
            for (Part part : Part.values()) {
                for (PackedLayer layer : layers) {
                    if (layer.has(part)) {
                        layout.add(layer.tensor(part), layer.type(part), layer.shape(part));
                    }
                }
            }
            for (Tensor tensor : copies) {
                layout.add(tensor.name(), tensor.type(), tensor.shape());
            }
            return layout;
        }
    }

    private final List<Shard> shards = new ArrayList<>();
    private final Survey survey;
    private final String fingerprint;
    private final Map<String, String> notInterleaved = new TreeMap<>(NATURAL);

    private PackPlan(Survey survey, String fingerprint) {
        this.survey = survey;
        this.fingerprint = fingerprint;
    }

    /** What the source is made of: what is packed, what cannot be, and what nobody reads. */
    Survey survey() {
        return survey;
    }

    /** Gate projections that were to be interleaved with their up projection, and why they are not. */
    Map<String, String> notInterleaved() {
        return notInterleaved;
    }

    List<Shard> shards() {
        return shards;
    }

    /** Changes whenever the source or the options do, so that a finished file of another run is not taken for one of this run. */
    String fingerprint() {
        return fingerprint;
    }

    /** {@code model-00001-of-00033.safetensors}. */
    String fileName(int shard) {
        return String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", shard + 1, shards.size());
    }

    static PackPlan of(Checkpoint source, PackOptions options) throws IOException {
        PackPlan plan = new PackPlan(source.survey(), fingerprint(source, options));
        refuse(plan.survey, source, options);
        Set<String> consumed = new HashSet<>();
        Map<String, List<LayerSource>> layers = new TreeMap<>(NATURAL);
        for (LayerSource layer : plan.survey.layers().values()) {
            if (!source.isDense(layer.name()) || options.quantizeDense()) {
                layers.computeIfAbsent(block(layer.name()), key -> new ArrayList<>()).add(layer);
                layer.tensors().forEach(tensor -> consumed.add(tensor.name()));
            }
        }
        if (layers.isEmpty()) {
            throw new JMarlinException(source.folder() + ": no layer to pack; " + plan.survey.whyNothing(source));
        }
        if (options.interleaveGateUp()) {
            layers.replaceAll((block, of) -> plan.interleaved(of));
        }
        Map<String, List<Tensor>> copies = new TreeMap<>(NATURAL);
        for (Tensor tensor : source.tensors().values()) {
            if (!consumed.contains(tensor.name())) {
                copies.computeIfAbsent(block(tensor.name()), key -> new ArrayList<>()).add(tensor);
            }
        }
        Set<String> blocks = new java.util.TreeSet<>(NATURAL);
        blocks.addAll(layers.keySet());
        blocks.addAll(copies.keySet());
        for (String block : blocks) {
            plan.addBlock(layers.getOrDefault(block, List.of()), copies.getOrDefault(block, List.of()), options.computeType());
        }
        return plan;
    }

    /** These layers, gate and up projections as one where they are alike. */
    private List<LayerSource> interleaved(List<LayerSource> layers) {
        Map<String, LayerSource> byName = new LinkedHashMap<>();
        layers.forEach(layer -> byName.put(layer.name(), layer));
        for (LayerSource gate : layers) {
            LayerSource up = GateUpSource.upOf(gate, byName).orElse(null);
            if (up == null) {
                continue;
            }
            Optional<String> why = GateUpSource.whyNot(gate, up);
            if (why.isPresent()) {
                notInterleaved.put(gate.name(), why.get());
                continue;
            }
            LayerSource both = GateUpSource.of(gate, up);
            if (byName.putIfAbsent(both.name(), both) != null) {
                notInterleaved.put(gate.name(), "there is a layer " + both.name() + " already");
                continue;
            }
            byName.remove(gate.name());
            byName.remove(up.name());
        }
        return List.copyOf(byName.values());
    }

    /**
     * Throws for what is broken, which is never carried over as if it were whole; if strict, for everything that would not be
     * packed.
     */
    private static void refuse(Survey survey, Checkpoint source, PackOptions options) {
        for (JMarlinException refusal : survey.refused().values()) {
            if (options.strict() || !(refusal instanceof UnsupportedCheckpointException)) {
                throw refusal;
            }
        }
        if (options.strict() && !survey.unclaimed().isEmpty()) {
            UnclaimedTensors first = survey.unclaimed().get(0);
            throw new JMarlinException(source.folder() + ": " + first.module() + ": found " + first.parts() + ", which "
                    + "look quantized and belong to no layer (one of " + survey.unclaimed().size() + " modules): " + first.why());
        }
    }

    private void addBlock(List<LayerSource> layers, List<Tensor> copies, DataType computeType) {
        Shard shard = new Shard();
        for (LayerSource source : layers.stream().sorted(Comparator.comparing(LayerSource::name, NATURAL)).toList()) {
            if (computeType == DataType.BF16 && source.form().hasFloatZeros() && source.scaleType() != DataType.BF16) {
                throw new JMarlinException("layer " + source.name() + " (" + source.scheme() + "): its float zeros, " + source.scaleType()
                        + ", rounded to " + computeType + " cost 4.8e-3 of a product, where 3.5e-3 are promised; leave the compute type to "
                        + "the layers, which is " + source.computeType() + " here");
            }
            if (computeType == DataType.FP16 && source.form().code() == WeightForm.Code.E2M1 && source.scaleType() == DataType.FP32
                    && source.computeType() == DataType.BF16) {
                throw new JMarlinException("layer " + source.name() + " (" + source.scheme() + "): the scales of a column, powers of two, "
                        + "spread wider than " + computeType + " holds beside each other; leave the compute type to the layers, which is "
                        + source.computeType() + " here");
            }
            PackedLayer layer = PackedLayer.of(source, computeType == null ? source.computeType() : computeType);
            long bytes = layer.layout().codeBytes();
            shard = room(shard, bytes);
            shard.sources.add(source);
            shard.layers.add(layer);
            shard.bytes += bytes;
        }
        Comparator<Tensor> widestFirst = Comparator.comparing((Tensor tensor) -> -tensor.type().bits());
        for (Tensor tensor : copies.stream().sorted(widestFirst.thenComparing(Tensor::name, NATURAL)).toList()) {
            shard = room(shard, tensor.bytes());
            shard.copies.add(tensor);
            shard.bytes += tensor.bytes();
        }
        shards.add(shard);
    }

    private Shard room(Shard shard, long bytes) {
        if (shard.bytes == 0 || shard.bytes + bytes <= LARGEST_SHARD) {
            return shard;
        }
        shards.add(shard);
        return new Shard();
    }

    /** The name up to its first number: {@code model.layers.7} of {@code model.layers.7.mlp.up_proj}; empty if it has none. */
    static String block(String name) {
        int from = 0;
        for (String part : name.split("\\.")) {
            if (!part.isEmpty() && part.chars().allMatch(c -> c >= '0' && c <= '9')) {
                return name.substring(0, from + part.length());
            }
            from += part.length() + 1;
        }
        return "";
    }

    /** Orders names with the numbers in them as numbers, and before words: layers.2, layers.10, layers.1x. */
    static final Comparator<String> NATURAL = (a, b) -> {
        String[] x = a.split("\\.");
        String[] y = b.split("\\.");
        for (int i = 0; i < Math.min(x.length, y.length); i++) {
            boolean number = NUMBER.matcher(x[i]).matches();
            int order = number != NUMBER.matcher(y[i]).matches() ? (number ? -1 : 1)
                    : number ? Integer.compare(Integer.parseInt(x[i]), Integer.parseInt(y[i])) : x[i].compareTo(y[i]);
            if (order != 0) {
                return order;
            }
        }
        return x.length != y.length ? Integer.compare(x.length, y.length) : a.compareTo(b);
    };

    /** Names, sizes, times and headers of the source's files, its configuration and the options; not the gigabytes themselves. */
    private static String fingerprint(Checkpoint source, PackOptions options) throws IOException {
        SourceHash hash = new SourceHash();
        hash.add("layout " + PackedModel.LAYOUT_VERSION + ", compute type " + options.computeType());
        if (options.quantizeDense()) {
            hash.add(options.dense().describe());
        }
        if (options.interleaveGateUp()) {
            hash.add("gate and up in turn");
        }
        if (!source.blockTypes().isEmpty()) {
            hash.add("types of blocks " + source.blockTypes());
        }
        for (TensorFile file : source.files()) {
            hash.add(file.path().getFileName() + " " + file.size() + " " + Files.getLastModifiedTime(file.path()).toMillis());
            for (Tensor tensor : file.tensors().values()) {
                hash.add(tensor + " " + tensor.fileOffset());
            }
        }
        for (String config : List.of("config.json", "quantize_config.json", "quant_config.json", "quantization_config.json",
                "hf_quant_config.json")) {
            if (Files.exists(source.folder().resolve(config))) {
                hash.add(new String(Files.readAllBytes(source.folder().resolve(config)), StandardCharsets.ISO_8859_1));
            }
        }
        return hash.finish();
    }
}
