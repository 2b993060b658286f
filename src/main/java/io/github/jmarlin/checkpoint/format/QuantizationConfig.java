package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorFile;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * What a model says about its quantization, from all the places in which tools say it, reconciled key by key. Places, the first
 * one first:
 * <table>
 * <caption>Places</caption>
 * <tr><th>place</th><th>written by</th></tr>
 * <tr><td>config.json: {@code quantization_config}, also inside itself</td>
 * <td>transformers and most tools; once compressed-tensors</td></tr>
 * <tr><td>config.json: {@code compression_config}</td><td>older compressed-tensors, SparseML</td></tr>
 * <tr><td>config.json: {@code quantization}</td><td>MLX</td></tr>
 * <tr><td>the same in a section such as {@code text_config}</td><td>models of text and pictures</td></tr>
 * <tr><td>quantize_config.json</td><td>AutoGPTQ, GPTQModel</td></tr>
 * <tr><td>quant_config.json</td><td>older AutoAWQ</td></tr>
 * <tr><td>quantization_config.json</td><td>AutoRound</td></tr>
 * <tr><td>hf_quant_config.json: {@code quantization}</td><td>ModelOpt</td></tr>
 * <tr><td>a safetensors header: {@code gptq_bits}, ...</td><td>AutoGPTQ</td></tr>
 * <tr><td>tensors {@code gptq_bits}, {@code gptq_groupsize}</td><td>text-generation-inference</td></tr>
 * </table>
 * A key that only one place has is taken from there; what happens where two differ is its reader's to say, since the tensors may
 * decide. Immutable and thread-safe.
 */
public final class QuantizationConfig {
    /** For messages: where a configuration is looked for. */
    static final String PLACES = "config.json (quantization_config, compression_config or quantization, also in a section), "
            + "quantize_config.json, quant_config.json, quantization_config.json, hf_quant_config.json";
    private static final List<String> KEYS = List.of("quantization_config", "compression_config", "quantization");
    /** An object with none of these says nothing about how weights are stored. */
    private static final Set<String> TELLING = Set.of("quant_method", "method", "bits", "w_bit", "wbits", "config_groups",
            "quant_algo", "load_in_4bit", "load_in_8bit", "group_size", "q_group_size", "format", "checkpoint_format", "version");
    private static final int DEEPEST_SECTION = 3;

    /**
     * One place.
     *
     * @param impliedMethod the method that its file or form implies if it names none, or null
     */
    private record Place(ConfigNode node, String impliedMethod) {
        String label() {
            return node.file().getFileName() + (node.path().isEmpty() ? "" : ": " + node.path());
        }
    }

    private final List<Place> places;

    private QuantizationConfig(List<Place> places) {
        this.places = List.copyOf(places);
    }

    /** A configuration at one place. */
    public static QuantizationConfig of(ConfigNode node, String impliedMethod) {
        return new QuantizationConfig(List.of(new Place(node, impliedMethod)));
    }

    /** Everything that a folder says; null if it says nothing. */
    static QuantizationConfig find(Path folder, ConfigNode config, TensorStore tensors) throws IOException {
        List<Place> places = new ArrayList<>();
        if (config != null) {
            inObject(config, 0, places);
        }
        inFile(folder, "quantize_config.json", "gptq", places);
        inFile(folder, "quant_config.json", "awq", places);
        inFile(folder, "quantization_config.json", null, places);
        Path modelOpt = folder.resolve("hf_quant_config.json");
        if (Files.exists(modelOpt)) {
            add(Json.read(modelOpt).get("quantization"), "modelopt", places);
        }
        if (places.isEmpty()) {
            inHeaders(tensors, places);
            inTensors(tensors, places);
        }
        return places.isEmpty() ? null : new QuantizationConfig(places);
    }

    private static void inFile(Path folder, String name, String method, List<Place> places) throws IOException {
        Path file = folder.resolve(name);
        if (Files.exists(file)) {
            places.add(new Place(Json.read(file), method));
        }
    }

    private static void inObject(ConfigNode object, int depth, List<Place> places) {
        for (String key : KEYS) {
            add(object.get(key), key.equals("quantization") ? "mlx" : null, places);
        }
        if (depth == DEEPEST_SECTION) {
            return;
        }
        for (Map.Entry<String, ConfigNode> entry : object.entries().entrySet()) {
            if (entry.getValue().isObject() && !KEYS.contains(entry.getKey()) && !isOtherTower(entry.getKey())) {
                inObject(entry.getValue(), depth + 1, places);
            }
        }
    }

    /** Sections whose layers are not the language model's. */
    private static boolean isOtherTower(String section) {
        return section.contains("vision") || section.contains("audio") || section.contains("visual");
    }

    private static void add(ConfigNode node, String method, List<Place> places) {
        if (node.isNull()) {
            return;
        }
        boolean inner = node.isObject() && KEYS.stream().anyMatch(key -> node.get(key).isObject());
        if (!node.isObject() || inner || node.entries().keySet().stream().anyMatch(TELLING::contains)) {
            places.add(new Place(node, implied(node, method)));
        }
        if (inner) {
            KEYS.forEach(key -> add(node.get(key), method, places));
        }
    }

