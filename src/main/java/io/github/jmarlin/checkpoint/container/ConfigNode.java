package io.github.jmarlin.checkpoint.container;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A value inside a JSON file that knows where it stands, so that whoever finds it wrong can say so. */
public final class ConfigNode {
    private final Path file;
    private final ConfigNode parent;
    private final String name;
    private final Object value;

    ConfigNode(Path file, String path, Object value) {
        this(file, null, path, value);
    }

    /** @param name the key under which the value stands in {@code parent}, or its place in a list, in brackets */
    private ConfigNode(Path file, ConfigNode parent, String name, Object value) {
        this.file = file;
        this.parent = parent;
        this.name = name;
        this.value = value;
    }

    /** The values of a key that an object has more than once; wrong only if somebody asks for it. */
    private record Twice(Object first, Object second) {
        @Override
        public String toString() {
            return first + ", then " + second;
        }
    }

    /** What stands for a key given again: the value, or both if they differ. */
    static Object twice(Object first, Object second) {
        return Objects.equals(first, second) ? first : new Twice(first, second);
    }

    /** A value that is not in a file as it stands, for instance one that a file's tensors say. */
    public static ConfigNode of(Path file, String path, Object value) {
        return new ConfigNode(file, path, value);
    }

    public Path file() {
        return file;
    }

    /** The keys that lead here, joined by dots. */
    public String path() {
        String above = parent == null ? "" : parent.path();
        return above.isEmpty() ? name : name.startsWith("[") ? above + name : above + "." + name;
    }

    public boolean isNull() {
        return value == null;
    }

    public boolean isObject() {
        return value instanceof Map;
    }

    /** The value as it is in the file: for comparing two places, not for reading. */
    public Object raw() {
        return value;
    }

    public boolean isList() {
        return value instanceof List;
    }

    /** The value under {@code key}; a null node if there is none. */
    public ConfigNode get(String key) {
        return new ConfigNode(file, this, key, object().get(key));
    }

    /** The value under the first of {@code keys} that is there and not null; a null node under the first key otherwise. */
    public ConfigNode firstOf(String... keys) {
        for (String key : keys) {
            ConfigNode node = get(key);
            if (!node.isNull()) {
                return node;
            }
        }
        return get(keys[0]);
    }

    public Map<String, ConfigNode> entries() {
        Map<String, ConfigNode> nodes = new LinkedHashMap<>();
        object().forEach((key, item) -> nodes.put(key, new ConfigNode(file, this, key, item)));
        return nodes;
    }

    public List<ConfigNode> items() {
        if (!(value instanceof List)) {
            throw malformed("must be a list");
        }
        List<ConfigNode> nodes = new ArrayList<>();
        for (Object item : (List<?>) value) {
            nodes.add(new ConfigNode(file, this, "[" + nodes.size() + "]", item));
        }
        return nodes;
    }

    /** The items as strings, or none if the value is null. */
    public List<String> strings() {
        return isNull() ? List.of() : items().stream().map(ConfigNode::string).toList();
    }

    public String string() {
        if (!(value instanceof String)) {
            throw malformed("must be a string");
        }
        return (String) value;
    }

    public String string(String otherwise) {
        return isNull() ? otherwise : string();
    }

    public long number() {
        if (value instanceof Double && (Double) value == Math.rint((Double) value) && Math.abs((Double) value) < 0x1p53) {
            return ((Double) value).longValue();
        }
        if (!(value instanceof Long)) {
            throw malformed("must be a whole number");
        }
        return (Long) value;
    }

    public long number(long otherwise) {
        return isNull() ? otherwise : number();
    }

    public boolean bool(boolean otherwise) {
        if (isNull()) {
            return otherwise;
        }
        if (!(value instanceof Boolean)) {
            throw malformed("must be true or false");
        }
        return (Boolean) value;
    }

    public MalformedCheckpointException malformed(String rule) {
        return new MalformedCheckpointException(file, "key " + path(), value,
                value instanceof Twice ? "this key may be there once" : rule);
    }

    public UnsupportedCheckpointException unsupported(String accepted) {
        return new UnsupportedCheckpointException(file, "key " + path(), value, accepted);
    }

    @SuppressWarnings("unchecked")
    private Map<String, Object> object() {
        if (!(value instanceof Map)) {
            throw path().isEmpty() ? new MalformedCheckpointException(file, "content", value, "must be an object")
                    : malformed("must be an object");
        }
        return (Map<String, Object>) value;
    }
}
