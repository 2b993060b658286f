package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The traps of the GPTQ family: zero points, versions, flags that lie, group indexes, per-layer settings. */
final class GptqFormatTest {
    private static final String V1 = "{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":32,\"sym\":%s%s}";
    private static final String TRUSTED = ",\"meta\":{\"quantizer\":[\"gptqmodel:0.9.0\"]}";

    @TempDir
    Path folder;

    private LayerSource open(TestModel model, String quantization) throws IOException {
        return Checkpoint.open(model.write(folder, TestModel.quantization(quantization))).layer("a");
    }

    private static String config(boolean symmetric, String more) {
        return String.format(V1, symmetric, more);
    }

    private <E extends JMarlinException> String refused(Class<E> type, TestModel model, String quantization) {
        return assertThrows(type, () -> open(model, quantization)).getMessage();
    }

    @Test
    void version1ZeroPointsOfZeroBorrowFromTheWholeWord() throws IOException {
        // What GPTQModel writes for zero points 0..15 in random order: the word of true zero points minus 0x11111111.
        Random random = new Random(1);
        int[] truth = random.ints(2 * 8).toArray();
        truth[0] = 0;
        truth[1] = 0x0f0f0f00;
        int[] stored = Arrays.stream(truth).map(word -> word - 0x11111111).toArray();
        LayerSource layer = open(new TestModel().gptqLayer("a", 64, 64, 32, stored, 1), config(false, TRUSTED));
        assertTrue(layer.hasZeroPoints());
        try (QuantizedMatrix matrix = layer.read()) {
            for (int group = 0; group < 2; group++) {
                for (int column = 0; column < 64; column++) {
                    int expected = truth[group * 8 + column / 8] >>> 4 * (column % 8) & 15;
                    assertEquals(expected, matrix.zeroPoint(group, column), "group " + group + ", column " + column);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void version1ZeroPointsOfOtherWritersAreRefused(boolean symmetric) {
        TestModel model = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777776, 16), 1);
        String message = refused(UnsupportedCheckpointException.class, model, config(symmetric, ""));
        assertTrue(message.contains("a.qzeros") && message.contains("gptqmodel >= 0.9.0") && message.contains("sym = "
                + symmetric),
                message);
    }

    @Test
    void version1AsymmetricWithOnlyEightsIsUnambiguous() throws IOException {
        TestModel model = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 1);
        assertFalse(open(model, config(false, "")).hasZeroPoints());
    }

    @ParameterizedTest
    @CsvSource({"gptq,0x88888888", "gptq_v2,0x77777777"})
    void symmetricWordsOfTheOtherVersionAreEights(String version, String word) throws IOException {
        TestModel model = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(Long.decode(word).intValue(), 16), 1);
        assertFalse(open(model, config(true, ",\"checkpoint_format\":\"" + version + "\"")).hasZeroPoints());
    }

