package io.github.jmarlin.checkpoint.container;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;

/**
 * The tensors of a model, in however many files they lie, and the JSON documents beside them. Immutable and thread-safe.
 */
public final class TensorStore {
    private final Path folder;
    private final List<? extends TensorFile> files;
    private final Map<String, Tensor> tensors;
    /** The {@code metadata} of the index; a null node if there is none. */
    private final ConfigNode metadata;
    private final Map<String, String> leftOut;
    /** What stands for the documents of a folder where there is none; null in a folder. */
    private final Map<String, Supplier<byte[]>> made;

    private TensorStore(Path folder, List<? extends TensorFile> files, Map<String, Tensor> tensors, ConfigNode metadata,
            Map<String, String> leftOut, Map<String, Supplier<byte[]>> made) {
        this.folder = folder;
        this.made = made;
        this.leftOut = leftOut;
        this.files = List.copyOf(files);
        this.tensors = Collections.unmodifiableMap(tensors);
        this.metadata = metadata;
    }

    /**
     * Finds and opens the model's files, see {@link ModelFiles}.
     *
     * @throws MalformedCheckpointException if a file breaks its format, or the index or the shards' own numbers name one that is missing
     * @throws UnsupportedCheckpointException if there are no safetensors files
     */
    public static TensorStore open(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            throw new MalformedCheckpointException(folder, "model folder", Files.exists(folder) ? "a file" : "nothing",
                    "must be a folder with safetensors files");
        }
        ModelFiles found = ModelFiles.find(folder);
        if (found.index() != null) {
            return indexed(folder, found);
        }
        List<SafetensorsFile> files = new ArrayList<>();
        for (Path path : found.shards()) {
            files.add(SafetensorsFile.open(path));
        }
        return new TensorStore(folder, files, union(files, new LinkedHashMap<>()), noMetadata(folder), found.leftOut(), null);
    }

    /**
     * A model that is not a folder.
     *
     * @param file what people call it
     * @param documents what stands for {@code config.json} and its like, by their names, made when they are asked for
     */
    public static TensorStore of(Path file, List<? extends TensorFile> files, Map<String, Tensor> tensors,
            Map<String, Supplier<byte[]>> documents) {
        return new TensorStore(file, files, tensors, noMetadata(file), Map.of(), Map.copyOf(documents));
    }

    /** Files of a folder that somebody put there on purpose: no operating system's, none that begins with a dot. */
    public static List<Path> ownFiles(Path folder) throws IOException {
        return ModelFiles.list(folder).stream().filter(Files::isRegularFile).toList();
    }

    /** What the index names, and what its files hold besides: whatever is in the model's files is the model's. */
    private static TensorStore indexed(Path folder, ModelFiles found) throws IOException {
        Map<String, SafetensorsFile> files = new TreeMap<>();
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        for (Map.Entry<String, ConfigNode> entry : found.index().get("weight_map").entries().entrySet()) {
            String name = entry.getValue().string();
            if (!files.containsKey(name)) {
                files.put(name, shard(folder, entry.getValue(), name));
            }
            tensors.put(entry.getKey(), files.get(name).tensor(entry.getKey()));
        }
        List<SafetensorsFile> opened = new ArrayList<>(files.values());
        return new TensorStore(folder, opened, union(opened, tensors), found.index().get("metadata"), found.leftOut(), null);
    }

    private static SafetensorsFile shard(Path folder, ConfigNode where, String name) throws IOException {
        if (name.isEmpty() || name.indexOf('/') >= 0 || name.indexOf('\\') >= 0 || name.indexOf('\0') >= 0) {
            throw where.malformed("must be the name of a file in the same folder");
        }
        Path path = folder.resolve(name);
        if (!Files.isRegularFile(path)) {
            throw where.malformed("this shard must exist in " + folder);
        }
        return SafetensorsFile.open(path);
    }

    /** All tensors of all files. */
    public static TensorStore union(Path folder, List<SafetensorsFile> files) {
        return new TensorStore(folder, files, union(files, new LinkedHashMap<>()), noMetadata(folder), Map.of(), null);
    }

    /** Adds the tensors of all files to those whose file is known. */
    private static Map<String, Tensor> union(List<SafetensorsFile> files, Map<String, Tensor> known) {
        Map<String, Tensor> tensors = new LinkedHashMap<>(known);
        for (SafetensorsFile file : files) {
            for (Tensor tensor : file.tensors().values()) {
                Tensor other = known.containsKey(tensor.name()) ? null : tensors.put(tensor.name(), tensor);
                if (other != null) {
                    throw tensor.malformed("the same name in " + other.file().getFileName(),
                            "without an index each tensor must be in one file only");
                }
            }
        }
        return tensors;
    }

    private static ConfigNode noMetadata(Path folder) {
        return new ConfigNode(folder, "metadata", null);
    }

    /** Where it lies: a folder, or the file that is the model. */
    public Path folder() {
        return folder;
    }

    /** The string under {@code key} of the index's metadata, or null. */
    public String metadata(String key) {
        return metadata.isObject() ? metadata.get(key).string(null) : null;
    }

    public List<TensorFile> files() {
        return Collections.unmodifiableList(files);
    }

    /** Names of the documents that stand for a folder's files where there is no folder; empty in a folder, whose files they are. */
    public Set<String> madeDocuments() {
        return made == null ? Set.of() : new TreeSet<>(made.keySet());
    }

    /**
     * The content of a document that there is no file of.
     *
     * @param name one of {@link #madeDocuments}
     */
    public byte[] madeDocument(String name) {
        return made.get(name).get();
    }

    /** A JSON document of the model, such as {@code config.json}; null if it has none of that name. */
    public ConfigNode document(String name) throws IOException {
        if (made != null) {
            return made.containsKey(name) ? Json.parseLenient(folder, name, madeDocument(name)) : null;
        }
        Path file = folder.resolve(name);
        return Files.exists(file) ? Json.read(file) : null;
    }

    /** Safetensors files and indexes of the folder that are not the model, with the reason. */
    public Map<String, String> leftOut() {
        return leftOut;
    }

    public Map<String, Tensor> tensors() {
        return tensors;
    }

    /** The tensor of that name, or null. */
    public Tensor find(String name) {
        return tensors.get(name);
    }

    /** The tensor of that name; missing is an error that names it. */
    public Tensor require(String name) {
        Tensor tensor = tensors.get(name);
        if (tensor == null) {
            throw new MalformedCheckpointException(folder, "tensor " + name, "nothing",
                    "the checkpoint must contain this tensor in one of "
                    + files.stream().map(file -> file.path().getFileName()).toList());
        }
        return tensor;
    }
}
