package io.github.jmarlin.checkpoint;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.format.DenseFormat;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.checkpoint.format.ModelConfig;
import io.github.jmarlin.checkpoint.format.WeightFormat;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/**
 * A model folder as people download it: safetensors files and configuration. Opening maps the files and reads headers and
 * configuration only. Immutable, thread-safe, nothing to close.
 *
 * <pre>
 *   Checkpoint checkpoint = Checkpoint.open(Path.of("model"));
 *   for (String name : checkpoint.layerNames()) {
 *       try (QuantizedMatrix matrix = checkpoint.layer(name).read()) { ... }
 *   }
 * </pre>
 */
public final class Checkpoint {
    /** The key of an index's metadata that says that the model is packed, and in which version of the layout. */
    public static final String PACKED_VERSION_KEY = "jmarlin.layout_version";
    /** The index of a packed model. */
    public static final String PACKED_INDEX = "model.safetensors.index.json";

    private final TensorStore store;
    private final WeightFormat format;
    private final DenseFormat dense;
    private final Map<String, WeightFormat> layers = new LinkedHashMap<>();

    /** @param format of the quantized layers, or null */
    public Checkpoint(TensorStore store, WeightFormat format, DenseFormat dense) {
        this.store = store;
        this.format = format;
        this.dense = dense;
        String marker = format == null ? null : "." + format.marker();
        for (String tensor : store.tensors().keySet()) {
            if (marker != null && tensor.endsWith(marker)) {
                layers.put(tensor.substring(0, tensor.length() - marker.length()), format);
            } else if (dense.isLayer(store.tensors().get(tensor))) {
                layers.put(tensor.substring(0, tensor.length() - dense.marker().length() - 1), dense);
            }
        }
    }

    /** Opens a model with {@link DenseQuantization#DEFAULT} for layers that are not quantized. */
    public static Checkpoint open(Path folder) throws IOException {
        return open(folder, DenseQuantization.DEFAULT);
    }

    /**
     * Opens a model.
     *
     * @param onTheFly how linear layers in full precision are quantized when they are read
     * @throws MalformedCheckpointException if a file breaks its format, or a file that the index names is missing
     * @throws UnsupportedCheckpointException if the configuration names a format that cannot run
     * @throws IOException if a file cannot be read
     */
    public static Checkpoint open(Path folder, DenseQuantization onTheFly) throws IOException {
        TensorStore store = TensorStore.open(folder);
        if (store.metadata(PACKED_VERSION_KEY) != null) {
            throw new UnsupportedCheckpointException(folder, PACKED_INDEX, "a packed model",
                    "a model that is not packed yet");
        }
        return new Checkpoint(store, ModelConfig.read(folder), new DenseFormat(onTheFly));
    }

    /** Where it lies. */
    public Path folder() {
        return store.folder();
    }

    /** The format of its quantized layers, for people. */
    public String scheme() {
        return format == null ? dense.scheme() : format.scheme();
    }

    /** The safetensors files. */
    public java.util.List<SafetensorsFile> files() {
        return store.files();
    }

    /** Every tensor by name. */
    public Map<String, Tensor> tensors() {
        return store.tensors();
    }

    /** The linear layers, quantized or not, in the order of their tensors. */
    public Set<String> layerNames() {
        return new LinkedHashSet<>(layers.keySet());
    }

    /** Whether the layer is stored in full precision. */
    public boolean isDense(String name) {
        return layers.get(name) == dense;
    }

    /**
     * A layer, with its tensors' shapes and types checked.
     *
     * @throws MalformedCheckpointException if a tensor is missing or contradicts another or the configuration
     * @throws UnsupportedCheckpointException if it is stored in a way that cannot run
     * @throws IllegalArgumentException if there is no such layer
     */
    public LayerSource layer(String name) {
        WeightFormat of = layers.get(name);
        if (of == null) {
            throw new IllegalArgumentException("no linear layer \"" + name + "\" in " + folder() + ", which has "
                    + layers.size());
        }
        return of.layer(store, name);
    }

    /** Why a layer cannot run, or null if it can. */
    public String whyNot(String name) {
        try {
            layer(name);
            return null;
        } catch (JMarlinException e) {
            return e.getMessage();
        }
    }
}
