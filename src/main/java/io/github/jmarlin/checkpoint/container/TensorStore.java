package io.github.jmarlin.checkpoint.container;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * The tensors of a model folder, in however many safetensors files they lie. Immutable and thread-safe.
 *
 * <p>In this order: an index ({@code *.safetensors.index.json}) names the files and what is in each; without one
 * {@code model.safetensors} is the model; without that every {@code .safetensors} file of the folder belongs to it.
 */
public final class TensorStore {
    private static final String INDEX_SUFFIX = ".safetensors.index.json";
    private static final String FILE_SUFFIX = ".safetensors";
    private static final String SINGLE_FILE = "model.safetensors";

    private final Path folder;
    private final List<SafetensorsFile> files;
    private final Map<String, Tensor> tensors;
    /** The {@code metadata} of the index; a null node if there is none. */
    private final ConfigNode metadata;

    private TensorStore(Path folder, List<SafetensorsFile> files, Map<String, Tensor> tensors, ConfigNode metadata) {
        this.folder = folder;
        this.files = List.copyOf(files);
        this.tensors = Collections.unmodifiableMap(tensors);
        this.metadata = metadata;
    }

    public static TensorStore open(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            throw new MalformedCheckpointException(folder, "model folder", Files.exists(folder) ? "a file" : "nothing",
                    "must be a folder with safetensors files");
        }
        List<Path> indexes = list(folder, INDEX_SUFFIX);
        if (indexes.size() > 1) {
            throw new MalformedCheckpointException(folder, "index", names(indexes), "at most one file may end with "
                    + INDEX_SUFFIX);
        }
        if (!indexes.isEmpty()) {
            return indexed(folder, Json.read(indexes.get(0)));
        }
        Path single = folder.resolve(SINGLE_FILE);
        List<Path> paths = Files.exists(single) ? List.of(single) : list(folder, FILE_SUFFIX);
        if (paths.isEmpty()) {
            List<Path> found = list(folder, "");
            throw new UnsupportedCheckpointException(folder, "weights", names(found),
                    "safetensors files (convert .bin, .pt and .gguf files first)");
        }
        List<SafetensorsFile> files = new ArrayList<>();
        for (Path path : paths) {
            files.add(SafetensorsFile.open(path));
        }
        return union(folder, files);
    }

    private static TensorStore indexed(Path folder, ConfigNode index) throws IOException {
        Map<String, SafetensorsFile> files = new TreeMap<>();
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        for (Map.Entry<String, ConfigNode> entry : index.get("weight_map").entries().entrySet()) {
            String name = entry.getValue().string();
            if (!files.containsKey(name)) {
                files.put(name, shard(folder, entry.getValue(), name));
            }
            tensors.put(entry.getKey(), files.get(name).tensor(entry.getKey()));
        }
        return new TensorStore(folder, new ArrayList<>(files.values()), tensors, index.get("metadata"));
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
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        for (SafetensorsFile file : files) {
            for (Tensor tensor : file.tensors().values()) {
                Tensor other = tensors.put(tensor.name(), tensor);
                if (other != null) {
                    throw tensor.malformed("the same name in " + other.file().getFileName(),
                            "without an index each tensor must be in one file only");
                }
            }
        }
        return new TensorStore(folder, files, tensors, new ConfigNode(folder, "metadata", null));
    }

    private static List<Path> list(Path folder, String suffix) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.filter(path -> path.getFileName().toString().endsWith(suffix)).sorted().toList();
        }
    }

    private static List<Path> names(List<Path> paths) {
        return paths.stream().map(Path::getFileName).toList();
    }

    public Path folder() {
        return folder;
    }

    /** The string under {@code key} of the index's metadata, or null. */
    public String metadata(String key) {
        return metadata.isObject() ? metadata.get(key).string(null) : null;
    }

    public List<SafetensorsFile> files() {
        return files;
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
