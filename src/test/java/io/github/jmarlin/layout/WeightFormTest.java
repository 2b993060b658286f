package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.plan.KernelSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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

    /** The table of the class. */
    @ParameterizedTest
    @CsvSource({"INT4, MIDDLE, GROUP, DENSE, 32, sym, '', 2048, 2, false, symmetric",
        "INT4, ZERO_POINT, GROUP, DENSE, 64, zp, '', 2048, 1, true, zero points",
        "INT4, MIDDLE, GROUP, TWO_OF_FOUR, 64, sp24, _sp24, 3072, 2, false, 2:4 sparse",
        "INT4, FLOAT_ZERO, GROUP, DENSE, 32, fz, _fz, 2048, 2, true, float zeros",
        "INT8, MIDDLE, GROUP, DENSE, 16, i8, _i8, 4096, 4, false, '8-bit, symmetric'",
        "INT8, ZERO_POINT, GROUP, DENSE, 128, i8zp, _i8, 4096, 1, true, '8-bit, zero points'",
        "INT8, FLOAT_ZERO, GROUP, DENSE, 32, i8fz, _i8, 4096, 2, true, '8-bit, float zeros'",
        "E2M1, MIDDLE, GROUP, DENSE, 32, fp4, _fp4, 2048, 2, false, fp4",
        "E2M1, MIDDLE, GROUP_AND_COLUMN, DENSE, 16, fp4, _fp4, 2048, 4, false, fp4 with column scales"})
    void everyFormDecidesBytesAndNames(WeightForm.Code code, WeightForm.Offset offset, WeightForm.ScaleSource scales,
            WeightForm.Sparsity sparsity, int groupSize, String tag, String image, int blockBytes, int scaleRows, boolean offsets, String text) {
        WeightForm form = new WeightForm(code, offset, scales, groupSize, sparsity, WeightForm.Columns.NATURAL);
        assertEquals(tag, form.tag());
        assertEquals(image, KernelSet.of(form).imageWord());
        assertEquals(blockBytes, form.blockBytes());
        assertEquals(scaleRows, form.scaleRowsPerBlock());
        assertEquals(1, form.withGroupSize(WeightForm.PER_COLUMN).scaleRowsPerBlock());
        assertEquals(offsets ? 2 : 1, form.parameterWords());
        assertEquals(offsets, form.storesOffsets());
        assertEquals(offset == WeightForm.Offset.ZERO_POINT, form.hasZeroPoints());
        assertEquals(offset == WeightForm.Offset.FLOAT_ZERO, form.hasFloatZeros());
        assertEquals(code == WeightForm.Code.INT8 ? 5 : 3, form.codeStride(5));
        assertEquals(text, form.toString());
    }

    @Test
    void partsThatDoNotGoTogetherAreRefusedByName() {
        refused("FLOAT_ZERO", () -> WeightForm.of(WeightForm.Code.E2M1, WeightForm.Offset.FLOAT_ZERO, 32));
        refused("group size 16 is of INT8 and E2M1", () -> WeightForm.int4(16, false));
        refused("INT8 with ZERO_POINT", () -> WeightForm.of(WeightForm.Code.INT8, WeightForm.Offset.ZERO_POINT, 16));
        refused("scales from GROUP_AND_COLUMN are of E2M1, not of INT4",
                () -> WeightForm.int4(32, false).withScaleSource(WeightForm.ScaleSource.GROUP_AND_COLUMN));
        refused("not INT8 in groups of 64", () -> WeightForm.of(WeightForm.Code.INT8, WeightForm.Offset.MIDDLE, 64)
                .withSparsity(WeightForm.Sparsity.TWO_OF_FOUR));
        refused("not INT4 with FLOAT_ZERO in groups of 64", () -> WeightForm.of(WeightForm.Code.INT4, WeightForm.Offset.FLOAT_ZERO, 64)
                .withSparsity(WeightForm.Sparsity.TWO_OF_FOUR));
        refused("in groups of 32", () -> WeightForm.int4(32, false).withSparsity(WeightForm.Sparsity.TWO_OF_FOUR));
    }

    private static void refused(String reason, Executable form) {
        String message = assertThrows(IllegalArgumentException.class, form).getMessage();
        assertTrue(message.contains(reason), message);
    }

    /** From the format's definition: sign, two bits of exponent with bias 1, one of mantissa. */
    @Test
    void valuesOfFloats() {
        float[] magnitudes = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
        for (int code = 0; code < 8; code++) {
            assertEquals(magnitudes[code], WeightForm.Code.E2M1.value(code));
            assertEquals(-magnitudes[code], WeightForm.Code.E2M1.value(code + 8));
        }
        assertEquals(200, WeightForm.Code.INT8.value(200));
    }

    @Test
    void groupSizesAreChecked() {
        assertTrue(assertThrows(IllegalArgumentException.class, () -> WeightForm.int4(96, false)).getMessage().contains("group size 96"));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> WeightForm.int4(128, false).withGroupSize(0)).getMessage()
                .contains("-1: one group per column"));
    }
}
