package io.github.jmarlin.cuda.decoder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DecoderShapeTest {

    private static DecoderShape shape(DataType type, int vocabulary, int hidden, int intermediate, int heads, int keyValueHeads,
            int headSize) {
        return new DecoderShape(type, vocabulary, hidden, intermediate, heads, keyValueHeads, headSize, 1e-5f);
    }

    @ParameterizedTest
    @CsvSource({
        "FP32, 100, 64, 64, 4, 2, 16, 'activations of type FP32: must be FP16 or BF16'",
        "FP16, 0, 64, 64, 4, 2, 16, 'vocabulary 0, heads 4, key/value heads 2: '",
        "FP16, 100, 64, 64, 4, 3, 16, 'vocabulary 100, heads 4, key/value heads 3: '",
        "FP16, 100, 60, 64, 4, 2, 16, 'hidden size 60: '",
        "FP16, 100, 64, 0, 4, 2, 16, 'intermediate size 0: '",
        "FP16, 100, 64, 64, 4, 2, 12, 'head size 12: the GPU kernels need a multiple of 8'",
        "BF16, 100, 64, 64, 4, 2, 264, 'head size 264: the GPU kernels take up to 256'",
        "BF16, 100, 64, 1073741824, 4, 2, 64, 'heads 4 + 2 * 2 of 64 elements, intermediate 1073741824 * 2: '"})
    void shapesThatTheKernelsDoNotTake(DataType type, int vocabulary, int hidden, int intermediate, int heads, int keyValueHeads,
            int headSize, String message) {
        IllegalArgumentException e = assertThrows(IllegalArgumentException.class,
                () -> shape(type, vocabulary, hidden, intermediate, heads, keyValueHeads, headSize));
        assertTrue(e.getMessage().startsWith(message), e.getMessage());
    }

    @Test
    void tilesAreFoursOfHeadsThatShareOne() {
        assertEquals(1, shape(DataType.FP16, 100, 64, 64, 32, 8, 128).headTiles());
        assertEquals(2, shape(DataType.FP16, 100, 64, 64, 14, 2, 64).headTiles());
        assertEquals(1, shape(DataType.FP16, 100, 64, 64, 4, 4, 64).headTiles());
    }

    /** As {@code attention.cuh} lays it out for a head of 128: 2048 + 2048 + 128 + 8 planes of 256 quads. */
    @Test
    void sharedMemoryOfAttention() {
        assertEquals(2048 + 2048 + 128 + 8 * 4096, RowKernels.attentionSharedBytes(128));
        assertEquals(16 * 80 + 2048 + 128 + 128 * 258, RowKernels.attentionSharedBytes(80));
    }
}
