package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.BitWriter;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.NumberLayers;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.packed.ModelPacker;
import io.github.jmarlin.checkpoint.packed.PackOptions;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** MXFP4 and NVFP4 as compressed-tensors, ModelOpt and gpt-oss write them. */
final class E2m1FormatsTest {
    private static final String COMPRESSED = TestModel.quantization("{\"quant_method\":\"compressed-tensors\",\"format\":\"%s\","
            + "\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"type\":\"float\","
            + "\"symmetric\":true,\"strategy\":\"%s\",\"group_size\":%d},\"input_activations\":%s}}}");
    private static final String MODEL_OPT = "{\"producer\":{\"name\":\"modelopt\"},\"quantization\":{\"quant_algo\":\"%s\","
            + "\"group_size\":16,\"exclude_modules\":[\"lm_head\"]}}";

    @TempDir
    Path folder;

    private Path write(TestModel model, boolean nvfp4) throws IOException {
        return model.write(folder.resolve("model"), nvfp4
                ? String.format(COMPRESSED, "nvfp4-pack-quantized", "tensor_group", 16, "{\"num_bits\":4}")
                : String.format(COMPRESSED, "mxfp4-pack-quantized", "group", 32, "null"));
    }

    private static void assertWritten(int[][] codes, SecondDecoder decoder) {
        for (int row = 0; row < codes.length; row++) {
            for (int column = 0; column < codes[0].length; column++) {
                assertEquals(codes[row][column], decoder.code(row, column));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"true, 128, 72", "true, 80, 130", "false, 160, 100", "false, 32, 64"})
    void compressedTensors(boolean nvfp4, int k, int n) throws IOException {
        int[][] codes = BitWriter.codes(k, n, 4, n);
        Path model = write(NumberLayers.compressed(new TestModel(), "a", codes, nvfp4), nvfp4);
        TensorStore store = TensorStore.open(model);
        LayerSource source = Checkpoint.open(model).layer("a");
        SecondDecoder expected = SecondDecoder.floats(store.require("a.weight_packed"), store.require("a.weight_scale"), k,
                nvfp4 ? 16 : 32, nvfp4 ? 1 / NumberLayers.GLOBAL : 1);
        assertWritten(codes, expected);
        assertEquals("compressed-tensors " + (nvfp4 ? "nvfp4-pack-quantized, activations as they are" : "mxfp4-pack-quantized"),
                source.scheme());
        SecondDecoder.assertSame(expected, source);
        Products.assertWithin(3e-4, expected, source);
    }

    /** ModelOpt's factor multiplies where compressed-tensors' divides. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void modelOptNvfp4(boolean ownFile) throws IOException {
        int[][] codes = BitWriter.codes(96, 72, 4, 3);
        Path model = NumberLayers.modelOpt(new TestModel(), "a", codes).write(folder, ownFile ? "{\"model_type\":\"llama\"}"
                : TestModel.quantization("{\"quant_method\":\"modelopt\",\"quant_algo\":\"NVFP4\",\"group_size\":16,"
                + "\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"]}}}"));
        if (ownFile) {
            Files.writeString(model.resolve("hf_quant_config.json"), String.format(MODEL_OPT, "NVFP4"));
        }
        TensorStore store = TensorStore.open(model);
        LayerSource source = Checkpoint.open(model).layer("a");
        SecondDecoder expected = SecondDecoder.floats(store.require("a.weight"), store.require("a.weight_scale"), 96, 16, 0.000123f);
        assertWritten(codes, expected);
        assertEquals("ModelOpt NVFP4, input_scale not used", source.scheme());
        SecondDecoder.assertSame(expected, source);
        Products.assertWithin(3e-4, expected, source);
    }

    @Test
    void modelOptMxfp4() throws IOException {
        int[][] codes = BitWriter.codes(96, 64, 4, 4);
        Path model = new TestModel().add("a.weight", TensorType.U8, BitWriter.alongK(codes, 4, 1), 64, 48)
                .add("a.weight_scale", TensorType.U8, NumberLayers.scales(64, 3, false), 64, 3)
                .write(folder, TestModel.quantization("{\"quant_method\":\"modelopt\",\"quant_algo\":\"MXFP4\"}"));
        TensorStore store = TensorStore.open(model);
        LayerSource source = Checkpoint.open(model).layer("a");
        assertEquals("ModelOpt MXFP4", source.scheme());
        SecondDecoder.assertSame(SecondDecoder.floats(store.require("a.weight"), store.require("a.weight_scale"), 96, 32, 1), source);
    }

    @ParameterizedTest
    @ValueSource(strings = {"_", "."})
    void gptOss(String separator) throws IOException {
        int[][] codes = BitWriter.codes(96, 72, 4, 5);
        Path model = NumberLayers.blocks("mlp.up_proj", separator, codes)
                .floats("mlp.up_proj" + separator + "bias", TensorType.BF16, BitWriter.numbers(72, -1, 1, TensorType.BF16, 2), 72)
                .write(folder, TestModel.quantization("{\"quant_method\":\"mxfp4\"}"));
        TensorStore store = TensorStore.open(model);
        LayerSource source = Checkpoint.open(model).layer("mlp.up_proj");
        SecondDecoder expected = SecondDecoder.floats(store.require("mlp.up_proj" + separator + "blocks"),
                store.require("mlp.up_proj" + separator + "scales"), 96, 32, 1);
        assertWritten(codes, expected);
        SecondDecoder.assertSame(expected, source);
        try (QuantizedMatrix matrix = source.read()) {
            assertEquals(SecondDecoder.number(store.require("mlp.up_proj" + separator + "bias"), 71), matrix.bias(71));
        }
    }

    /** Exponents that fp16 cannot hold beside each other are packed for bf16; a group of zeros counts for nothing. */
    @Test
    void exponentsDecideTheType() throws IOException {
        int[][] codes = BitWriter.codes(64, 64, 4, 6);
        for (int row = 0; row < 32; row++) {
            codes[row][9] = row % 2 == 0 ? 8 : 0;
        }
        ByteBuffer near = new BitWriter(128).bytes();
        for (int i = 0; i < 128; i++) {
            near.put(i, (byte) (i % 2 == 0 ? 100 : 129));
        }
        near.put(18, (byte) 0);
        assertEquals(DataType.FP16, spread(codes, near).computeType());
        try (QuantizedMatrix matrix = spread(codes, near).read()) {
            assertEquals(0x1p-127f, matrix.scale(0, 9));
            assertEquals(0x1p2f, matrix.scale(1, 9));
            PackedWeights.pack(matrix, DataType.FP16).close();
        }
        near.put(5, (byte) 130);
        assertEquals(DataType.BF16, spread(codes, near).computeType());
        refusedBeforeAnythingIsWritten();
        near.put(5, (byte) 129).put(4, (byte) 0);
        assertEquals(DataType.BF16, spread(codes, near).computeType(), "a group of other codes has the scale that it has");
    }

    private void refusedBeforeAnythingIsWritten() throws IOException {
        Checkpoint checkpoint = Checkpoint.open(folder.resolve("model"));
        PackOptions fp16 = new PackOptions(DataType.FP16, DenseQuantization.DEFAULT, false, false, 1, false, bytes -> { });
        JMarlinException e = assertThrows(JMarlinException.class, () -> new ModelPacker(checkpoint, folder.resolve("packed"), fp16));
        assertTrue(e.getMessage().contains("spread wider than FP16 holds beside each other; leave the compute type to the layers, which is "
                + "BF16 here"), e.getMessage());
    }

    private LayerSource spread(int[][] codes, ByteBuffer exponents) throws IOException {
        TestModel model = NumberLayers.compressed(new TestModel(), "a", codes, false)
                .add("a.weight_scale", TensorType.U8, exponents, 64, 2);
        return Checkpoint.open(write(model, false)).layer("a");
    }

    private String refused(TestModel model, boolean nvfp4) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(write(model, nvfp4));
        return assertThrows(MalformedCheckpointException.class, () -> checkpoint.layer("a").read()).getMessage();
    }

