package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Which matrices of a model in full precision are linear layers, and which way round they lie. The modules that a known
 * {@code model_type} declares decide; otherwise name and shape. Most weights are {@code [out][in]}; GPT-2 and its kin keep
 * {@code [in][out]} ("Conv1D"). Immutable and thread-safe.
 */
public final class Architecture {
    private static final String ATTENTION = "q_proj k_proj v_proj o_proj ";
    private static final String GATED = "gate_proj up_proj down_proj ";
    private static final String LATENT = "q_a_proj q_b_proj kv_a_proj_with_mqa kv_b_proj ";
    private static final String CONV1D = "c_attn q_attn c_proj c_fc";

    /** The last part of the names of an architecture's linear layers, per model_type. */
    private static final Map<String, Set<String>> DECLARED = declared(
            "llama mistral mistral3 ministral ministral3 qwen2 qwen3 qwen2_vl qwen2_5_vl qwen3_vl gemma gemma2 gemma3 gemma3_text "
                    + "cohere cohere2 olmo olmo2 olmo3 stablelm smollm3 granite seed_oss ernie4_5 exaone4 llama4 llama4_text gpt_oss",
            ATTENTION + GATED,
            "qwen2_moe qwen3_moe qwen3_vl_moe olmoe glm4_moe ernie4_5_moe hunyuan_v1_dense hunyuan_v1_moe", ATTENTION + GATED,
            "phi3 glm glm4", ATTENTION + GATED + "qkv_proj gate_up_proj",
            "mixtral phimoe minimax minimax_m2", ATTENTION + "w1 w2 w3",
            "deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2 glm4_moe_lite glm_moe_dsa kimi_k25", ATTENTION + GATED + LATENT + "q_proj",
            "nemotron", ATTENTION + "up_proj down_proj",
            "nemotron_h", ATTENTION + "up_proj down_proj in_proj out_proj",
            "qwen3_next qwen3_5 qwen3_5_text qwen3_5_moe qwen3_5_moe_text", 
            ATTENTION + GATED + "in_proj_qkvz in_proj_qkv in_proj_z out_proj",
            "mamba mamba2 falcon_mamba", "in_proj x_proj out_proj",
            "gpt2 imagegpt decision_transformer openai-gpt gpt_bigcode", CONV1D,
            "gpt_neo", "q_proj k_proj v_proj out_proj c_fc c_proj",
            "starcoder2", ATTENTION + "c_fc c_proj",
            "gpt_neox bloom falcon", "query_key_value dense dense_h_to_4h dense_4h_to_h",
            "gptj codegen", "q_proj k_proj v_proj qkv_proj out_proj fc_in fc_out",
            "opt bart", "q_proj k_proj v_proj out_proj fc1 fc2",
            "phi", "q_proj k_proj v_proj dense fc1 fc2",
            "mpt", "Wqkv out_proj up_proj down_proj",
            "t5 mt5 umt5", "q k v o wi wi_0 wi_1 wo");
    /** Their weights are {@code [in][out]}. */
    private static final Set<String> IN_OUT = Set.of("gpt2", "imagegpt", "decision_transformer", "openai-gpt");
    private static final Set<String> CONV1D_NAMES = Set.of(CONV1D.split(" "));
    private static final Pattern OTHER_TOWER = Pattern.compile("vision|visual|audio|multi_modal|mm_projector");
    private static final String WEIGHT = ".weight";
    /** Below this an extent of a stack is a convolution's window, not a layer's. */
    private static final int SMALLEST_EXTENT = 16;

    private final Set<String> modelTypes;
    private final Set<Long> vocabularies;

    private Architecture(Set<String> modelTypes, Set<Long> vocabularies) {
        this.modelTypes = modelTypes;
        this.vocabularies = vocabularies;
    }

    private static Map<String, Set<String>> declared(String... typesAndNames) {
        Map<String, Set<String>> table = new java.util.HashMap<>();
        for (int i = 0; i < typesAndNames.length; i += 2) {
            for (String type : typesAndNames[i].split(" ")) {
                table.put(type, new HashSet<>(List.of(typesAndNames[i + 1].trim().split(" "))));
            }
        }
        return table;
    }

    /** @param config config.json, or null */
    public static Architecture of(ConfigNode config) {
        Set<String> types = new LinkedHashSet<>();
        Set<Long> vocabularies = new HashSet<>();
        if (config != null && config.isObject()) {
            collect(config, types, vocabularies);
            config.entries().values().stream().filter(ConfigNode::isObject).forEach(section -> collect(section, types, vocabularies));
        }
        return new Architecture(types, vocabularies);
    }

