package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.quantize.RoundToNearest;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Not every matrix is a linear layer, and not every linear layer is [out][in]. */
final class RepositoryDenseTest {
    @TempDir
    Path folder;

    private Path model;
    private Path target;
    private TestModel tensors;

    @BeforeEach
    void paths() {
        model = folder.resolve("model");
        target = folder.resolve("packed");
        tensors = new TestModel();
    }

    /** A matrix of random fp16 numbers. */
    private float[] matrix(String name, int rows, int columns) {
        float[] values = TestMatrices.gaussian(rows * columns, name.hashCode());
        for (int i = 0; i < values.length; i++) {
            values[i] = HalfFloats.fromFp16(HalfFloats.toFp16(values[i]));
        }
        tensors.floats(name, TensorType.F16, values, rows, columns);
        return values;
    }

    private void bias(String layer, int n) {
        tensors.floats(layer + ".bias", TensorType.F16, new float[n], n);
    }

    private Cli pack() {
        Cli packed = Cli.run("pack", "--quantize", model.toString(), target.toString());
        assertEquals(0, packed.status(), packed.toString());
        Cli verified = Cli.run("verify", target.toString(), "--device", "cpu");
        assertEquals(0, verified.status(), verified.toString());
        return packed;
    }

    /** The packed layer is what rounding to the nearest makes of {@code inOut}, [in][out]. */
    private void assertLayer(String layer, float[] inOut, int k, int n) throws IOException {
        try (QuantizedMatrix expected = new RoundToNearest(128, DataType.FP16, false, true).quantize(inOut, k, n);
                QuantizedMatrix found = PackedModel.open(target).weights(layer).unpack()) {
            assertEquals(k, found.k(), layer);
            assertEquals(n, found.n(), layer);
            for (int row = 0; row < k; row++) {
                for (int column = 0; column < n; column++) {
                    assertEquals(expected.weight(row, column), found.weight(row, column), layer + " " + row + ", " + column);
                }
            }
        }
    }

