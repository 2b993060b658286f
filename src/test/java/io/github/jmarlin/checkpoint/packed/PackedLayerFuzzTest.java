package io.github.jmarlin.checkpoint.packed;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.github.jmarlin.checkpoint.Fuzzing;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Tag;

/** What a packed model says about a layer. */
@Tag("fuzz")
final class PackedLayerFuzzTest {
    @FuzzTest(maxDuration = Fuzzing.TIME)
    void packedLayer(byte[] json) {
        Fuzzing.documented(() -> PackedLayer.fromJson(Fuzzing.FILE, 2, "layer", new String(json, StandardCharsets.UTF_8)));
    }
}
