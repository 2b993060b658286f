package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.Checkpoint;
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

    /** Four rows of a column in a word; the zero points of four columns in a word, minus one each from the whole word in version 1. */
    static TestModel gptq(TestModel model, String name, int[][] codes, int group, boolean actOrder, int[][] zeros, boolean version2) {
        int k = codes.length;
        int n = codes[0].length;
        int groups = zeros.length;
        BitWriter words = new BitWriter((long) k * n);
        for (int row = 0; row < k; row++) {
            for (int column = 0; column < n; column++) {
                words.put(((long) (row / 4) * n + column) * 32 + row % 4 * 8, 8, codes[row][column]);
            }
        }
        int[] zeroWords = new int[groups * n / 4];
        for (int i = 0; i < zeroWords.length; i++) {
            for (int j = 0; j < 4; j++) {
                zeroWords[i] |= zeros[i / (n / 4)][i % (n / 4) * 4 + j] << 8 * j;
            }
            zeroWords[i] -= version2 ? 0 : 0x01010101;
        }
        int[] groupIndex = new int[k];
        for (int row = 0; row < k; row++) {
            groupIndex[row] = actOrder ? groups - 1 - row % groups : row / group;
        }
        return model.add(name + ".qweight", TensorType.I32, words.bytes(), k / 4, n).ints(name + ".qzeros", zeroWords, groups, n / 4)
                .floats(name + ".scales", TensorType.F16, BitWriter.numbers(groups * n, 1e-4f, 2e-3f, TensorType.F16, 3), groups, n)
                .ints(name + ".g_idx", groupIndex, k);
    }

    static int[][] zeros(int groups, int n, boolean symmetric) {
        Random random = new Random(groups + n);
        int[][] zeros = new int[groups][n];
        for (int[] row : zeros) {
            for (int column = 0; column < n; column++) {
                row[column] = symmetric ? 128 : random.nextInt(256);
            }
        }
        zeros[0][0] = symmetric ? 128 : 0;
        return zeros;
    }

    @ParameterizedTest
    @CsvSource({"128, 72, 32, true, false, false", "128, 64, 64, true, true, true", "96, 68, 32, false, true, false",
        "128, 132, 32, false, false, true", "64, 64, 64, false, true, false", "96, 64, 96, true, false, false"})
    void gptqOfBothVersions(int k, int n, int group, boolean symmetric, boolean version2, boolean actOrder) throws IOException {
        int[][] codes = BitWriter.codes(k, n, 8, k);
        int groups = k / group;
        TestModel tensors = gptq(new TestModel(), "a", codes, group, actOrder, zeros(groups, n, symmetric), version2);
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
        TestModel tensors = gptq(new TestModel(), "a", codes, 32, false, zeros(2, 64, true), true);
        Path model = tensors.write(folder, TestModel.quantization(String.format(GPTQ, 32, true, false, "")));
        assertFalse(Checkpoint.open(model).layer("a").hasZeroPoints());
        gptq(tensors, "a", codes, 32, false, zeros(2, 64, false), false).write(folder,
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

    static TestModel packed(TestModel model, String name, int[][] codes, int groups, int[][] zeros) {
        int k = codes.length;
        int n = codes[0].length;
        model.add(name + ".weight_packed", TensorType.I32, BitWriter.alongK(codes, 8, 4), n, (k + 3) / 4)
                .floats(name + ".weight_scale", TensorType.BF16, BitWriter.numbers(n * groups, 1e-4f, 2e-3f, TensorType.BF16, 4), n, groups)
                .longs(name + ".weight_shape", new long[] {n, k}, 2);
        if (zeros == null) {
            return model;
        }
        BitWriter words = new BitWriter((n + 3L) / 4 * groups * 4);
        for (int group = 0; group < groups; group++) {
            for (int column = 0; column < n; column++) {
                words.put(((long) (column / 4) * groups + group) * 32 + column % 4 * 8, 8, zeros[group][column]);
            }
        }
        return model.add(name + ".weight_zero_point", TensorType.I32, words.bytes(), (n + 3) / 4, groups);
    }

    static TestModel plain(TestModel model, String name, int[][] codes, int groups, int[][] zeros) {
        int k = codes.length;
        int n = codes[0].length;
        ByteBuffer weights = TestModel.buffer(k * n);
        ByteBuffer offsets = TestModel.buffer(n * groups);
        for (int column = 0; column < n; column++) {
            for (int row = 0; row < k; row++) {
                weights.put(column * k + row, (byte) (codes[row][column] - 128));
            }
            for (int group = 0; zeros != null && group < groups; group++) {
                offsets.put(column * groups + group, (byte) (zeros[group][column] - 128));
            }
        }
        model.add(name + ".weight", TensorType.I8, weights, n, k)
                .floats(name + ".weight_scale", TensorType.F32, BitWriter.numbers(n * groups, 1e-4f, 2e-3f, TensorType.F16, 4), n, groups);
        return zeros == null ? model : model.add(name + ".weight_zero_point", TensorType.I8, offsets, n, groups);
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
        int[][] zeros = symmetric ? null : zeros(k / rows, n, false);
        TestModel tensors = packed ? packed(new TestModel(), "a", codes, k / rows, zeros) : plain(new TestModel(), "a", codes, k / rows, zeros);
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

    /** W8A8: the weights are what they are; zeros of symmetric bytes are none. */
    @Test
    void settingsForActivationsAndZerosOfSymmetricBytes() throws IOException {
        int[][] codes = BitWriter.codes(64, 64, 8, 2);
        int[][] middle = zeros(1, 64, true);
        TestModel tensors = plain(new TestModel(), "a", codes, 1, middle);
        LayerSource source = Checkpoint.open(write(tensors, "int-quantized", true, -1, "{\"num_bits\":8,\"dynamic\":true}")).layer("a");
        assertEquals("compressed-tensors int-quantized, activations as they are", source.scheme());
        assertFalse(source.hasZeroPoints());
        middle[0][63] = 127;
        Checkpoint lying = Checkpoint.open(write(plain(new TestModel(), "a", codes, 1, middle), "int-quantized", true, -1, "null"));
        assertTrue(lying.whyNot("a").contains("symmetric is true, which leaves none"), lying.whyNot("a"));
        Checkpoint packed = Checkpoint.open(write(packed(new TestModel(), "a", codes, 1, null), "pack-quantized", true, -1, "{}"));
        assertTrue(packed.whyNot("a").contains("activations are not quantized"), packed.whyNot("a"));
    }

    @Test
    void shapesAndTypesMustAgree() throws IOException {
        int[][] codes = BitWriter.codes(64, 64, 8, 3);
        Checkpoint words = Checkpoint.open(write(packed(new TestModel(), "a", codes, 2, null)
                .ints("a.weight_packed", new int[64 * 8], 64, 8), "pack-quantized", true, 32, "null"));
        assertTrue(words.whyNot("a").contains("found shape [64, 8]") && words.whyNot("a").contains("[64, 16]"), words.whyNot("a"));
        Checkpoint groups = Checkpoint.open(write(plain(new TestModel(), "a", codes, 2, null), "int-quantized", true, 64, "null"));
        assertTrue(groups.whyNot("a").contains("tensor a.weight_scale: found shape [64, 2]"), groups.whyNot("a"));
        Checkpoint zeros = Checkpoint.open(write(plain(new TestModel(), "a", codes, 2, null)
                .ints("a.weight_zero_point", new int[128], 64, 2), "int-quantized", false, 32, "null"));
        assertTrue(zeros.whyNot("a").contains("tensor a.weight_zero_point: found dtype I32"), zeros.whyNot("a"));
        Checkpoint none = Checkpoint.open(write(packed(new TestModel(), "a", codes, 2, null), "pack-quantized", false, 32, "null"));
        assertTrue(none.whyNot("a").contains("tensor a.weight_zero_point: found nothing"), none.whyNot("a"));
    }
}
