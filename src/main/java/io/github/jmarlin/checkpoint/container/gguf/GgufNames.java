package io.github.jmarlin.checkpoint.container.gguf;

import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Names of GGUF tensors in Hugging Face's words, for the architectures whose whole meaning is known here: blocks of attention and a
 * gated feed-forward layer, pre-norm, rotary embedding. Others keep their own names, and nothing of theirs is turned round.
 */
final class GgufNames {
    private static final Set<String> KNOWN = Set.of("llama", "qwen2", "qwen3");
    private static final Map<String, String> OUTER = Map.of("token_embd", "model.embed_tokens", "output_norm", "model.norm",
            "output", "lm_head");
    private static final Map<String, String> INNER = Map.ofEntries(Map.entry("attn_norm", "input_layernorm"),
            Map.entry("attn_q", "self_attn.q_proj"), Map.entry("attn_k", "self_attn.k_proj"), Map.entry("attn_v", "self_attn.v_proj"),
            Map.entry("attn_output", "self_attn.o_proj"), Map.entry("attn_q_norm", "self_attn.q_norm"),
            Map.entry("attn_k_norm", "self_attn.k_norm"), Map.entry("ffn_norm", "post_attention_layernorm"),
            Map.entry("ffn_gate", "mlp.gate_proj"), Map.entry("ffn_up", "mlp.up_proj"), Map.entry("ffn_down", "mlp.down_proj"));
    private static final Pattern BLOCK = Pattern.compile("blk\\.(\\d{1,9})\\.(\\w+)\\.(weight|bias)");
    private static final Pattern OUTSIDE = Pattern.compile("(\\w+)\\.(weight|bias)");

    private GgufNames() {
    }

    /** Whether an architecture's names, and all else about it, are known. */
    static boolean know(String architecture) {
        return KNOWN.contains(architecture);
    }

    /** The name in Hugging Face's words, or the same one if there is none. */
    static String translated(String name) {
        Matcher block = BLOCK.matcher(name);
        if (block.matches() && INNER.containsKey(block.group(2))) {
            return "model.layers." + Integer.parseInt(block.group(1)) + "." + INNER.get(block.group(2)) + "." + block.group(3);
        }
        Matcher outside = OUTSIDE.matcher(name);
        return outside.matches() && OUTER.containsKey(outside.group(1)) ? OUTER.get(outside.group(1)) + "." + outside.group(2) : name;
    }
}
