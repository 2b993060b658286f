package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What config.json means, and what of it is refused by name. */
final class LlamaConfigTest {
    @TempDir
    Path folder;

    private LlamaConfig read(TinyLlama model) throws IOException {
        Files.writeString(folder.resolve("config.json"), model.json());
        return LlamaConfig.read(folder);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "llama | model_type | \"gemma2\" | key model_type: found gemma2; accepted: LlamaForCausalLM, MistralForCausalLM,",
        "llama | architectures | [\"LlamaForSequenceClassification\"] | key architectures: found [LlamaForSequenceClassification]; "
                + "accepted: LlamaForCausalLM for model_type llama",
        "llama | hidden_act | \"gelu\" | key hidden_act: found gelu; accepted: silu",
        "llama | rope_scaling | {\"rope_type\": \"yarn\", \"factor\": 4.0} | key rope_scaling.rope_type: found yarn; accepted: \"default\","
                + " \"linear\" or \"llama3\"",
        "llama | rope_scaling | {\"type\": \"dynamic\", \"factor\": 4.0} | key rope_scaling.type: found dynamic; accepted:",
        "llama | rope_parameters | {\"rope_type\": \"longrope\"} | key rope_parameters.rope_type: found longrope; accepted:",
        "llama | partial_rotary_factor | 0.5 | key partial_rotary_factor: found 0.5; accepted: 1: all of a head is turned",
        "qwen2 | layer_types | [\"full_attention\", \"linear_attention\"] | key layer_types[1]: found linear_attention; accepted:",
    })
    void refusedByName(String family, String key, String json, String message) {
        TinyLlama model = new TinyLlama(family, 1).config(key, json);
        JMarlinException e = assertThrows(UnsupportedCheckpointException.class, () -> read(model));
        assertTrue(e.getMessage().contains(message), e.getMessage());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "llama | hidden_size | null | key hidden_size: found null; must be a whole number",
        "llama | num_hidden_layers | 0 | key num_hidden_layers: found 0; must be in 1..2147483647",
        "llama | num_key_value_heads | 3 | key num_key_value_heads: found 3; must divide num_attention_heads 4",
        "mistral | num_key_value_heads | null | key num_key_value_heads: found null; must be a whole number",
        "llama | num_attention_heads | 6 | key num_attention_heads: found 6; must divide hidden_size 128 where there is no head_dim",
        "llama | head_dim | 33 | key head_dim: found 33; head size 33 must be even",
        "llama | rms_norm_eps | \"small\" | key rms_norm_eps: found small; must be a number above 0",
        "llama | rope_theta | -1 | key rope_theta: found -1; must be a number above 0",
        "llama | rope_scaling | {\"type\": \"linear\"} | key rope_scaling.factor: found null; must be a number above 0",
        "llama | rope_scaling | {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 1, "
                + "\"original_max_position_embeddings\": 32} | key rope_scaling.high_freq_factor: found 1; must be above "
                + "low_freq_factor 4.0",
        "llama | eos_token_id | [2, -3] | key eos_token_id[1]: found -3; must be a token id",
        "llama | tie_word_embeddings | 1 | key tie_word_embeddings: found 1; must be true or false",
    })
    void makesNoSense(String family, String key, String json, String message) {
        TinyLlama model = new TinyLlama(family, 1).config(key, json);
        if (key.equals("num_attention_heads")) {
            model.config("num_key_value_heads", "2");
        }
        JMarlinException e = assertThrows(MalformedCheckpointException.class, () -> read(model));
        assertTrue(e.getMessage().contains(message), e.getMessage());
    }

    @Test
    void withoutConfiguration() {
        JMarlinException e = assertThrows(MalformedCheckpointException.class, () -> LlamaConfig.read(folder));
        assertEquals(folder + ": config.json: found nothing; must be there: it says what the model computes", e.getMessage());
    }

    @Test
    void endsOfGenerationConfigurationFirst() throws IOException {
        TinyLlama model = new TinyLlama("llama", 1).config("eos_token_id", "2");
        assertEquals(Set.of(2), read(model).endIds());
        Files.writeString(folder.resolve("generation_config.json"), "{\"eos_token_id\": [7, 9]}");
        assertEquals(Set.of(7, 9), read(model).endIds());
        Files.writeString(folder.resolve("generation_config.json"), "{\"temperature\": 0.6}");
        assertEquals(Set.of(2), read(model).endIds());
        assertEquals(Set.of(), read(model.config("eos_token_id", "null")).endIds());
    }

    /** Attention to a window is attention to everything as long as everything fits the window. */
    @Test
    void positionsWithinTheWindow() throws IOException {
        assertEquals(48, read(new TinyLlama("mistral", 1).config("sliding_window", "48")).positions());
        assertEquals(64, read(new TinyLlama("mistral", 1).config("sliding_window", "null")).positions());
        assertEquals(64, read(new TinyLlama("qwen2", 1).config("sliding_window", "48")).positions());
        assertEquals(48, read(new TinyLlama("qwen2", 1).config("sliding_window", "48").config("use_sliding_window", "true")).positions());
        assertEquals(48, read(new TinyLlama("qwen3", 1).config("sliding_window", "48")
                .config("layer_types", "[\"full_attention\", \"sliding_attention\"]")).positions());
    }

    @Test
    void headsAndBiases() throws IOException {
        assertEquals(new LlamaConfig.Attention(4, 2, 32, false, false, false), read(new TinyLlama("mistral", 1)).attention());
        assertEquals(new LlamaConfig.Attention(4, 2, 32, true, false, false), read(new TinyLlama("qwen2", 1)).attention());
        assertEquals(new LlamaConfig.Attention(4, 2, 64, false, false, true), read(new TinyLlama("qwen3", 1)).attention());
        assertEquals(new LlamaConfig.Attention(4, 4, 32, true, true, false), read(new TinyLlama("llama", 1)
                .config("attention_bias", "true").config("num_key_value_heads", "null")).attention());
    }

    /** Against the formula of transformers' _compute_llama3_parameters, branch by branch, with Llama 3.1's values. */
    @Test
    void llama3Frequencies() throws IOException {
        Rotary rotary = read(new TinyLlama("llama", 1).config("head_dim", "128").config("rope_theta", "500000.0").config("rope_scaling",
                "{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
                + "\"original_max_position_embeddings\": 8192}")).rotary();
        int[] branches = new int[3];
        for (int i = 0; i < 64; i++) {
            double plain = 1 / Math.pow(500_000, i / 64.0);
            double wave = 2 * Math.PI / plain;
            double expected;
            if (wave < 8192 / 4.0) {
                expected = plain;
                branches[0]++;
            } else if (wave > 8192 / 1.0) {
                expected = plain / 8;
                branches[1]++;
            } else {
                double smooth = (8192 / wave - 1.0) / (4.0 - 1.0);
                expected = (1 - smooth) * plain / 8 + smooth * plain;
                branches[2]++;
            }
            assertEquals(expected, rotary.frequencies()[i], expected * 1e-6, "frequency " + i);
        }
        assertTrue(branches[0] > 0 && branches[1] > 0 && branches[2] > 0, "not every branch was taken");
    }

    @Test
    void newPlaceOfTheBase() throws IOException {
        float[] frequencies = read(new TinyLlama("llama", 1).config("rope_theta", "null")
                .config("rope_parameters", "{\"rope_theta\": 100.0, \"rope_type\": \"default\"}")).rotary().frequencies();
        assertEquals(16, frequencies.length);
        assertEquals(1, frequencies[0]);
        assertEquals(Math.pow(100, -2.0 / 32), frequencies[1], 1e-7);
    }
}