    private static void collect(ConfigNode section, Set<String> types, Set<Long> vocabularies) {
        if (section.get("model_type").raw() instanceof String) {
            types.add(section.get("model_type").string());
        }
        if (section.get("vocab_size").raw() instanceof Long) {
            vocabularies.add(section.get("vocab_size").number());
        }
    }

    /** Why a tensor of at least two dimensions is not a linear layer to be quantized; null if it is one. */
    String whyNoLayer(Tensor tensor, TensorStore tensors) {
        String why = whyNoMatrix(tensor, tensors, null);
        if (why != null) {
            return why;
        }
        String layer = layer(tensor);
        if (OTHER_TOWER.matcher(layer).find()) {
            return "part of another tower than the language model";
        }
        Set<String> declaring = modelTypes.stream().filter(DECLARED::containsKey).collect(Collectors.toCollection(LinkedHashSet::new));
        if (!declaring.isEmpty()) {
            boolean declared = declaring.stream().anyMatch(type -> DECLARED.get(type).contains(lastPart(layer)));
            return declared ? null : "not among the linear layers of " + String.join(", ", declaring);
        }
        if (DenseQuantization.USUALLY_EXCLUDED.matcher(layer).find()) {
            return "a lookup table, head, norm or router by its name";
        }
        return vocabularies.contains(tensor.shape().get(0)) ? "a lookup table or head: as many rows as the vocabulary" : null;
    }

    /**
     * Why a tensor of at least two dimensions cannot be a linear layer at all.
     *
     * @param excluded layers that somebody does not want; or null
     */
    String whyNoMatrix(Tensor tensor, TensorStore tensors, Pattern excluded) {
        List<Long> shape = tensor.shape();
        int rank = shape.size();
        if (rank > 2) {
            boolean stack = rank == 3 && shape.get(1) >= SMALLEST_EXTENT && shape.get(2) >= SMALLEST_EXTENT;
            return stack ? "fused experts: a stack of " + shape.get(0) + " matrices" : "a convolution: " + rank + " dimensions";
        }
        if (!tensor.name().endsWith(WEIGHT)) {
            return "a parameter of its own, not the weight of a layer";
        }
        if (shape.get(0) <= 1 || shape.get(1) <= 1) {
            return "a single row or column";
        }
        if (excluded != null && excluded.matcher(layer(tensor)).find()) {
            return "excluded by " + excluded;
        }
        boolean undecided = isConv1dName(tensor) && isInOutByBias(tensor, tensors) == null && isInOutByType() == null
                && isInOutByOthers(tensors) == null;
        return undecided ? "[in][out] as GPT-2's Conv1D or [out][in]: neither model_type nor a bias says" : null;
    }

    /** Whether the weight is {@code [in][out]}. */
    boolean isInOut(Tensor weight, TensorStore tensors) {
        Boolean byBias = isInOutByBias(weight, tensors);
        if (byBias != null) {
            return byBias;
        }
        if (!isConv1dName(weight)) {
            return false;
        }
        Boolean byType = isInOutByType();
        return byType != null ? byType : Boolean.TRUE.equals(isInOutByOthers(tensors));
    }

    /** The bias has as many elements as there are outputs; a square matrix it does not tell about. */
    private static Boolean isInOutByBias(Tensor weight, TensorStore tensors) {
        Tensor bias = tensors.find(layer(weight) + ".bias");
        long rows = weight.shape().get(0);
        long columns = weight.shape().get(1);
        if (bias == null || bias.shape().size() != 1 || rows == columns) {
            return null;
        }
        long outputs = bias.shape().get(0);
        return outputs == rows ? Boolean.FALSE : outputs == columns ? Boolean.TRUE : null;
    }

    private Boolean isInOutByType() {
        if (modelTypes.stream().anyMatch(IN_OUT::contains)) {
            return true;
        }
        return modelTypes.stream().anyMatch(DECLARED::containsKey) ? false : null;
    }

    /** The model's other layers with such names lie the same way. */
    private static Boolean isInOutByOthers(TensorStore tensors) {
        for (Tensor other : tensors.tensors().values()) {
            if (other.shape().size() == 2 && other.name().endsWith(WEIGHT) && isConv1dName(other)) {
                Boolean told = isInOutByBias(other, tensors);
                if (told != null) {
                    return told;
                }
            }
        }
        return null;
    }

    private static boolean isConv1dName(Tensor tensor) {
        return CONV1D_NAMES.contains(lastPart(layer(tensor)));
    }

    private static String layer(Tensor tensor) {
        String name = tensor.name();
        return name.endsWith(WEIGHT) ? name.substring(0, name.length() - WEIGHT.length()) : name;
    }

    private static String lastPart(String name) {
        return name.substring(name.lastIndexOf('.') + 1);
    }
}