    @Test
    void illegalNumbersAreRefusedWhereTheyStand() throws IOException {
        int[][] codes = BitWriter.codes(64, 64, 4, 7);
        ByteBuffer e4m3 = NumberLayers.scales(64, 4, true).put(4 * 9 + 2, (byte) 0xff);
        String message = refused(NumberLayers.compressed(new TestModel(), "a", codes, true)
                .add("a.weight_scale", TensorType.F8_E4M3, e4m3, 64, 4), true);
        assertTrue(message.contains("tensor a.weight_scale, file offset") && message.contains("E4M3 0xff (NaN)"), message);
        ByteBuffer e8m0 = NumberLayers.scales(64, 2, false).put(2 * 63 + 1, (byte) 255);
        message = refused(NumberLayers.compressed(new TestModel(), "a", codes, false)
                .add("a.weight_scale", TensorType.U8, e8m0, 64, 2), false);
        assertTrue(message.contains("tensor a.weight_scale, file offset") && message.contains("E8M0 0xff (NaN)"), message);
        for (float factor : new float[] {0, 1e-42f, Float.NaN, Float.POSITIVE_INFINITY}) {
            message = refused(NumberLayers.compressed(new TestModel(), "a", codes, true)
                    .floats("a.weight_global_scale", TensorType.F32, new float[] {factor}, 1), true);
            assertTrue(message.contains("tensor a.weight_global_scale") && message.contains("found " + factor), message);
        }
    }

