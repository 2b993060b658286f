package io.github.jmarlin.llama;

import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * A model's shape and what its blocks compute, as config.json says; defaults are those of the transformers library. Immutable.
 *
 * @param modelType llama, mistral, qwen2 or qwen3
 * @param vocabulary rows of the embedding, and logits of a row
 * @param hidden elements of the residual stream
 * @param intermediate elements between up and down
 * @param layers blocks
 * @param attention the heads
 * @param feedForwardBias gate, up and down must have biases
 * @param epsilon what RMSNorm adds to the mean square
 * @param rotary how positions turn queries and keys
 * @param positions the most positions of a sequence: what the model was made for, or fewer where it would need a sliding window
 * @param tied the head is the embedding
 * @param endIds tokens that end a sequence; may be empty
 */
public record LlamaConfig(String modelType, int vocabulary, int hidden, int intermediate, int layers, Attention attention,
        boolean feedForwardBias, float epsilon, Rotary rotary, int positions, boolean tied, Set<Integer> endIds) {
    private static final Map<String, String> ARCHITECTURES = Map.of("llama", "LlamaForCausalLM", "mistral", "MistralForCausalLM",
            "qwen2", "Qwen2ForCausalLM", "qwen3", "Qwen3ForCausalLM");
    private static final String ACCEPTED = "LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM";

    /**
     * The heads of a block.
     *
     * @param heads query heads, a multiple of the key/value heads: consecutive ones share one
     * @param keyValueHeads heads of keys and of values
     * @param headSize elements of a head, even
     * @param inputBias q, k and v must have biases
     * @param outputBias o must have a bias
     * @param headNorm queries and keys go through an RMSNorm over each head (before the rotation)
     */
    public record Attention(int heads, int keyValueHeads, int headSize, boolean inputBias, boolean outputBias, boolean headNorm) {
        /** Elements of all query heads. */
        public int queries() {
            return heads * headSize;
        }

        /** Elements of all key heads, and of all value heads. */
        public int keys() {
            return keyValueHeads * headSize;
        }
    }

    /**
     * Reads config.json, and generation_config.json for the tokens that end a sequence.
     *
     * @throws UnsupportedCheckpointException if the model is another architecture or does something that this decoder does not
     * @throws MalformedCheckpointException if config.json is missing, or a value is missing or makes no sense
     */
    public static LlamaConfig read(Path folder) throws IOException {
        return read(folder, name -> Files.exists(folder.resolve(name)) ? Json.read(folder.resolve(name)) : null);
    }

    /** As {@link #read(Path)}, of a model in a folder or a file. */
    static LlamaConfig read(Checkpoint checkpoint) throws IOException {
        return read(checkpoint.folder(), checkpoint::document);
    }

    /** Where a model's JSON documents are. */
    private interface Documents {
        /** The one of that name, or null. */
        ConfigNode find(String name) throws IOException;
    }

    private static LlamaConfig read(Path model, Documents documents) throws IOException {
        ConfigNode config = documents.find("config.json");
        if (config == null) {
            throw new MalformedCheckpointException(model, "config.json", "nothing", "must be there: it says what the model computes"
                    + (Files.isRegularFile(model) ? "; it is made for the architectures llama, qwen2 and qwen3" : ""));
        }
        return of(config, documents.find("generation_config.json"));
    }

    /**
     * As {@link #read}.
     *
     * @param generation generation_config.json, or null
     */
    static LlamaConfig of(ConfigNode config, ConfigNode generation) {
        String type = modelType(config);
        refuseOther(config.get("hidden_act"), "silu");
        int hidden = Numbers.count(config.get("hidden_size"));
        Attention attention = attention(config, type, hidden);
        return new LlamaConfig(type, Numbers.count(config.get("vocab_size")), hidden, Numbers.count(config.get("intermediate_size")),
                Numbers.count(config.get("num_hidden_layers")), attention,
                type.equals("llama") && config.get("mlp_bias").bool(false), (float) Numbers.positive(config.get("rms_norm_eps"), 1e-6),
                Rotary.of(config, attention.headSize()), positions(config, type),
                config.get("tie_word_embeddings").bool(false), endIds(config, generation));
    }

    private static String modelType(ConfigNode config) {
        List<String> named = config.get("architectures").strings();
        ConfigNode type = config.get("model_type");
        if (type.isNull() || !ARCHITECTURES.containsKey(type.string())) {
            throw (type.isNull() && !named.isEmpty() ? config.get("architectures") : type).unsupported(ACCEPTED);
        }
        if (!named.isEmpty() && !named.contains(ARCHITECTURES.get(type.string()))) {
            throw config.get("architectures").unsupported(ARCHITECTURES.get(type.string()) + " for model_type " + type.string());
        }
        return type.string();
    }

    private static void refuseOther(ConfigNode node, String accepted) {
        if (!node.string(accepted).equals(accepted)) {
            throw node.unsupported(accepted);
        }
    }

    private static Attention attention(ConfigNode config, String type, int hidden) {
        int heads = Numbers.count(config.get("num_attention_heads"));
        ConfigNode keyValueHeads = config.get("num_key_value_heads");
        int shared = type.equals("llama") ? Numbers.count(keyValueHeads, heads) : Numbers.count(keyValueHeads);
        if (heads % shared != 0) {
            throw keyValueHeads.malformed("must divide num_attention_heads " + heads);
        }
        ConfigNode size = config.get("head_dim");
        if (size.isNull() && !type.equals("qwen3") && hidden % heads != 0) {
            throw config.get("num_attention_heads").malformed("must divide hidden_size " + hidden + " where there is no head_dim");
        }
        int headSize = Numbers.count(size, type.equals("qwen3") ? 128 : hidden / heads);
        if (headSize % 2 != 0 || (long) heads * headSize > Integer.MAX_VALUE) {
            throw size.malformed("head size " + headSize + " must be even, and all " + heads + " heads at most 2^31 elements");
        }
        boolean bias = !type.equals("mistral") && config.get("attention_bias").bool(false);
        return new Attention(heads, shared, headSize, bias || type.equals("qwen2"), bias && !type.equals("qwen2"),
                type.equals("qwen3"));
    }

    /** As far as the window reaches, attention to the window is attention to everything. */
    private static int positions(ConfigNode config, String type) {
        int positions = Numbers.count(config.get("max_position_embeddings"));
        ConfigNode window = config.get("sliding_window");
        boolean used = type.equals("mistral") || config.get("use_sliding_window").bool(false);
        ConfigNode types = config.get("layer_types");
        if (!types.isNull()) {
            for (ConfigNode layer : types.items()) {
                if (!layer.string().equals("full_attention") && !layer.string().equals("sliding_attention")) {
                    throw layer.unsupported("\"full_attention\" or \"sliding_attention\"");
                }
            }
            used = types.strings().contains("sliding_attention");
        }
        return used && !window.isNull() ? Math.min(positions, Numbers.count(window)) : positions;
    }

    private static Set<Integer> endIds(ConfigNode config, ConfigNode generation) {
        ConfigNode ids = generation == null ? config.get("eos_token_id") : generation.get("eos_token_id");
        if (ids.isNull()) {
            ids = config.get("eos_token_id");
        }
        Set<Integer> ends = new TreeSet<>();
        for (ConfigNode id : ids.isNull() ? List.<ConfigNode>of() : ids.isList() ? ids.items() : List.of(ids)) {
            if (id.number() < 0 || id.number() > Integer.MAX_VALUE) {
                throw id.malformed("must be a token id");
            }
            ends.add((int) id.number());
        }
        return Set.copyOf(ends);
    }
}