    /** The method of an object that names none but has keys of one tool only. */
    private static String implied(ConfigNode node, String otherwise) {
        if (!node.isObject()) {
            return otherwise;
        }
        return node.get("config_groups").isObject() ? "compressed-tensors"
                : !node.get("load_in_4bit").isNull() || !node.get("load_in_8bit").isNull() ? "bitsandbytes"
                : !node.get("quant_algo").isNull() ? "modelopt" : otherwise;
    }

    /** AutoGPTQ repeats its settings as strings in the header's metadata. */
    private static void inHeaders(TensorStore tensors, List<Place> places) {
        for (TensorFile file : tensors.files()) {
            Map<String, Object> found = new LinkedHashMap<>();
            for (Map.Entry<String, String> entry : Map.of("gptq_bits", "bits", "gptq_group_size", "group_size").entrySet()) {
                String value = file.metadata().get(entry.getKey());
                if (value != null && value.matches("-?\\d{1,9}")) {
                    found.put(entry.getValue(), Long.parseLong(value));
                }
            }
            if (!found.isEmpty()) {
                places.add(new Place(ConfigNode.of(file.path(), "metadata gptq", found), "gptq"));
                return;
            }
        }
    }

    /** text-generation-inference stored its two settings as tensors. */
    private static void inTensors(TensorStore tensors, List<Place> places) {
        Tensor bits = tensors.find("gptq_bits");
        Tensor groupSize = tensors.find("gptq_groupsize");
        if (bits != null && groupSize != null && isNumber(bits) && isNumber(groupSize)) {
            Map<String, Object> found = Map.of("bits", number(bits), "group_size", number(groupSize));
            places.add(new Place(ConfigNode.of(bits.file(), "tensors gptq_bits, gptq_groupsize", found), "gptq"));
        }
    }

    private static boolean isNumber(Tensor tensor) {
        return tensor.type() == TensorType.I64 && tensor.bytes() == Long.BYTES
                || tensor.type() == TensorType.I32 && tensor.bytes() == Integer.BYTES;
    }

    private static long number(Tensor tensor) {
        var bytes = tensor.slice(0, (int) tensor.bytes());
        return tensor.type() == TensorType.I64 ? bytes.getLong(0) : bytes.getInt(0);
    }

    /** Where it stands, for people: the place taken, and the others. */
    public String describe() {
        StringBuilder text = new StringBuilder(places.get(0).label());
        for (Place other : places.subList(1, places.size())) {
            text.append(", and ").append(other.label());
        }
        return text.toString();
    }

    /** The file of the place that comes first. */
    Path file() {
        return places.get(0).node.file();
    }

    /** The value under one of {@code keys}, aliases of each other, in the first place that has one; else a null node. */
    ConfigNode get(String... keys) {
        for (Place place : places) {
            ConfigNode node = place.node.firstOf(keys);
            if (!node.isNull()) {
                return node;
            }
        }
        return places.get(0).node.get(keys[0]);
    }

    /** Every different value under {@code keys}, the first place's first. */
    List<ConfigNode> all(String... keys) {
        List<ConfigNode> values = new ArrayList<>();
        for (Place place : places) {
            ConfigNode node = place.node.firstOf(keys);
            if (!node.isNull() && values.stream().noneMatch(other -> same(other.raw(), node.raw()))) {
                values.add(node);
            }
        }
        return values;
    }

    /** The value of a fact that no tensor can decide: two places that have different ones are an error that names both. */
    ConfigNode agreed(String... keys) {
        List<ConfigNode> values = all(keys);
        if (values.size() > 1) {
            throw disagree(values.get(0), values.get(1), "the tensors cannot decide between them");
        }
        return get(keys);
    }

    /** The exception for two places that differ. */
    static MalformedCheckpointException disagree(ConfigNode one, ConfigNode other, String rule) {
        return new MalformedCheckpointException(one.file(), "key " + one.path(),
                one.raw() + ", but " + other.raw() + " in " + other.file().getFileName() + ", key " + other.path(),
                "the two places must agree: " + rule);
    }

    /** The methods that the places name, in lower case; if none does, what a place implies. */
    List<ConfigNode> methods() {
        List<ConfigNode> named = all("quant_method", "method");
        if (!named.isEmpty()) {
            return named;
        }
        for (Place place : places) {
            if (place.impliedMethod != null) {
                return List.of(ConfigNode.of(place.node.file(), place.node.path(), place.impliedMethod));
            }
        }
        return List.of(ConfigNode.of(places.get(0).node.file(), places.get(0).node.path(), "gptq"));
    }

    private static boolean same(Object a, Object b) {
        if (a instanceof String && b instanceof String) {
            return ((String) a).toLowerCase(Locale.ROOT).equals(((String) b).toLowerCase(Locale.ROOT));
        }
        if (a instanceof Number && b instanceof Number) {
            return ((Number) a).doubleValue() == ((Number) b).doubleValue();
        }
        return a == null ? b == null : a.equals(b);
    }
}
