package io.github.jmarlin.llama;

import io.github.jmarlin.checkpoint.container.gguf.GgufType;
import io.github.jmarlin.checkpoint.container.gguf.GgufWriter;
import io.github.jmarlin.checkpoint.container.gguf.SlowBlocks;
import java.lang.reflect.Array;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** A little model as llama.cpp's converter writes it: its names, its order of q and k rows, any type for each tensor. */
public final class TinyGguf {
    private static final Map<String, String> NAMES = new LinkedHashMap<>();

    static {
        NAMES.put("model.embed_tokens", "token_embd");
        NAMES.put("model.norm", "output_norm");
        NAMES.put("lm_head", "output");
        NAMES.put("model.layers.", "blk.");
        NAMES.put("input_layernorm", "attn_norm");
        NAMES.put("post_attention_layernorm", "ffn_norm");
        NAMES.put("self_attn.q_proj", "attn_q");
        NAMES.put("self_attn.k_proj", "attn_k");
        NAMES.put("self_attn.v_proj", "attn_v");
        NAMES.put("self_attn.o_proj", "attn_output");
        NAMES.put("self_attn.q_norm", "attn_q_norm");
        NAMES.put("self_attn.k_norm", "attn_k_norm");
        NAMES.put("mlp.gate_proj", "ffn_gate");
        NAMES.put("mlp.up_proj", "ffn_up");
        NAMES.put("mlp.down_proj", "ffn_down");
    }

    private TinyGguf() {
    }

    /** The name that llama.cpp gives a tensor. */
    public static String name(String own) {
        String name = own;
        for (Map.Entry<String, String> entry : NAMES.entrySet()) {
            name = name.replace(entry.getKey(), entry.getValue());
        }
        return name;
    }

    /**
     * The model; {@code tiny}'s own numbers become what the file's blocks stand for.
     *
     * @param type the type of a tensor by its Hugging Face name; vectors are F32
     */
    public static GgufWriter of(TinyLlama tiny, Function<String, GgufType> type) {
        String family = tiny.config.get("model_type").replace("\"", "");
        String architecture = family.equals("mistral") ? "llama" : family;
        GgufWriter writer = new GgufWriter().string("general.architecture", architecture);
        int heads = number(tiny, "num_attention_heads");
        int keyValueHeads = number(tiny, "num_key_value_heads");
        writer.u32(architecture + ".block_count", number(tiny, "num_hidden_layers"))
                .u32(architecture + ".context_length", number(tiny, "max_position_embeddings"))
                .u32(architecture + ".embedding_length", number(tiny, "hidden_size"))
                .u32(architecture + ".feed_forward_length", number(tiny, "intermediate_size"))
                .u32(architecture + ".attention.head_count", heads).u32(architecture + ".attention.head_count_kv", keyValueHeads)
                .f32(architecture + ".attention.layer_norm_rms_epsilon", Float.parseFloat(tiny.config.get("rms_norm_eps")))
                .f32(architecture + ".rope.freq_base", Float.parseFloat(tiny.config.get("rope_theta")));
        if (tiny.config.containsKey("head_dim")) {
            writer.u32(architecture + ".attention.key_length", number(tiny, "head_dim"))
                    .u32(architecture + ".attention.value_length", number(tiny, "head_dim"));
        }
        tiny.tensors.replaceAll((name, values) -> {
            long[] shape = tiny.shape(name);
            boolean turned = architecture.equals("llama") && name.matches(".*\\.[qk]_proj\\.(weight|bias)");
            int turnedHeads = turned ? name.contains("q_proj") ? heads : keyValueHeads : 0;
            GgufType to = shape.length == 1 ? GgufType.F32 : type.apply(name);
            if (to == GgufType.F32) {
                float[] rows = turned(values, new float[values.length], (int) shape[0], turnedHeads);
                writer.tensor(name(name), rows, shape.length == 1 ? shape : new long[] {shape[1], shape[0]});
                return values;
            }
            byte[] blocks = SlowBlocks.quantized(to, values);
            byte[] rows = turned(blocks, new byte[blocks.length], (int) shape[0], turnedHeads);
            writer.tensor(name(name), to.number(), rows, shape[1], shape[0]);
            return SlowBlocks.values(to, blocks);
        });
        return writer;
    }

    private static int number(TinyLlama tiny, String key) {
        return Integer.parseInt(tiny.config.get(key));
    }

    /**
     * Rows as llama.cpp's converter turns them, {@code reshape(heads, 2, size / 2, columns).swapaxes(1, 2)}.
     *
     * @param rows an array of count rows
     * @param turned an array like it, filled
     * @param heads 0: the rows stay in their order
     */
    private static <T> T turned(T rows, T turned, int count, int heads) {
        int length = Array.getLength(rows) / count;
        if (heads == 0) {
            System.arraycopy(rows, 0, turned, 0, length * count);
            return turned;
        }
        int size = count / heads;
        int row = 0;
        for (int head = 0; head < heads; head++) {
            for (int i = 0; i < size / 2; i++) {
                for (int half = 0; half < 2; half++) {
                    System.arraycopy(rows, (head * size + half * size / 2 + i) * length, turned, row++ * length, length);
                }
            }
        }
        return turned;
    }
}
