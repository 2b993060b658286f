package io.github.jmarlin.checkpoint.container;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.Fuzzing;
import com.code_intelligence.jazzer.junit.FuzzTest;
import org.junit.jupiter.api.Tag;

/** A whole safetensors file. */
@Tag("fuzz")
final class HeaderFuzzTest {
    @FuzzTest(maxDuration = Fuzzing.TIME)
    void header(byte[] file) {
        Fuzzing.documented(() -> {
            SafetensorsFile opened = SafetensorsFile.of(MappedFile.of(Fuzzing.FILE, Fuzzing.little(file)));
            long bytes = 0;
            for (Tensor tensor : opened.tensors().values()) {
                assertTrue(tensor.slice(0, (int) tensor.bytes()).capacity() == tensor.bytes());
                bytes += tensor.bytes();
            }
            assertTrue(bytes <= file.length);
        });
    }
}
