package io.github.jmarlin.checkpoint;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorFile;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.container.gguf.GgufModel;
import io.github.jmarlin.checkpoint.format.DenseFormat;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.checkpoint.format.ModelConfig;
import io.github.jmarlin.checkpoint.format.UnclaimedTensors;
import io.github.jmarlin.checkpoint.format.WeightFormat;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * A model as people download it: a folder of safetensors files and configuration, or a GGUF file. Opening maps the files and reads
 * headers and configuration only. Immutable, thread-safe, nothing to close.
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
    private final ModelConfig config;
    private final DenseFormat dense;
    /** The file that is the model; null if a folder is. */
    private final GgufModel gguf;
    private final Map<String, WeightFormat> layers = new LinkedHashMap<>();
    private final Map<String, String> left = new LinkedHashMap<>();

    /** @param config what its configuration files mean */
    public Checkpoint(TensorStore store, ModelConfig config, DenseQuantization onTheFly) {
        this(store, config, onTheFly, null);
    }

    private Checkpoint(TensorStore store, ModelConfig config, DenseQuantization onTheFly, GgufModel gguf) {
        this.store = store;
        this.gguf = gguf;
        this.config = config;
        this.dense = new DenseFormat(onTheFly, config.architecture(), store);
        for (Tensor tensor : store.tensors().values()) {
            String name = tensor.name();
            String layer = config.format() == null ? null : config.format().layerOf(tensor, store);
            if (layer != null) {
                layers.put(layer, config.format());
            } else if (dense.isMatrix(tensor) && !UnclaimedTensors.looksQuantized(tensor)) {
                String why = dense.whyLeft(tensor);
                if (why == null) {
                    layers.put(name.substring(0, name.length() - dense.marker().length() - 1), dense);
                } else {
                    left.put(name, why);
                }
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
     * @throws MalformedCheckpointException if a file breaks its format or is missing, or two places of the configuration disagree
     * @throws UnsupportedCheckpointException if the configuration names a format that cannot run
     * @throws IOException if a file cannot be read
     */
    public static Checkpoint open(Path folder, DenseQuantization onTheFly) throws IOException {
        Checkpoint checkpoint = openAny(folder, onTheFly);
        if (checkpoint.config.refusal() != null) {
            throw checkpoint.config.refusal();
        }
        return checkpoint;
    }

    /** Opens a model even if the configuration names a format that cannot run: its quantized tensors are then nobody's. */
    public static Checkpoint openAny(Path folder, DenseQuantization onTheFly) throws IOException {
        if (GgufModel.isMeant(folder)) {
            GgufModel model = GgufModel.open(folder);
            return new Checkpoint(model.store(), ModelConfig.of(model), onTheFly, model);
        }
        TensorStore store = TensorStore.open(folder);
        if (store.metadata(PACKED_VERSION_KEY) != null) {
            throw new UnsupportedCheckpointException(folder, PACKED_INDEX, "a packed model",
                    "a model that is not packed yet");
        }
        return new Checkpoint(store, ModelConfig.read(folder, store), onTheFly);
    }

    /** Where it lies: a folder, or a GGUF file. */
    public Path folder() {
        return store.folder();
    }

    /** A JSON document of the model, such as {@code config.json}; null if it has none of that name. */
    public ConfigNode document(String name) throws IOException {
        return store.document(name);
    }

    /** Names of documents that stand for files of a folder where there is no folder. */
    public Set<String> madeDocuments() {
        return store.madeDocuments();
    }

    /**
     * The content of one of {@link #madeDocuments}.
     *
     * @throws JMarlinException if what it is made from is broken, or means something that cannot be said in such a document
     */
    public byte[] madeDocument(String name) {
        return store.madeDocument(name);
    }

    /** What a GGUF file's metadata say that is in none of {@link #madeDocuments}, with the reason, for people. */
    public List<String> untranslated() {
        return gguf == null ? List.of() : gguf.untranslated();
    }

    /** The types of a GGUF file's tensors of blocks, by the tensors' names: to safetensors files they are bytes. */
    public Map<String, String> blockTypes() {
        Map<String, String> types = new TreeMap<>();
        if (gguf != null) {
            gguf.blocks().forEach((name, type) -> types.put(name, type.name()));
        }
        return types;
    }

    /** The format of its quantized layers, for people. */
    public String scheme() {
        return config.format() != null ? config.format().scheme()
                : config.refusal() != null ? "a format that is not read" : dense.scheme();
    }

    /** Where the quantization's configuration stands, for people; null if there is none. */
    public String configuration() {
        return config.quantization() == null ? null : config.quantization().describe();
    }

    /** Why the format of its quantized layers is not read; null if it is, or there is none. */
    public UnsupportedCheckpointException refusal() {
        return config.refusal();
    }

    /** The files that hold its tensors. */
    public List<TensorFile> files() {
        return store.files();
    }

    /** Safetensors files and indexes of the folder that are not part of the model, with the reason. */
    public Map<String, String> leftOutFiles() {
        return store.leftOut();
    }

    /** Matrices in full precision that are no layers, and stay as they are whatever is asked for, with the reason. */
    public Map<String, String> leftInFullPrecision() {
        return Collections.unmodifiableMap(left);
    }

    /** Looks at every layer: shapes, types and zero points, not yet the weights. */
    public Survey survey() {
        Survey survey = new Survey();
        Set<String> taken = new HashSet<>();
        for (String name : layers.keySet()) {
            try {
                LayerSource layer = layer(name);
                layer.tensors().forEach(tensor -> taken.add(tensor.name()));
                survey.layers().put(name, layer);
            } catch (JMarlinException e) {
                survey.refused().put(name, e);
            }
        }
        WeightFormat names = config.format() != null ? config.format() : dense;
        for (String tensor : store.tensors().keySet()) {
            if (survey.refused().containsKey(names.moduleOf(tensor))) {
                taken.add(tensor);
            }
        }
        survey.unclaimed().addAll(UnclaimedTensors.of(store, taken, config.refusal() != null ? config.refusal().getMessage()
                : config.format() == null ? config.noConfiguration() : null));
        return survey;
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
