package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorFile;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.format.UnclaimedTensors;
import io.github.jmarlin.checkpoint.packed.PackedLayer.Part;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * A model packed by {@link ModelPacker}: ordinary safetensors files whose layers are in the striped form already. Opening maps
 * the files; the weights of every layer are regions of the map, so devices upload straight from it and pages are read when
 * they are used.
 *
 * <p>Immutable and thread-safe. Nothing needs closing: the map lives as long as someone can reach it. The files must not be
 * truncated meanwhile.
 */
public final class PackedModel {
    /** The version of the layout that is written. Version 1, which knows 4-bit integers only, is read too. */
    public static final int LAYOUT_VERSION = 2;

    static final String VERSION_KEY = Checkpoint.PACKED_VERSION_KEY;
    static final String FINGERPRINT_KEY = "jmarlin.source_fingerprint";
    static final String SOURCE_KEY = "jmarlin.source_folder";
    static final String LAYER_KEY = "jmarlin.layer.";
    /** Before the name of a tensor carried over from a GGUF file as bytes: the type of its blocks, without which nobody can read it. */
    static final String BLOCK_TYPE_KEY = "jmarlin.gguf_type.";
    static final String INDEX = Checkpoint.PACKED_INDEX;

    private final TensorStore store;
    private final Path source;
    private final int version;
    private final Map<String, PackedLayer> layers = new TreeMap<>(PackPlan.NATURAL);
    private final Map<String, PackedWeights> weights = new HashMap<>();

    private PackedModel(TensorStore store) throws IOException {
        this.store = store;
        String from = store.metadata(SOURCE_KEY);
        this.source = from == null ? null : Path.of(from);
        int newest = 1;
        for (TensorFile file : store.files()) {
            int layoutVersion = version(file);
            newest = Math.max(newest, layoutVersion);
            for (Map.Entry<String, String> entry : file.metadata().entrySet()) {
                if (entry.getKey().startsWith(LAYER_KEY)) {
                    String name = entry.getKey().substring(LAYER_KEY.length());
                    PackedLayer layer = PackedLayer.fromJson(file.path(), layoutVersion, name, entry.getValue());
                    layers.put(name, layer);
                    weights.put(name, weights(layer));
                }
            }
        }
        this.version = newest;
    }

    /** Whether a folder looks like a packed model, of whatever version. */
    public static boolean isPacked(Path folder) throws IOException {
        Path index = folder.resolve(INDEX);
        if (!Files.isRegularFile(index)) {
            return false;
        }
        ConfigNode metadata = Json.read(index).get("metadata");
        return metadata.isObject() && !metadata.get(VERSION_KEY).isNull();
    }

    /**
     * Opens a packed model.
     *
     * @throws UnsupportedCheckpointException if its layout version is another one, or it is not packed
     * @throws MalformedCheckpointException if a file or tensor is missing or of the wrong size
     * @throws IOException if a file cannot be read
     */
    public static PackedModel open(Path folder) throws IOException {
        if (!Files.isRegularFile(folder.resolve(INDEX))) {
            throw new MalformedCheckpointException(folder, INDEX, "nothing",
                    "a packed model has this file; if packing was interrupted, run it again to finish");
        }
        return new PackedModel(TensorStore.open(folder));
    }

    private static int version(TensorFile file) {
        String version = file.metadata().get(VERSION_KEY);
        if (!List.of("1", "2").contains(version == null ? "" : version)) {
            throw new UnsupportedCheckpointException(file.path(), "metadata " + VERSION_KEY,
                    version == null ? "nothing" : version,
                    "version 1 or 2, as written by `jmarlin pack` of this release"
                            + (version == null ? " (this model is not packed)" : ": pack the source model again"));
        }
        return Integer.parseInt(version);
    }

    private PackedWeights weights(PackedLayer layer) throws IOException {
        StripedLayout layout = layer.layout();
        Map<Part, NativeMemory> regions = new java.util.EnumMap<>(Part.class);
        for (Part part : Part.values()) {
            if (layer.has(part)) {
                Tensor tensor = store.require(layer.tensor(part));
                Shapes.requireType(tensor, layer.type(part));
                Shapes.require(tensor, layer.shape(part).stream().mapToLong(Long::longValue).toArray());
                regions.put(part, tensor.memory(part == Part.CODES ? layout.stripCodeBytes() : layout.stripScaleBytes()));
            }
        }
        PackedWeights packed = PackedWeights.of(layout, layer.computeType(), regions.get(Part.CODES), regions.get(Part.SCALES),
                regions.get(Part.ZEROS), regions.get(Part.FACTORS), regions.get(Part.BIAS));
        packed = packed.withColumns(layer.form().columns());
        if (!layer.actOrder()) {
            return packed;
        }
        Tensor order = store.require(layer.tensor(Part.INPUT_ORDER));
        try {
            return packed.withInputOrder(order.slice(0, (int) order.bytes()).asIntBuffer());
        } catch (IllegalArgumentException e) {
            throw new MalformedCheckpointException(order.file(), "tensor " + order.name(), "no permutation", e.getMessage(), e);
        }
    }

    /** Where it lies. */
    public Path folder() {
        return store.folder();
    }

    /** The layout version it was written in. */
    public int version() {
        return version;
    }

    /** Where the source lay when it was packed; null if unknown. It may be gone since. */
    public Path source() {
        return source;
    }

    /** Whether the tensors that a layer was packed from are still, byte for byte, what they were then. */
    public boolean isFrom(Checkpoint checkpoint, String layer) {
        PackedLayer packed = layers.get(layer);
        List<Tensor> tensors = packed.sourceTensors().stream().map(checkpoint.tensors()::get).toList();
        return !tensors.contains(null) && SourceChecksum.matches(packed.sourceChecksum(), tensors);
    }

    /** The packed layers by name. */
    public Map<String, PackedLayer> layers() {
        return Collections.unmodifiableMap(layers);
    }

    /**
     * The weights of a layer, in the map. Closing them has no effect on the map, but ends their use by everyone who got them
     * here.
     *
     * @throws IllegalArgumentException if there is no such layer
     */
    public PackedWeights weights(String layer) {
        PackedWeights packed = weights.get(layer);
        if (packed == null) {
            throw new IllegalArgumentException("no packed layer \"" + layer + "\" in " + folder() + ", which has "
                    + layers.size());
        }
        return packed;
    }

    /** Quantized tensors that were carried over as they were in the source, module by module. */
    public List<UnclaimedTensors> unclaimed() {
        return UnclaimedTensors.of(store, layerTensors(), "carried over");
    }

    /** The names of the tensors that packed layers are made of. */
    public Set<String> layerTensors() {
        Set<String> names = new HashSet<>();
        for (PackedLayer layer : layers.values()) {
            for (Part part : Part.values()) {
                names.add(layer.tensor(part));
            }
        }
        return names;
    }

    /** Every tensor, those of packed layers included. */
    public Map<String, Tensor> tensors() {
        return store.tensors();
    }
}
