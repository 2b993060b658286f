package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.BitWriter;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.NumberLayers;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** 8-bit integers of GPTQ and of compressed-tensors' two formats, symmetric and not, in groups and per column. */
final class EightBitFormatsTest {
    private static final String GPTQ = "{\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":%d,\"sym\":%s,\"desc_act\":%s%s}";
    private static final String TRUSTED = ",\"meta\":{\"quantizer\":[\"gptqmodel:2.0.0\"]}";
    private static final String V2 = ",\"checkpoint_format\":\"gptq_v2\"";
    private static final String COMPRESSED = "{\"quant_method\":\"compressed-tensors\",\"format\":\"%s\",\"config_groups\":{"
            + "\"group_0\":{\"targets\":[\"Linear\"],\"input_activations\":%s,\"weights\":{\"num_bits\":8,\"type\":\"int\","
            + "\"symmetric\":%s,\"strategy\":\"%s\",\"group_size\":%s}}}}";

    @TempDir
    Path folder;

    @ParameterizedTest
    @CsvSource({"128, 72, 32, true, false, false", "128, 64, 64, true, true, true", "96, 68, 32, false, true, false",
        "128, 132, 32, false, false, true", "64, 64, 64, false, true, false", "96, 64, 96, true, false, false"})
    void gptqOfBothVersions(int k, int n, int group, boolean symmetric, boolean version2, boolean actOrder) throws IOException {
        int[][] codes = BitWriter.codes(k, n, 8, k);
        int groups = k / group;
        TestModel tensors = NumberLayers.gptq(new TestModel(), "a", codes, group, actOrder,
                NumberLayers.zeros(groups, n, symmetric), version2);
        Path model = tensors.write(folder, TestModel.quantization(String.format(GPTQ, group == k ? -1 : group, symmetric, actOrder,
                version2 ? V2 : TRUSTED)));
        LayerSource source = Checkpoint.open(model).layer("a");
        SecondDecoder expected = SecondDecoder.gptq(TensorStore.open(model), "a", 8, word -> version2 ? word : word + 0x01010101);
        for (int row = 0; row < k; row++) {
            assertEquals(codes[row][n - 1], expected.code(row, n - 1));
        }
        assertEquals(actOrder && groups > 1, source.isActOrdered());
        assertEquals(!symmetric, source.hasZeroPoints());
        assertEquals(version2 ? "GPTQ v2 8-bit" : "GPTQ v1 8-bit", source.scheme());
        SecondDecoder.assertSame(expected, source);
        Products.assertWithin(symmetric ? 3e-4 : 4.5e-4, expected, source);
    }

    @Test
    void gptqWordsOfSymmetricZeroPointsSayTheirVersion() throws IOException {
        int[][] codes = BitWriter.codes(64, 64, 8, 1);
        TestModel tensors = NumberLayers.gptq(new TestModel(), "a", codes, 32, false, NumberLayers.zeros(2, 64, true), true);
        Path model = tensors.write(folder, TestModel.quantization(String.format(GPTQ, 32, true, false, "")));
        assertFalse(Checkpoint.open(model).layer("a").hasZeroPoints());
        NumberLayers.gptq(tensors, "a", codes, 32, false, NumberLayers.zeros(2, 64, false), false).write(folder,
                TestModel.quantization(String.format(GPTQ, 32, false, false, "")));
        Checkpoint untrusted = Checkpoint.open(folder);
        String message = assertThrows(UnsupportedCheckpointException.class, () -> untrusted.layer("a")).getMessage();
        assertTrue(message.contains("zero points other than 128") && message.contains("other writers lose zero points of 0"), message);
    }

