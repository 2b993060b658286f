package io.github.jmarlin.checkpoint.container;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A value inside a JSON file that knows where it stands, so that whoever finds it wrong can say so. */
public final class ConfigNode {
    private final Path file;
    private final String path;
    private final Object value;

    ConfigNode(Path file, String path, Object value) {
        this.file = file;
        this.path = path;
        this.value = value;
    }

    public Path file() {
        return file;
    }

    /** The keys that lead here, joined by dots. */
    public String path() {
        return path;
    }

    public boolean isNull() {
        return value == null;
    }

    public boolean isObject() {
        return value instanceof Map;
    }

    public boolean isList() {
        return value instanceof List;
    }

    /** The value under {@code key}; a null node if there is none. */
    public ConfigNode get(String key) {
        return new ConfigNode(file, path.isEmpty() ? key : path + "." + key, object().get(key));
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
        for (String key : object().keySet()) {
            nodes.put(key, get(key));
        }
        return nodes;
    }

    public List<ConfigNode> items() {
        if (!(value instanceof List)) {
            throw malformed("must be a list");
        }
        List<ConfigNode> nodes = new ArrayList<>();
        for (Object item : (List<?>) value) {
            nodes.add(new ConfigNode(file, path + "[" + nodes.size() + "]", item));
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
        return new MalformedCheckpointException(file, "key " + path, value, rule);
    }

    public UnsupportedCheckpointException unsupported(String accepted) {
        return new UnsupportedCheckpointException(file, "key " + path, value, accepted);
    }

    @SuppressWarnings("unchecked")
    private Map<String, Object> object() {
        if (!(value instanceof Map)) {
            throw new MalformedCheckpointException(file, path.isEmpty() ? "content" : "key " + path, value, "must be an object");
        }
        return (Map<String, Object>) value;
    }
}