    @Test
    void symmetricFlagThatTheZeroPointsContradictLosesToThem() throws IOException {
        TestModel model = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x88888883, 16), 1);
        try (QuantizedMatrix matrix = open(model, config(true, ",\"format\":\"gptq_v2\"")).read()) {
            assertEquals(3, matrix.zeroPoint(1, 8));
            assertEquals(8, matrix.zeroPoint(1, 9));
        }
    }

    @ParameterizedTest
    @CsvSource({"gptqmodel:0.9.0,true", "gptqmodel:7.3.4,true", "gptqmodel:0.10.1,true", "gptqmodel:1.0.0-dev+cu128,true",
        "gptqmodel:0.8.9,false", "autogptq:1.0.0,false", "gptqmodel:,false", "gptqmodel:1,true", "gptqmodel:0,false",
        "unknown,false",
        "gptqmodel:99999999999.0.0,false"})
    void trustedWriters(String writer, boolean trusted) {
        assertEquals(trusted, GptqFormat.isTrusted(writer));
    }

    @Test
    void partsMayLieInDifferentShards() throws IOException {
        TestModel whole = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 5);
        String quantization = config(true, "");
        int expected;
        try (QuantizedMatrix matrix = open(whole, quantization).read()) {
            expected = matrix.code(63, 63);
        }
        java.nio.file.Files.delete(folder.resolve("model.safetensors"));
        new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 5).remove("a.scales").remove("a.qzeros")
                .writeFile(folder.resolve("one.safetensors"));
        new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 5).remove("a.qweight")
                .writeFile(folder.resolve("two.safetensors"));
        java.nio.file.Files.writeString(folder.resolve("model.safetensors.index.json"), "{\"weight_map\":{"
                + "\"a.qweight\":\"one.safetensors\",\"a.scales\":\"two.safetensors\",\"a.qzeros\":\"two.safetensors\"}}");
        try (QuantizedMatrix matrix = Checkpoint.open(folder).layer("a").read()) {
            assertEquals(expected, matrix.code(63, 63));
        }
    }

    @Test
    void groupIndexesSortRows() throws IOException {
        int[] groupIndex = new int[96];
        for (int row = 0; row < 96; row++) {
            groupIndex[row] = 2 - row % 3;
        }
        TestModel model = new TestModel().gptqLayer("a", 96, 64, 32, TestModel.repeat(0x77777777, 24), 1)
                .ints("a.g_idx", groupIndex, 96);
        TestModel sorted = new TestModel().gptqLayer("a", 96, 64, 32, TestModel.repeat(0x77777777, 24), 1);
        try (QuantizedMatrix matrix = open(model, config(true, "")).read();
                QuantizedMatrix plain = open(sorted, config(true, "")).read()) {
            for (int row = 0; row < 96; row++) {
                int input = matrix.inputOrder().get(row);
                assertEquals(row / 32, groupIndex[input]);
                assertTrue(row % 32 == 0 || input > matrix.inputOrder().get(row - 1), "rows of a group keep their order");
                for (int column = 0; column < 64; column++) {
                    assertEquals(plain.code(input, column), matrix.code(row, column));
                }
            }
        }
    }

    @Test
    void monotoneGroupIndexIsNoActOrder() throws IOException {
        int[] groupIndex = new int[64];
        Arrays.fill(groupIndex, 32, 64, 1);
        TestModel model = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 1)
                .ints("a.g_idx", groupIndex, 64);
        assertFalse(open(model, config(true, ",\"desc_act\":true,\"static_groups\":true")).isActOrdered());
    }

    @Test
    void groupIndexesOutOfRangeOrOutOfBalanceAreRefused() {
        int[] groupIndex = new int[64];
        TestModel model = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 1)
                .ints("a.g_idx", groupIndex, 64);
        assertTrue(refused(UnsupportedCheckpointException.class, model, config(true, "")).contains("64 rows in group 0"));
        groupIndex[9] = 2;
        model.ints("a.g_idx", groupIndex, 64);
        assertTrue(refused(MalformedCheckpointException.class, model, config(true, "")).contains("row 9 must belong to one of"));
        groupIndex[9] = -1;
        model.ints("a.g_idx", groupIndex, 64);
        assertTrue(refused(MalformedCheckpointException.class, model, config(true, "")).contains("found -1"));
    }

    @ParameterizedTest
    @CsvSource({"-1,1,-1", "512,1,-1", "96,3,32", "160,2,32", "64,4,64"})
    void groupSizes(int fileGroupSize, int groups, int expected) throws IOException {
        int k = 256;
        TestModel model = new TestModel().gptqLayer("a", k, 64, fileGroupSize >= k ? -1 : fileGroupSize,
                TestModel.repeat(0x77777777, 8 * groups), 1);
        LayerSource layer = open(model, config(true, "").replace("\"group_size\":32", "\"group_size\":" + fileGroupSize));
        assertEquals(expected, layer.groupSize());
        Tensor scales = layer.tensors().get(2);
        try (QuantizedMatrix matrix = layer.read()) {
            for (int row = 0; row < k; row++) {
                int group = fileGroupSize < 0 ? 0 : row / fileGroupSize;
                assertEquals(scales.slice(0, (int) scales.bytes()).getShort((group * 64 + 5) * 2),
                        matrix.scaleBits(row / matrix.rowsPerGroup(), 5), "row " + row);
            }
        }
    }

    @Test
    void groupSizesThatAreNoMultipleOf32AreRefused() {
        TestModel model = new TestModel().gptqLayer("a", 64, 64, 16, TestModel.repeat(0x77777777, 32), 1);
        String message = refused(UnsupportedCheckpointException.class, model,
                config(true, "").replace("\"group_size\":32", "\"group_size\":16"));
        assertTrue(message.contains("group_size 16") && message.contains("multiple of 32"), message);
    }

    @Test
    void dynamicRulesOverrideAndSkip() throws IOException {
        String dynamic = ",\"dynamic\":{\"-:skipped\":{},\"+:b\\\\.one\":{\"group_size\":64},\"c.*\":{\"bits\":3}}";
        TestModel model = new TestModel();
        for (String name : new String[] {"a", "skipped", "c"}) {
            model.gptqLayer(name, 64, 64, 32, TestModel.repeat(0x77777777, 16), 1);
        }
        model.gptqLayer("b.one", 64, 64, 64, TestModel.repeat(0x77777777, 8), 1);
        Checkpoint checkpoint = Checkpoint.open(model.write(folder, TestModel.quantization(config(true, dynamic))));
        assertEquals(32, checkpoint.layer("a").fileGroupSize());
        assertEquals(64, checkpoint.layer("b.one").fileGroupSize());
        assertTrue(checkpoint.whyNot("c").contains("bits 3; accepted: 4 or 8 bits"), checkpoint.whyNot("c"));
        assertTrue(checkpoint.whyNot("skipped").contains("is not quantized"), checkpoint.whyNot("skipped"));
    }

    @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    @ParameterizedTest
    @ValueSource(strings = {"((a*)*)*b", "(a*a*a*a*a*a*a*a*)*b"})
    void patternsThatNeverFinishAreRefused(String pattern) throws IOException {
        String name = "a".repeat(60) + "!";
        TestModel model = new TestModel().gptqLayer(name, 64, 64, 32, TestModel.repeat(0x77777777, 16), 1);
        Checkpoint checkpoint = Checkpoint.open(model.write(folder,
                TestModel.quantization(config(true, ",\"dynamic\":{\"" + pattern + "\":{}}"))));
        assertTrue(checkpoint.whyNot(name).contains("steps"), checkpoint.whyNot(name));
    }

    @Test
    void shapesMustAgree() {
        // AutoGPTQ drops the tail of sizes that are not multiples of 32: k 200 leaves 24 words, but 200 group indexes.
        TestModel model = new TestModel().gptqLayer("a", 192, 64, 32, TestModel.repeat(0x77777777, 48), 1)
                .ints("a.g_idx", new int[200], 200);
        assertTrue(refused(MalformedCheckpointException.class, model, config(true, "")).contains("ask for [192]"));
        TestModel noScales = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 1).remove("a.scales");
        assertTrue(refused(MalformedCheckpointException.class, noScales, config(true, "")).contains("tensor a.scales"));
        TestModel badScale = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 1);
        float[] scales = new float[128];
        scales[70] = Float.NaN;
        badScale.floats("a.scales", TensorType.F16, scales, 2, 64);
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class,
                () -> open(badScale, config(true, "")).read());
        assertTrue(e.getMessage().contains("NaN; must be finite"), e.getMessage());
    }

    @ParameterizedTest
    @CsvSource({"BF16,0.01,BF16,BF16", "F32,0.5,FP16,FP16", "F32,1e30,FP32,BF16", "F32,0.0123456,FP32,FP16", "F32,1e-7,FP32,BF16",
        "F32,1.7014118E38,BF16,BF16"})
    void scaleTypes(TensorType stored, float value, DataType expected, DataType compute) throws IOException {
        float[] scales = new float[128];
        Arrays.fill(scales, value);
        TestModel model = new TestModel().gptqLayer("a", 64, 64, 32, TestModel.repeat(0x77777777, 16), 1)
                .floats("a.scales", stored, scales, 2, 64);
        LayerSource layer = open(model, config(true, ""));
        assertEquals(expected, layer.scaleType());
        assertEquals(compute, layer.computeType());
        try (QuantizedMatrix matrix = layer.read()) {
            assertEquals(stored == TensorType.F32 ? value : 0.010009766f, matrix.scale(1, 63));
        }
    }
}
