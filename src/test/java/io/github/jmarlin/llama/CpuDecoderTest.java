package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.cpu.CpuDevice;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

/** The decoder on the processor. */
final class CpuDecoderTest extends DecoderContract {
    private static final CpuDevice DEVICE = new CpuDevice(3);

    @AfterAll
    static void close() {
        DEVICE.close();
    }

    @Override
    Decoder decoder(LlamaModel model, int sequences, int positions) {
        return new CpuDecoder(DEVICE, model, sequences, positions);
    }

    @Override
    double denseError() {
        return 1e-5;
    }

    /** Native products are; the Java ones, where there are none, are not. */
    @Override
    boolean batchInvariant() {
        return !DEVICE.computesWith().startsWith("Java");
    }

    @Override
    boolean inPlace() {
        return true;
    }

    @Test
    void tellsEveryLayersInput() throws IOException {
        new TinyLlama("llama", 11).write(folder, TensorType.F32);
        List<String> told = new ArrayList<>();
        try (LlamaModel model = LlamaModel.open(folder, LlamaModel.Options.STORED);
                Decoder decoder = new CpuDecoder(DEVICE, model, 1, 8, (layer, activations, rows, k) -> told.add(
                        layer + " " + rows + "x" + k))) {
            decoder.logits(Step.prompt(0, 0, new int[] {1, 2, 3}, false));
        }
        assertEquals(7 * TinyLlama.LAYERS, told.size());
        assertEquals("model.layers.0.self_attn.q_proj 3x128", told.get(0));
        assertEquals("model.layers.1.mlp.down_proj 3x192", told.get(13));
    }

    @Test
    void cacheBeyondTheHeap() throws IOException {
        new TinyLlama("llama", 12).write(folder, TensorType.F32);
        try (LlamaModel model = LlamaModel.open(folder, LlamaModel.Options.STORED)) {
            JMarlinException e = assertThrows(JMarlinException.class,
                    () -> new CpuDecoder(DEVICE, model, 10_000_000, TinyLlama.POSITIONS));
            assertTrue(e.getMessage().startsWith("the key/value cache of 10000000 sequences of 64 positions takes 625000 MB"),
                    e.getMessage());
        }
    }
}
