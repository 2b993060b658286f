package io.github.jmarlin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.testing.TestMatrices;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuantizedMatrixTest {
    @Test
    void holdsWhatWasSet() {
        var builder = QuantizedMatrix.builder(65, 3, 64, DataType.BF16).withZeroPoints().withBias();
        builder.setCode(64, 1, 15).setCode(64, 2, 9).setScale(1, 1, 0.5f).setZeroPoint(1, 1, 16).setBias(1, -2);
        builder.setCodes(0, new byte[] {1, 2, 3});
        try (QuantizedMatrix matrix = builder.build()) {
            assertEquals(15, matrix.code(64, 1));
            assertEquals(9, matrix.code(64, 2));
            assertEquals(0, matrix.code(63, 1));
            assertEquals(3, matrix.code(0, 2));
            assertEquals(0x21, matrix.codes().getByte(0));
            assertEquals(0x3f00, matrix.scaleBits(1, 1));
            assertEquals(-0.5f, matrix.weight(64, 1));
            assertEquals(16, matrix.zeroPoint(1, 1));
            assertEquals(-2, matrix.bias(1));
            assertEquals(2, matrix.groups());
        }
    }

    @Test
    void symmetricMeansEight() {
        try (QuantizedMatrix matrix = QuantizedMatrix.builder(2, 1, -1, DataType.FP16).setCode(1, 0, 15).setScale(0, 0, 2).build()) {
            assertFalse(matrix.hasZeroPoints());
            assertEquals(8, matrix.zeroPoint(0, 0));
            assertEquals(-16, matrix.weight(0, 0));
            assertEquals(14, matrix.weight(1, 0));
        }
    }

    @ParameterizedTest
    @CsvSource({"224, 128, 2, 128", "128, 256, 1, 128", "128, 128, 1, 128", "4096, -1, 1, 4096", "33, 32, 2, 32", "1, 32, 1, 1"})
    void lastGroupMayBePartialAndOneGroupMayBeAll(int k, int groupSize, int groups, int rowsPerGroup) {
        StripedLayout layout = new StripedLayout(k, 5, groupSize);
        assertEquals(groups, layout.groups());
        assertEquals(rowsPerGroup, layout.rowsPerGroup());
    }

    @Test
    void badInputIsRejectedWithValuesAndRule() {
        rejects(() -> QuantizedMatrix.builder(0, 5, 32, DataType.FP16), "k 0", "1..");
        rejects(() -> QuantizedMatrix.builder(5, -3, 32, DataType.FP16), "n -3");
        rejects(() -> QuantizedMatrix.builder(Integer.MAX_VALUE, 5, 32, DataType.FP16), "k 2147483647");
        rejects(() -> QuantizedMatrix.builder(5, 5, 48, DataType.FP16), "group size 48", "[-1, 16, 32, 64, 128, 256]");
        rejects(() -> QuantizedMatrix.builder(5, 5, 0, DataType.FP16), "group size 0");
        rejects(() -> QuantizedMatrix.builder(1, 1, -1, null), "scale type null");
        var builder = QuantizedMatrix.builder(40, 5, 32, DataType.FP16).withZeroPoints().withBias();
        rejects(() -> builder.setCode(3, 4, 16), "code 16", "row 3", "column 4", "0..15");
        rejects(() -> builder.setCode(3, 4, -1), "code -1");
        rejects(() -> builder.setCodes(3, new byte[] {0, 0, 77, 0, 0}), "code 77", "row 3", "column 2");
        rejects(() -> builder.setCodes(3, new byte[4]), "4 codes", "5 columns");
        rejects(() -> builder.setScale(1, 2, Float.NaN), "scale NaN", "group 1", "column 2", "FP16");
        rejects(() -> builder.setScale(1, 2, Float.NEGATIVE_INFINITY), "scale -Infinity");
        rejects(() -> builder.setScale(1, 2, 65520), "scale 65520.0", "finite FP16");
        rejects(() -> builder.setZeroPoint(0, 1, 17), "zero point 17", "group 0", "column 1", "0..16");
        assertThrows(IndexOutOfBoundsException.class, () -> builder.setCode(40, 0, 1));
        assertThrows(IndexOutOfBoundsException.class, () -> builder.setScale(2, 0, 1));
    }

    /** What is written straight into the memory is checked by build. */
    @Test
    void buildChecksRawContent() {
        var scales = QuantizedMatrix.builder(40, 5, 32, DataType.FP16);
        scales.scales().putShort(2 * (5 + 3), (short) 0x7c00);
        rejects(scales::build, "scale Infinity", "group 1", "column 3");
        var nan = QuantizedMatrix.builder(40, 5, 32, DataType.BF16).setScaleBits(0, 4, (short) 0x7fc0);
        rejects(nan::build, "scale NaN", "group 0", "column 4", "BF16");
        var zeroPoints = QuantizedMatrix.builder(40, 5, 32, DataType.FP16).withZeroPoints();
        zeroPoints.zeroPoints().putByte(7, (byte) 200);
        rejects(zeroPoints::build, "zero point 200", "group 1", "column 2");
        rejects(QuantizedMatrix.builder(40, 2, 32, DataType.FP16).setBias(new float[] {1, Float.NaN})::build, "bias NaN", "column 1");
    }

    @Test
    void misuseOfTheBuilderIsNamed() {
        var builder = QuantizedMatrix.builder(4, 4, 32, DataType.FP16);
        assertTrue(assertThrows(IllegalStateException.class, () -> builder.setZeroPoint(0, 0, 3)).getMessage()
                .contains("withZeroPoints"));
        assertTrue(assertThrows(IllegalStateException.class, () -> builder.setBias(0, 3)).getMessage().contains("withBias"));
        builder.build().close();
        assertTrue(assertThrows(IllegalStateException.class, builder::build).getMessage().contains("twice"));
    }

    @Test
    void packedRegionsMustHaveTheirSizes() {
        StripedLayout layout = new StripedLayout(100, 70, 32);
        try (QuantizedMatrix matrix = TestMatrices.random(100, 70, 32, DataType.FP16, true, true, 1);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16); NativeMemory wrong = NativeMemory.allocate(9, 1)) {
            assertEquals(8192, layout.codeBytes());
            rejects(() -> PackedWeights.of(layout, DataType.FP16, wrong, packed.scales(), null, packed.factors(), null),
                    "codes of 9 bytes", "8192", "k 100, n 70, group size 32");
            rejects(() -> PackedWeights.of(packed.layout(), DataType.FP16, packed.codes(), packed.scales(), wrong, packed.factors(), null),
                    "zeros of 9 bytes", "1024");
            rejects(() -> PackedWeights.of(layout, DataType.FP16, packed.codes(), packed.scales(), wrong, packed.factors(), null),
                    "zeros of 9 bytes", "symmetric");
            rejects(() -> PackedWeights.of(packed.layout(), DataType.FP16, packed.codes(), packed.scales(), null, packed.factors(), null),
                    "zeros null", "zero points");
            rejects(() -> PackedWeights.of(layout, DataType.FP32, packed.codes(), packed.scales(), null, packed.factors(), null),
                    "compute type FP32");
        }
    }

    private static void rejects(Executable call, String... parts) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), "\"" + part + "\" is not in: " + message);
        }
    }
}
