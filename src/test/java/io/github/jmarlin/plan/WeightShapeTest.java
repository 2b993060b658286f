package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

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

    /** Of every form, group size and some k: what the kernels are told is what the packer writes, and there is a kernel. */
    @ParameterizedTest
    @EnumSource
    void everyFormLiesAsItIsPacked(KernelSet set) {
        TreeSet<String> kinds = new TreeSet<>();
        for (WeightForm form : forms().filter(form -> KernelSet.of(form) == set).toList()) {
            for (int k : new int[] {1, 16, 64, 100, 128, 200, 640, 4096}) {
                WeightShape shape = new WeightShape(k, 130, DataType.BF16, form);
                StripedLayout layout = new StripedLayout(k, 130, form);
                assertEquals(layout.kBlocks(), shape.kBlocks(), shape.toString());
                assertEquals(layout.scaleRows(), shape.scaleRows(), shape.toString());
                assertEquals(layout.codeBytes() + form.parameterWords() * layout.scaleBytes(), shape.packedBytes(), shape.toString());
                assertTrue(set.weights().contains(shape.kind()), shape + " needs " + shape.kind());
                int row = shape.scaleRowsPerBlock() > 1 ? shape.scaleRowsPerBlock() * shape.kBlocks() - 1
                        : (int) ((long) (shape.kBlocks() - 1) >> shape.groupShift());
                assertEquals(shape.scaleRows() - 1, row, shape.toString());
                kinds.add(shape.kind());
            }
        }
        assertEquals(new TreeSet<>(set.weights()), kinds, "kernels that no weights need");
    }

    static Stream<WeightForm> forms() {
        return Stream.of(WeightForm.Code.values()).flatMap(code -> Stream.of(WeightForm.Offset.values()).flatMap(offset ->
                IntStream.of(16, 32, 64, 128, 256, -1).boxed().flatMap(group -> Stream.of(WeightForm.Sparsity.values())
                        .flatMap(sparsity -> form(code, offset, group, sparsity).stream()))));
    }

    /** Empty where the parts do not go together. */
    private static Optional<WeightForm> form(WeightForm.Code code, WeightForm.Offset offset, int group, WeightForm.Sparsity sparsity) {
        try {
            return Optional.of(WeightForm.of(code, offset, group).withSparsity(sparsity));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    @Test
    void packedBytesByHand() {
        // sparse: 2 strips x (2 blocks of 128 k x 3072 + 2 rows of 128 bytes)
        WeightForm sparse = WeightForm.int4(128, false).withSparsity(WeightForm.Sparsity.TWO_OF_FOUR);
        assertEquals(2 * (2 * 3072 + 2 * 128), new WeightShape(224, 100, DataType.FP16, sparse).packedBytes());
        assertEquals(0.3906, new WeightShape(4096, 4096, DataType.FP16, sparse).packedBytes() / 4096.0 / 4096, 1e-4);
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
