package io.github.jmarlin.checkpoint.container;

import io.github.jmarlin.checkpoint.Fuzzing;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.github.jmarlin.checkpoint.format.ModelConfig;
import io.github.jmarlin.checkpoint.format.QuantizationConfig;
import io.github.jmarlin.checkpoint.format.WeightFormat;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Tag;

/** A quantization configuration, and what it says about a layer. */
@Tag("fuzz")
final class ConfigurationFuzzTest {
    @FuzzTest(maxDuration = Fuzzing.TIME)
    void configuration(byte[] json) {
        TensorStore empty = TensorStore.union(Fuzzing.FILE, List.of());
        Fuzzing.documented(() -> {
            WeightFormat format = ModelConfig.format(
                    QuantizationConfig.of(Json.parseLenient(Fuzzing.FILE, "content", json), "gptq"), empty);
            Fuzzing.documented(() -> format.layer(empty, "model.layers.0.self_attn.q_proj"));
        });
        Fuzzing.documented(() -> wholeFile(json, empty));
    }

    /** The same as config.json: our keys may stand anywhere in it. */
    private static void wholeFile(byte[] json, TensorStore tensors) {
        try {
            ModelConfig.of(Fuzzing.FILE, Json.parseLenient(Fuzzing.FILE, "content", json), tensors);
        } catch (IOException e) {
            throw new AssertionError("no file is read", e);
        }
    }
}
