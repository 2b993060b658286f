package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WeightShapeTest {

    @ParameterizedTest
    @CsvSource({
        // k, group, scale rows, shift
        "4096, -1, 1, 31",
        "4096, 64, 64, 0",
        "4096, 128, 32, 1",
        "4096, 256, 16, 2",
        "4096, 32, 128, 0",
        "224, 128, 2, 1",
        "200, 64, 4, 0",
        "100, 128, 1, 31",
        "128, 128, 1, 31",
        "320, 256, 2, 2",
        "100, 32, 4, 0",
        "30, 32, 1, 31"})
    void scaleRowsAndShift(int k, int group, int rows, int shift) {
        WeightShape shape = new WeightShape(k, 64, group, DataType.FP16, false);
        assertEquals(rows, shape.scaleRows());
        assertEquals(shift, shape.groupShift());
    }

    @Test
    void theLastBlockFindsItsScaleRow() {
        for (int group : new int[] {64, 128, 256, -1}) {
            for (int k = 1; k < 2000; k += 7) {
                WeightShape shape = new WeightShape(k, 64, group, DataType.FP16, false);
                int row = (int) ((long) (shape.kBlocks() - 1) >> shape.groupShift());
                assertEquals(shape.scaleRows() - 1, row, shape.toString());
            }
        }
    }

    @Test
    void packedBytesByHand() {
        // 2 strips x (4 blocks x 2048 + 2 rows x 128)
        assertEquals(2 * (4 * 2048 + 2 * 128), new WeightShape(224, 100, 128, DataType.FP16, false).packedBytes());
        assertEquals(2 * (4 * 2048 + 4 * 128), new WeightShape(224, 100, 128, DataType.FP16, true).packedBytes());
        // beyond 2^31
        assertEquals(2048L * 2048 * 2048 + 2048L * 128, new WeightShape(131072, 131072, -1, DataType.FP16, false).packedBytes());
    }

    @Test
    void refusesWithTheValues() {
        refused("0 x 64", () -> new WeightShape(0, 64, -1, DataType.FP16, false));
        refused("64 x -1", () -> new WeightShape(64, -1, -1, DataType.FP16, false));
        refused(Integer.toString(Integer.MAX_VALUE), () -> new WeightShape(Integer.MAX_VALUE, 64, -1, DataType.FP16, false));
        refused("group size 96", () -> new WeightShape(64, 64, 96, DataType.FP16, false));
        refused("group size 0", () -> new WeightShape(64, 64, 0, DataType.FP16, false));
        refused("FP32", () -> new WeightShape(64, 64, 64, DataType.FP32, false));
    }

    private static void refused(String value, Runnable call) {
        String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
        assertTrue(message.contains(value), message);
    }
}
