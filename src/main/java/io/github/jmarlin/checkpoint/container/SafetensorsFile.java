package io.github.jmarlin.checkpoint.container;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * A safetensors file, mapped read-only; every rule of the format is checked when it is opened. Immutable and thread-safe.
 *
 * <p>Nothing needs closing: the map lives as long as someone can reach the file or one of its tensors. The file must not be
 * truncated meanwhile, as for any mapped file.
 */
public final class SafetensorsFile implements TensorFile {
    private final MappedFile file;
    private final SafetensorsHeader header;
    private final Map<String, Tensor> tensors;

    private SafetensorsFile(MappedFile file, SafetensorsHeader header) {
        this.file = file;
        this.header = header;
        this.tensors = new LinkedHashMap<>();
        for (TensorInfo info : header.tensors()) {
            tensors.put(info.name(), new Tensor(file, info, header.dataStart()));
        }
    }

    /**
     * Maps and checks a file.
     *
     * @throws MalformedCheckpointException if it breaks a rule of the format
     * @throws IOException if it cannot be read
     */
    public static SafetensorsFile open(Path path) throws IOException {
        return of(MappedFile.open(path));
    }

    public static SafetensorsFile of(MappedFile file) {
        return new SafetensorsFile(file, SafetensorsHeader.read(file));
    }

    @Override
    public Path path() {
        return file.path();
    }

    @Override
    public long size() {
        return file.size();
    }

    @Override
    public Map<String, String> metadata() {
        return header.metadata();
    }

    @Override
    public Map<String, Tensor> tensors() {
        return java.util.Collections.unmodifiableMap(tensors);
    }

    /** The tensor of that name. */
    public Optional<Tensor> find(String name) {
        return Optional.ofNullable(tensors.get(name));
    }

    /**
     * The tensor of that name.
     *
     * @throws MalformedCheckpointException if there is none
     */
    public Tensor tensor(String name) {
        return find(name).orElseThrow(() -> new MalformedCheckpointException(path(), "tensor " + name, "nothing",
                "the file must contain this tensor"));
    }
}
