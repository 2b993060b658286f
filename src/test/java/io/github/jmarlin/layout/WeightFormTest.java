package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class WeightFormTest {
    @Test
    void int4DecidesBytesAndNames() {
        WeightForm symmetric = WeightForm.int4(128, false);
        assertEquals(StripedLayout.BLOCK_BYTES, symmetric.blockBytes());
        assertEquals(1, symmetric.parameterWords());
        assertEquals("sym", symmetric.tag());
        assertFalse(symmetric.hasZeroPoints());
        WeightForm zeroPoints = WeightForm.int4(64, true);
        assertEquals(2, zeroPoints.parameterWords());
        assertEquals("zp", zeroPoints.tag());
        assertTrue(zeroPoints.hasZeroPoints());
        assertEquals(WeightForm.int4(128, true), zeroPoints.withGroupSize(128));
    }

    @Test
    void groupSizesAreChecked() {
        assertTrue(assertThrows(IllegalArgumentException.class, () -> WeightForm.int4(96, false)).getMessage().contains("group size 96"));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> WeightForm.int4(128, false).withGroupSize(0)).getMessage()
                .contains("-1: one group per column"));
    }
}
