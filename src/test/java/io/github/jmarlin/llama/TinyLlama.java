package io.github.jmarlin.llama;

import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;

/** A random little model of a family, in memory and as a folder: two blocks, four query heads on two key/value heads. */
public final class TinyLlama {
    public static final int HIDDEN = 128;
    public static final int INTERMEDIATE = 192;
    public static final int LAYERS = 2;
    public static final int HEADS = 4;
    public static final int KEY_VALUE_HEADS = 2;
    public static final int VOCABULARY = 96;
    public static final int POSITIONS = 64;

    /** What config.json says, value by value in JSON. */
    public final Map<String, String> config = new LinkedHashMap<>();
    /** {@code [rows][columns]}, or one row. */
    public final Map<String, float[]> tensors = new LinkedHashMap<>();
    private final Map<String, long[]> shapes = new LinkedHashMap<>();
    private final Random random;

    /** @param family llama, mistral, qwen2 or qwen3 */
    public TinyLlama(String family, long seed) {
        random = new Random(seed);
        int headSize = family.equals("qwen3") ? 64 : HIDDEN / HEADS;
        String architecture = Map.of("llama", "Llama", "mistral", "Mistral", "qwen2", "Qwen2", "qwen3", "Qwen3").get(family);
        config.put("architectures", "[\"" + architecture + "ForCausalLM\"]");
        config.put("model_type", "\"" + family + "\"");
        config.put("hidden_size", "" + HIDDEN);
        config.put("intermediate_size", "" + INTERMEDIATE);
        config.put("num_hidden_layers", "" + LAYERS);
        config.put("num_attention_heads", "" + HEADS);
        config.put("num_key_value_heads", "" + KEY_VALUE_HEADS);
        config.put("vocab_size", "" + VOCABULARY);
        config.put("max_position_embeddings", "" + POSITIONS);
        config.put("rms_norm_eps", "1e-5");
        config.put("rope_theta", "10000.0");
        config.put("hidden_act", "\"silu\"");
        if (family.equals("qwen3")) {
            config.put("head_dim", "64");
        }
        matrix("model.embed_tokens.weight", VOCABULARY, HIDDEN);
        for (int i = 0; i < LAYERS; i++) {
            String prefix = "model.layers." + i + ".";
            norm(prefix + "input_layernorm.weight", HIDDEN);
            matrix(prefix + "self_attn.q_proj.weight", HEADS * headSize, HIDDEN);
            matrix(prefix + "self_attn.k_proj.weight", KEY_VALUE_HEADS * headSize, HIDDEN);
            matrix(prefix + "self_attn.v_proj.weight", KEY_VALUE_HEADS * headSize, HIDDEN);
            matrix(prefix + "self_attn.o_proj.weight", HIDDEN, HEADS * headSize);
            if (family.equals("qwen2")) {
                bias(prefix + "self_attn.q_proj.bias", HEADS * headSize);
                bias(prefix + "self_attn.k_proj.bias", KEY_VALUE_HEADS * headSize);
                bias(prefix + "self_attn.v_proj.bias", KEY_VALUE_HEADS * headSize);
            }
            if (family.equals("qwen3")) {
                norm(prefix + "self_attn.q_norm.weight", headSize);
                norm(prefix + "self_attn.k_norm.weight", headSize);
            }
            norm(prefix + "post_attention_layernorm.weight", HIDDEN);
            matrix(prefix + "mlp.gate_proj.weight", INTERMEDIATE, HIDDEN);
            matrix(prefix + "mlp.up_proj.weight", INTERMEDIATE, HIDDEN);
            matrix(prefix + "mlp.down_proj.weight", HIDDEN, INTERMEDIATE);
        }
        norm("model.norm.weight", HIDDEN);
        matrix("lm_head.weight", VOCABULARY, HIDDEN);
    }

    /** Adds or replaces a matrix of random numbers that keeps activations of one size. */
    public TinyLlama matrix(String name, int rows, int columns) {
        return fill(name, 0, 1.5 / Math.sqrt(columns), rows, columns);
    }

    public TinyLlama norm(String name, int elements) {
        return fill(name, 1, 0.2, elements);
    }

    public TinyLlama bias(String name, int elements) {
        return fill(name, 0, 0.5, elements);
    }

    private TinyLlama fill(String name, double mean, double deviation, long... shape) {
        float[] values = new float[(int) (shape[0] * (shape.length == 1 ? 1 : shape[1]))];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (mean + deviation * random.nextGaussian());
        }
        tensors.put(name, values);
        shapes.put(name, shape);
        return this;
    }

    public TinyLlama config(String key, String json) {
        config.put(key, json);
        return this;
    }

    public long[] shape(String name) {
        return shapes.get(name);
    }

    /** Removes a tensor. */
    public TinyLlama without(String name) {
        tensors.remove(name);
        return this;
    }

    public TestModel model(TensorType type) {
        TestModel model = new TestModel();
        tensors.forEach((name, values) -> model.floats(name, type, values, shapes.get(name)));
        return model;
    }

    public String json() {
        return config.entrySet().stream().map(entry -> "\"" + entry.getKey() + "\": " + entry.getValue())
                .collect(Collectors.joining(", ", "{", "}"));
    }

    /** Writes config.json and model.safetensors; matrices, norms and biases of one type. */
    public Path write(Path folder, TensorType type) throws IOException {
        return model(type).write(folder, json());
    }
}
