package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What config.json and generation_config.json of the same model would say, from a GGUF file's metadata:
 * <table>
 * <caption>Keys</caption>
 * <tr><th>GGUF, behind the architecture's name</th><th>config.json</th></tr>
 * <tr><td>block_count, context_length, embedding_length, feed_forward_length</td>
 * <td>num_hidden_layers, max_position_embeddings, hidden_size, intermediate_size</td></tr>
 * <tr><td>attention.head_count, .head_count_kv, .key_length, .layer_norm_rms_epsilon</td>
 * <td>num_attention_heads, num_key_value_heads, head_dim, rms_norm_eps</td></tr>
 * <tr><td>rope.freq_base, .dimension_count, .scaling.*, and the tensor rope_freqs.weight</td>
 * <td>rope_theta, partial_rotary_factor, rope_scaling</td></tr>
 * </table>
 */
final class GgufConfig {
    /** What Llama 3.1 and its successors scale with but for the factor, which has the name "llama3". */
    private static final double LOW = 1;
    private static final double HIGH = 4;
    private static final long TRAINED = 8192;
    private static final double SAME = 1e-4;

    private final String architecture;
    private final ConfigNode metadata;
    private final Map<String, Tensor> tensors;

    /** @param tensors by their translated names */
    GgufConfig(String architecture, ConfigNode metadata, Map<String, Tensor> tensors) {
        this.architecture = architecture;
        this.metadata = metadata;
        this.tensors = tensors;
    }

    /** The value of one of the architecture's own keys. */
    private ConfigNode own(String key) {
        return metadata.get(architecture + "." + key);
    }

    /** Query heads. */
    long heads() {
        return positive(own("attention.head_count"));
    }

    /** Heads of keys and values. */
    long keyValueHeads() {
        return own("attention.head_count_kv").isNull() ? heads() : positive(own("attention.head_count_kv"));
    }

    /** config.json. */
    Map<String, Object> config() {
        boolean experts = own("expert_count").number(0) > 0;
        String type = experts ? "mixtral" : architecture;
        long hidden = positive(own("embedding_length"));
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("architectures", List.of(Character.toUpperCase(type.charAt(0)) + type.substring(1) + "ForCausalLM"));
        config.put("model_type", type);
        config.put("hidden_size", hidden);
        config.put("intermediate_size", positive(own("feed_forward_length")));
        config.put("num_hidden_layers", positive(own("block_count")));
        config.put("num_attention_heads", heads());
        config.put("num_key_value_heads", keyValueHeads());
        long headSize = own("attention.key_length").isNull() ? hidden / heads() : positive(own("attention.key_length"));
        if (own("attention.value_length").number(headSize) != headSize) {
            throw own("attention.value_length").unsupported(headSize + ", as attention.key_length");
        }
        config.put("head_dim", headSize);
        config.put("vocab_size", vocabulary());
        config.put("max_position_embeddings", positive(own("context_length")));
        config.put("rms_norm_eps", decimal(own("attention.layer_norm_rms_epsilon"), 1e-6));
        config.put("hidden_act", "silu");
        config.put("tie_word_embeddings", !tensors.containsKey("lm_head.weight"));
        if (own("attention.sliding_window").number(0) > 0) {
            config.put("sliding_window", own("attention.sliding_window").number());
            config.put("use_sliding_window", true);
        }
        rotation(config, headSize);
        return config;
    }

    /** generation_config.json. */
    Map<String, Object> generation() {
        Map<String, Object> generation = new LinkedHashMap<>();
        ConfigNode begin = metadata.get("tokenizer.ggml.bos_token_id");
        if (isToken(begin)) {
            generation.put("bos_token_id", begin.number());
        }
        List<Long> ends = new ArrayList<>();
        for (String name : List.of("eos", "eot", "eom")) {
            ConfigNode end = metadata.get("tokenizer.ggml." + name + "_token_id");
            if (isToken(end) && !ends.contains(end.number())) {
                ends.add(end.number());
            }
        }
        generation.put("eos_token_id", ends);
        return generation;
    }

    /** Whether the node names a token; writers say by an id that no vocabulary has, all bits set, that there is none. */
    private boolean isToken(ConfigNode id) {
        return !id.isNull() && id.number() >= 0 && id.number() < vocabulary();
    }

    private long vocabulary() {
        Tensor embedding = tensors.get("model.embed_tokens.weight");
        if (embedding == null || embedding.shape().isEmpty()) {
            throw new MalformedCheckpointException(metadata.file(), "tensor token_embd.weight", embedding, "must be a matrix");
        }
        return embedding.shape().get(0);
    }

    private void rotation(Map<String, Object> config, long headSize) {
        double base = decimal(own("rope.freq_base"), 10_000);
        config.put("rope_theta", base);
        long turned = own("rope.dimension_count").number(headSize);
        if (turned != headSize) {
            config.put("partial_rotary_factor", (double) turned / headSize);
        }
        Tensor factors = tensors.get("rope_freqs.weight");
        if (factors != null) {
            config.put("rope_scaling", scaling(factors, base, headSize));
            return;
        }
        String kind = own("rope.scaling.type").string("none");
        // Older files have a factor and no type: it was always linear.
        ConfigNode factor = own("rope.scaling.factor").isNull() ? own("rope.scale_linear") : own("rope.scaling.factor");
        boolean scaled = !factor.isNull() && decimal(factor, 1) != 1 && decimal(factor, 1) != 0;
        if (!kind.equals("none") || scaled && own("rope.scaling.type").isNull()) {
            Map<String, Object> scaling = new LinkedHashMap<>();
            scaling.put("rope_type", kind.equals("none") ? "linear" : kind);
            scaling.put("factor", decimal(factor, 1));
            config.put("rope_scaling", scaling);
        }
    }

    /** The scaling whose frequencies are divided by these factors: llama3's, or one whose name nobody accepts. */
    private static Map<String, Object> scaling(Tensor tensor, double base, long headSize) {
        Map<String, Object> scaling = new LinkedHashMap<>();
        scaling.put("rope_type", "factors of " + tensor.name());
        if (tensor.type().bits() != Float.SIZE || tensor.shape().size() != 1 || tensor.shape().get(0) != headSize / 2) {
            return scaling;
        }
        float[] factors = Floats.read(tensor, 0, headSize / 2);
        double most = 1;
        for (float factor : factors) {
            most = Math.max(most, factor);
        }
        for (int i = 0; i < factors.length; i++) {
            double wave = 2 * Math.PI * Math.pow(base, 2.0 * i / headSize);
            double mixed = (TRAINED / wave - LOW) / (HIGH - LOW);
            double expected = 1 / (Math.min(1, Math.max(0, mixed)) * (1 - 1 / most) + 1 / most);
            if (!(Math.abs(factors[i] - expected) <= SAME * expected)) {
                return scaling;
            }
        }
        scaling.put("rope_type", "llama3");
        scaling.put("factor", (double) Math.round(most * 1e3) / 1e3);
        scaling.put("low_freq_factor", LOW);
        scaling.put("high_freq_factor", HIGH);
        scaling.put("original_max_position_embeddings", TRAINED);
        return scaling;
    }

    private static long positive(ConfigNode node) {
        if (node.number() < 1) {
            throw node.malformed("must be at least 1");
        }
        return node.number();
    }

    private static double decimal(ConfigNode node, double otherwise) {
        if (node.isNull()) {
            return otherwise;
        }
        if (!(node.raw() instanceof Number number)) {
            throw node.malformed("must be a number");
        }
        return number.doubleValue();
    }
}
