package io.github.jmarlin.checkpoint.container.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every kind of block against the second decoder, bit for bit. */
final class GgufBlocksTest {
    private static final int BLOCKS = 200;

    @ParameterizedTest
    @EnumSource
    void codesScalesAndNumbersAreTheFiles(GgufBlocks blocks) {
        GgufType type = blocks.type();
        byte[] bytes = SlowBlocks.random(type, (long) BLOCKS * type.blockElements(), 0.01f, new Random(1));
        float[] values = new float[type.blockElements()];
        for (int block = 0; block < BLOCKS; block++) {
            int at = block * type.blockBytes();
            blocks.decode(bytes, at, values);
            float[] scales = new float[blocks.groups()];
            float[] minima = new float[blocks.groups()];
            blocks.parameters(bytes, at, scales, minima);
            for (int i = 0; i < type.blockElements(); i++) {
                SlowBlocks.Element expected = SlowBlocks.ofRow(type, bytes, (long) block * type.blockElements() + i);
                String where = "block " + block + ", element " + i;
                long code = blocks.octet(bytes, at, i / 8) >>> 8 * (i % 8) & 0xff;
                int moved = blocks.bits() == 8 && !blocks.hasMinimum() ? 128 - expected.middle() : 0;
                int factor = blocks == GgufBlocks.Q5_K ? 8 : 1;
                assertEquals(factor * expected.code() + moved, code, where);
                assertEquals(expected.scale() / factor, scales[i / blocks.groupSize()], where);
                assertEquals(expected.minimum(), minima[i / blocks.groupSize()], where);
                assertEquals(expected.scale() * (expected.code() - expected.middle()) + expected.minimum(), values[i], where);
            }
        }
    }
}