    @Test
    void gptqOfTheOtherWidthIsRefused() throws IOException {
        TestModel tensors = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 1);
        Checkpoint checkpoint = Checkpoint.open(tensors.write(folder, TestModel.quantization(String.format(GPTQ, 32, true, false, ""))));
        String message = assertThrows(JMarlinException.class, () -> checkpoint.layer("a")).getMessage();
        assertTrue(message.contains("tensor a.scales") || message.contains("tensor a.qzeros"), message);
    }

    private Path write(TestModel model, String format, boolean symmetric, int group, String activations) throws IOException {
        return model.write(folder, TestModel.quantization(String.format(COMPRESSED, format, activations, symmetric,
                group < 0 ? "channel" : "group", group < 0 ? "null" : group)));
    }

    @ParameterizedTest
    @CsvSource({"true, 128, 72, 32, true", "true, 128, 131, 64, false", "true, 61, 64, -1, true", "true, 90, 67, -1, false",
        "false, 128, 72, 128, true", "false, 61, 70, -1, false", "false, 96, 65, 32, false", "false, 77, 64, -1, true"})
    void compressedTensors(boolean packed, int k, int n, int group, boolean symmetric) throws IOException {
        int[][] codes = BitWriter.codes(k, n, 8, n);
        int rows = group < 0 ? k : group;
        int[][] zeros = symmetric ? null : NumberLayers.zeros(k / rows, n, false);
        TestModel tensors = packed ? NumberLayers.packed(new TestModel(), "a", codes, k / rows, zeros)
                : NumberLayers.plain(new TestModel(), "a", codes, k / rows, zeros);
        Path model = write(tensors, packed ? "pack-quantized" : "int-quantized", symmetric, group, "null");
        TensorStore store = TensorStore.open(model);
        SecondDecoder expected = packed ? SecondDecoder.packed8(store, "a", k, rows) : SecondDecoder.plain8(store, "a", k, rows);
        for (int row = 0; row < k; row++) {
            for (int column = 0; column < n; column++) {
                assertEquals(codes[row][column], expected.code(row, column));
            }
        }
        LayerSource source = Checkpoint.open(model).layer("a");
        assertEquals(!symmetric, source.hasZeroPoints());
        SecondDecoder.assertSame(expected, source);
        Products.assertWithin(packed ? 3.5e-3 : symmetric ? 3e-4 : 4.5e-4, expected, source);
    }

    @Test
    void rowsInAnotherOrder() throws IOException {
        int[][] codes = BitWriter.codes(96, 70, 8, 11);
        int[] groupIndex = new int[96];
        for (int row = 0; row < 96; row++) {
            groupIndex[row] = (row + 1) % 3;
        }
        TestModel tensors = NumberLayers.packed(new TestModel(), "a", codes, 3, NumberLayers.zeros(3, 70, false))
                .ints("a.weight_g_idx", groupIndex, 96);
        Path model = write(tensors, "pack-quantized", false, 32, "null");
        LayerSource source = Checkpoint.open(model).layer("a");
        assertTrue(source.isActOrdered());
        SecondDecoder expected = SecondDecoder.packed8(TensorStore.open(model), "a", 96, 32);
        SecondDecoder.assertSame(expected, source);
        Products.assertWithin(3.5e-3, expected, source);
    }

    /** W8A8: the weights are what they are; zeros of symmetric bytes are none. */
    @Test
    void settingsForActivationsAndZerosOfSymmetricBytes() throws IOException {
        int[][] codes = BitWriter.codes(64, 64, 8, 2);
        int[][] middle = NumberLayers.zeros(1, 64, true);
        TestModel tensors = NumberLayers.plain(new TestModel(), "a", codes, 1, middle);
        LayerSource source = Checkpoint.open(write(tensors, "int-quantized", true, -1, "{\"num_bits\":8,\"dynamic\":true}")).layer("a");
        assertEquals("compressed-tensors int-quantized, activations as they are", source.scheme());
        assertFalse(source.hasZeroPoints());
        middle[0][63] = 127;
        Checkpoint lying = Checkpoint.open(
                write(NumberLayers.plain(new TestModel(), "a", codes, 1, middle), "int-quantized", true, -1, "null"));
        assertTrue(lying.whyNot("a").contains("symmetric is true, which leaves none"), lying.whyNot("a"));
        Checkpoint packed = Checkpoint.open(
                write(NumberLayers.packed(new TestModel(), "a", codes, 1, null), "pack-quantized", true, -1, "{}"));
        assertTrue(packed.whyNot("a").contains("activations are not quantized"), packed.whyNot("a"));
    }

    @Test
    void shapesAndTypesMustAgree() throws IOException {
        int[][] codes = BitWriter.codes(64, 64, 8, 3);
        Checkpoint words = Checkpoint.open(
                write(NumberLayers.packed(new TestModel(), "a", codes, 2, null)
                .ints("a.weight_packed", new int[64 * 8], 64, 8), "pack-quantized", true, 32, "null"));
        assertTrue(words.whyNot("a").contains("found shape [64, 8]") && words.whyNot("a").contains("[64, 16]"), words.whyNot("a"));
        Checkpoint groups = Checkpoint.open(
                write(NumberLayers.plain(new TestModel(), "a", codes, 2, null), "int-quantized", true, 64, "null"));
        assertTrue(groups.whyNot("a").contains("tensor a.weight_scale: found shape [64, 2]"), groups.whyNot("a"));
        Checkpoint zeros = Checkpoint.open(
                write(NumberLayers.plain(new TestModel(), "a", codes, 2, null)
                .ints("a.weight_zero_point", new int[128], 64, 2), "int-quantized", false, 32, "null"));
        assertTrue(zeros.whyNot("a").contains("tensor a.weight_zero_point: found dtype I32"), zeros.whyNot("a"));
        Checkpoint none = Checkpoint.open(
                write(NumberLayers.packed(new TestModel(), "a", codes, 2, null), "pack-quantized", false, 32, "null"));
        assertTrue(none.whyNot("a").contains("tensor a.weight_zero_point: found nothing"), none.whyNot("a"));
    }
}