    private static float[] transposed(float[] matrix, int rows, int columns) {
        float[] result = new float[matrix.length];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                result[j * rows + i] = matrix[i * columns + j];
            }
        }
        return result;
    }

    /** GPT-2 keeps [in][out] (AutoGPTQ#139): by its model_type, or by its biases where there is no configuration. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', nullValues = "none", value = {"{\"model_type\":\"gpt2\",\"vocab_size\":300}", "none",
        "{\"model_type\":\"decision_transformer\"}"})
    void gpt2(String config) throws IOException {
        matrix("wte.weight", 300, 64);
        matrix("wpe.weight", 100, 64);
        float[] attention = matrix("h.0.attn.c_attn.weight", 64, 192);
        bias("h.0.attn.c_attn", 192);
        float[] square = matrix("h.0.attn.c_proj.weight", 64, 64);
        bias("h.0.attn.c_proj", 64);
        float[] wide = matrix("h.0.mlp.c_fc.weight", 64, 256);
        bias("h.0.mlp.c_fc", 256);
        float[] narrow = matrix("h.0.mlp.c_proj.weight", 256, 64);
        bias("h.0.mlp.c_proj", 64);
        tensors.write(model, config);
        Cli packed = pack();
        assertEquals(Set.of("h.0.attn.c_attn", "h.0.attn.c_proj", "h.0.mlp.c_fc", "h.0.mlp.c_proj"),
                PackedModel.open(target).layers().keySet());
        assertLayer("h.0.attn.c_attn", attention, 64, 192);
        assertLayer("h.0.attn.c_proj", square, 64, 64);
        assertLayer("h.0.mlp.c_fc", wide, 64, 256);
        assertLayer("h.0.mlp.c_proj", narrow, 256, 64);
        assertTrue(packed.out().contains("left in full precision: wte.weight"), packed.out());
    }

    /** The same names in models that use ordinary linear layers. */
    @ParameterizedTest
    @ValueSource(strings = {"starcoder2", "gpt_bigcode", "gpt_neo"})
    void theSameNamesTheOtherWayRound(String type) throws IOException {
        float[] square = matrix("transformer.h.0.mlp.c_proj.weight", 64, 64);
        float[] wide = matrix("transformer.h.0.mlp.c_fc.weight", 256, 64);
        tensors.write(model, "{\"model_type\":\"" + type + "\"}");
        pack();
        assertLayer("transformer.h.0.mlp.c_proj", transposed(square, 64, 64), 64, 64);
        assertLayer("transformer.h.0.mlp.c_fc", transposed(wide, 256, 64), 64, 256);
    }

    @Test
    void squareAndNobodySays() throws IOException {
        float[] known = matrix("h.0.mlp.up_proj.weight", 96, 64);
        matrix("h.0.attn.c_proj.weight", 64, 64);
        bias("h.0.attn.c_proj", 64);
        tensors.write(model, null);
        Cli packed = pack();
        assertEquals(Set.of("h.0.mlp.up_proj"), PackedModel.open(target).layers().keySet());
        assertLayer("h.0.mlp.up_proj", transposed(known, 96, 64), 64, 96);
        assertTrue(packed.out().contains("h.0.attn.c_proj.weight: [in][out] as GPT-2's Conv1D or [out][in]"), packed.out());
    }

    /** Fused experts stay as they are, and that is said (lattice#878); so do routers, tables, heads and other towers. */
    @ParameterizedTest
    @CsvSource({"llama4_text, feed_forward.router, feed_forward.experts.gate_up_proj, feed_forward.shared_expert.up_proj",
        "qwen3_moe, mlp.gate, mlp.experts.gate_up_proj, mlp.shared_expert.up_proj",
        "glm4_moe, mlp.gate, mlp.experts.down_proj, mlp.shared_experts.up_proj",
        "a_model_of_next_year, mlp.router, mlp.experts.down_proj, mlp.dense_up"})
    void mixturesOfExperts(String type, String router, String experts, String dense) throws IOException {
        String block = "model.layers.0.";
        matrix("model.embed_tokens.weight", 320, 64);
        matrix("lm_head.weight", 320, 64);
        matrix("model.anything.weight", 320, 64);
        matrix("vision_tower.layers.0.q_proj.weight", 64, 64);
        matrix(block + router + ".weight", 4, 64);
        float[] weight = matrix(block + dense + ".weight", 96, 64);
        tensors.floats(block + experts, TensorType.BF16, new float[4 * 64 * 32], 4, 64, 32);
        tensors.write(model, "{\"model_type\":\"" + type + "\",\"text_config\":{\"vocab_size\":320}}");
        Cli packed = pack();
        assertEquals(Set.of(block + dense), PackedModel.open(target).layers().keySet());
        assertLayer(block + dense, transposed(weight, 96, 64), 64, 96);
        String out = packed.out();
        assertTrue(out.contains(block + experts + ": fused experts: a stack of 4 matrices"), out);
        for (String left : new String[] {"model.embed_tokens.weight", "lm_head.weight", "model.anything.weight",
            "vision_tower.layers.0.q_proj.weight", block + router + ".weight"}) {
            assertTrue(out.contains("left in full precision: " + left + ": "), left + " in " + out);
        }
        assertTrue(Cli.run("inspect", model.toString()).out().contains("fused experts"), "inspect lists it too");
    }

    @Test
    void theUsersOwnPatternDecidesInsteadOfTheRules() throws IOException {
        float[] head = matrix("lm_head.weight", 320, 64);
        matrix("model.layers.0.mlp.up_proj.weight", 96, 64);
        tensors.write(model, "{\"model_type\":\"llama\",\"vocab_size\":320}");
        assertEquals(0, Cli.run("pack", "--quantize", "--exclude", "up_proj", model.toString(), target.toString()).status());
        assertEquals(Set.of("lm_head"), PackedModel.open(target).layers().keySet());
        assertLayer("lm_head", transposed(head, 320, 64), 64, 320);
    }
}
