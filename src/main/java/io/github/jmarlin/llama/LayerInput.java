package io.github.jmarlin.llama;

import java.util.List;
import java.util.stream.Stream;

/** What linear layers of a block read: some read the same. */
enum LayerInput {
    ATTENTION("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    HEADS("self_attn.o_proj"),
    FEED_FORWARD("mlp.gate_proj", "mlp.up_proj"),
    GATED("mlp.down_proj");

    private final String[] readers;

    LayerInput(String... readers) {
        this.readers = readers;
    }

    /** The names of the layers of a block that read it, as checkpoints have them. */
    List<String> layers(int block) {
        return Stream.of(readers).map(reader -> "model.layers." + block + "." + reader).toList();
    }

    /** Its elements. */
    int k(LlamaConfig config) {
        return switch (this) {
            case ATTENTION, FEED_FORWARD -> config.hidden();
            case HEADS -> config.attention().queries();
            case GATED -> config.intermediate();
        };
    }
}
