package io.github.jmarlin.checkpoint.container;

import io.github.jmarlin.checkpoint.Fuzzing;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.github.jmarlin.checkpoint.format.ModelConfig;
import io.github.jmarlin.checkpoint.format.WeightFormat;
import java.util.List;
import org.junit.jupiter.api.Tag;

/** A quantization configuration, and what it says about a layer. */
@Tag("fuzz")
final class ConfigurationFuzzTest {
    @FuzzTest(maxDuration = Fuzzing.TIME)
    void configuration(byte[] json) {
        TensorStore empty = TensorStore.union(Fuzzing.FILE, List.of());
        Fuzzing.documented(() -> {
            WeightFormat format = ModelConfig.format(Json.parse(Fuzzing.FILE, "content", json), "gptq");
            Fuzzing.documented(() -> format.layer(empty, "model.layers.0.self_attn.q_proj"));
        });
    }
}
