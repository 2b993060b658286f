package io.github.jmarlin.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class ModelShapesTest {
    /** Sizes from the models' published configurations, written out. */
    @Test
    void layersHaveThePublishedSizes() {
        assertEquals(List.of("4096x6144", "4096x4096", "4096x28672", "14336x4096"), sizes("Mistral 7B"));
        assertEquals(List.of("4096x6144", "4096x4096", "4096x28672", "14336x4096"), sizes("Llama-3.1 8B"));
        assertEquals(List.of("4096x6144", "4096x4096", "4096x24576", "12288x4096"), sizes("Qwen3 8B"));
        assertEquals(List.of("5120x10240", "8192x5120", "5120x51200", "25600x5120"), sizes("Qwen3 32B"));
        assertEquals(List.of("8192x10240", "8192x8192", "8192x57344", "28672x8192"), sizes("Llama-3.1 70B"));
        assertEquals(List.of("16384x18432", "16384x16384", "16384x106496", "53248x16384"), sizes("Llama-3.1 405B"));
    }

    @Test
    void everySizeIsListedOnce() {
        List<String> sizes = ModelShapes.distinct().stream().map(LayerShape::size).toList();
        assertEquals(sizes.stream().distinct().toList(), sizes);
        assertEquals("8192x8192", sizes.get(0));
        for (ModelShapes.Model model : ModelShapes.MODELS) {
            model.layers().forEach(layer -> assertTrue(sizes.contains(layer.size()), layer.size()));
        }
        assertEquals(2 + 4 + 2 + 4 + 3 + 4, sizes.size());
    }

    @Test
    void rejectsBadShapesAndNames() {
        assertEquals("layer x has shape 0 x 8, expected at least 1 x 1",
                assertThrows(IllegalArgumentException.class, () -> new LayerShape("x", 0, 8)).getMessage());
        assertTrue(assertThrows(IllegalArgumentException.class, () -> ModelShapes.model("GPT-2")).getMessage()
                .contains("Llama-3.1 8B"));
    }

    private static List<String> sizes(String model) {
        return ModelShapes.model(model).layers().stream().map(LayerShape::size).toList();
    }
}
