package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.MappedFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorFile;
import io.github.jmarlin.checkpoint.container.TensorInfo;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A GGUF file, mapped read-only, under its own names; every rule of the format is checked when it is opened. Shapes are turned round,
 * so that the last extent is the contiguous one, as in every other container here; tensors of blocks are U8, their last extent the
 * bytes of a row. Immutable and thread-safe; nothing to close.
 */
public final class GgufFile implements TensorFile {
    private static final Pattern PART = Pattern.compile("(.*-)(\\d{5})(-of-\\d{5}\\.gguf)");
    private static final int MOST_PARTS = 99_999;

    private final MappedFile file;
    private final Map<String, Object> metadata;
    private final Map<String, GgufType> types = new LinkedHashMap<>();
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();

    private GgufFile(MappedFile file, GgufHeader header) {
        this.file = file;
        this.metadata = Collections.unmodifiableMap(header.metadata());
        header.tensors().stream().sorted((a, b) -> Long.compare(a.offset(), b.offset())).forEach(info -> {
            types.put(info.name(), info.type());
            tensors.put(info.name(), new Tensor(file, entry(info), header.dataStart()));
        });
    }

    private static TensorInfo entry(GgufHeader.Info info) {
        List<Long> shape = new ArrayList<>(info.extents());
        GgufType type = info.type();
        if (type.plain() == null) {
            shape.set(0, shape.get(0) / type.blockElements() * type.blockBytes());
        }
        Collections.reverse(shape);
        return new TensorInfo(info.name(), type.plain() == null ? TensorType.U8 : type.plain(), shape, info.offset(),
                info.offset() + info.bytes());
    }

    /**
     * Maps and checks a file.
     *
     * @throws MalformedCheckpointException if it breaks a rule of the format
     * @throws UnsupportedCheckpointException if it is of another version or byte order, or has an element type that nobody knows
     * @throws IOException if it cannot be read
     */
    public static GgufFile open(Path path) throws IOException {
        return of(MappedFile.open(path));
    }

    /** As {@link #open}, of what is mapped already. */
    public static GgufFile of(MappedFile file) {
        return new GgufFile(file, GgufHeader.read(file));
    }

    /**
     * The file and, where it is one of several parts, {@code NAME-00001-of-00003.gguf}, the others beside it.
     *
     * @param path any part
     */
    static List<GgufFile> openAll(Path path) throws IOException {
        GgufFile named = open(path);
        long count = named.number("split.count", 1);
        if (count <= 1) {
            return List.of(named);
        }
        Matcher name = PART.matcher(path.getFileName().toString());
        if (count > MOST_PARTS || !name.matches()) {
            throw new MalformedCheckpointException(path, "key split.count", count, "the file of such a part is called "
                    + "NAME-00001-of-000NN.gguf, and its sisters lie beside it");
        }
        List<GgufFile> parts = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            Path part = path.resolveSibling(name.group(1) + String.format("%05d-of-%05d.gguf", i + 1, count));
            if (!Files.isRegularFile(part)) {
                throw new MalformedCheckpointException(path, "key split.count", count, part.getFileName() + " must lie beside it");
            }
            parts.add(part.equals(path) ? named : open(part));
            parts.get(i).requireNumber("split.no", i);
            parts.get(i).requireNumber("split.count", count);
        }
        parts.get(0).requireNumber("split.tensors.count", parts.stream().mapToLong(part -> part.tensors.size()).sum());
        return parts;
    }

    private long number(String key, long otherwise) {
        return metadata.get(key) instanceof Long value ? value : otherwise;
    }

    private void requireNumber(String key, long expected) {
        if (number(key, expected) != expected) {
            throw new MalformedCheckpointException(path(), "key " + key, metadata.get(key), "must be " + expected
                    + " in this file, among its parts");
        }
    }

    /** Keys and values: Long, Double, Boolean, String, {@link GgufArray}, or BigInteger. */
    public Map<String, Object> values() {
        return metadata;
    }

    /** The element type of each tensor, as the file has it. */
    public Map<String, GgufType> types() {
        return Collections.unmodifiableMap(types);
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
        return Map.of();
    }

    @Override
    public Map<String, Tensor> tensors() {
        return Collections.unmodifiableMap(tensors);
    }
}