    @Test
    void shapesMustAgree() throws IOException {
        int[][] codes = BitWriter.codes(64, 64, 4, 8);
        String message = refused(NumberLayers.compressed(new TestModel(), "a", codes, true)
                .add("a.weight_scale", TensorType.F8_E4M3, NumberLayers.scales(64, 2, true), 64, 2), true);
        assertTrue(message.contains("tensor a.weight_scale: found shape [64, 2]") && message.contains("[64, 4]"), message);
        message = refused(NumberLayers.compressed(new TestModel(), "a", codes, false)
                .add("a.weight_packed", TensorType.U8, TestModel.buffer(64 * 24), 64, 24), false);
        assertTrue(message.contains("tensor a.weight_packed") && message.contains("k 48") && message.contains("group size 32"), message);
        message = refused(NumberLayers.compressed(new TestModel(), "a", codes, true)
                .floats("a.weight_global_scale", TensorType.F32, new float[] {1, 2}, 2), true);
        assertTrue(message.contains("shape [2]; must be one number"), message);
        assertTrue(refused(NumberLayers.compressed(new TestModel(), "a", codes, true).remove("a.weight_global_scale"), true)
                .contains("tensor a.weight_global_scale"));
    }

    @Test
    void whatTheFormatsDoNotHaveIsRefused() throws IOException {
        int[][] codes = BitWriter.codes(64, 64, 4, 9);
        Path model = write(NumberLayers.compressed(new TestModel(), "a", codes, true), true);
        Path config = model.resolve("config.json");
        String good = Files.readString(config);
        for (String[] change : new String[][] {{"\"num_bits\":4,\"type\"", "\"num_bits\":8,\"type\"", "num_bits 4 and type"},
            {"\"symmetric\":true", "\"symmetric\":false", "symmetric: found false"},
            {"\"format\":\"nvfp4-pack-quantized\"", "\"format\":\"mixed-precision\"", "found mixed-precision"}}) {
            Files.writeString(config, good.replace(change[0], change[1]));
            Checkpoint checkpoint = Checkpoint.open(model);
            String message = assertThrows(JMarlinException.class, () -> checkpoint.layer("a")).getMessage();
            assertTrue(message.contains(change[2]), message);
        }
        TestModel smoothed = NumberLayers.modelOpt(new TestModel(), "a", codes)
                .floats("a.pre_quant_scale", TensorType.F16, new float[64], 64);
        Checkpoint awq = Checkpoint.open(smoothed.write(folder.resolve("awq"),
                TestModel.quantization("{\"quant_method\":\"modelopt\",\"quant_algo\":\"NVFP4_AWQ\"}")));
        assertTrue(awq.whyNot("a").contains("a factor for each input of the layer"), awq.whyNot("a"));
        TestModel stack = new TestModel().add("e.up_proj_blocks", TensorType.U8, TestModel.buffer(4 * 64 * 2 * 16), 4, 64, 2, 16)
                .add("e.up_proj_scales", TensorType.U8, TestModel.buffer(4 * 64 * 2), 4, 64, 2);
        Checkpoint experts = Checkpoint.open(stack.write(folder.resolve("e"), TestModel.quantization("{\"quant_method\":\"mxfp4\"}")));
        assertTrue(experts.whyNot("e.up_proj").contains("a stack of 4 matrices"), experts.whyNot("e.up_proj"));
        assertTrue(experts.survey().unclaimed().isEmpty(), "the scales belong to the refused layer");
    }
}
