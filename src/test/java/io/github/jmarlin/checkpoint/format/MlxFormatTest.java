package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.BitWriter;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.NumberLayers;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** MLX's files: both widths, its group sizes, settings of single layers, its 4-bit floats. */
final class MlxFormatTest {
    private static final String CONFIG = "{\"quantization\":{\"group_size\":%d,\"bits\":%d%s},"
            + "\"quantization_config\":{\"group_size\":%1$d,\"bits\":%2$d%3$s}}";

    @TempDir
    Path folder;

    private Path write(TestModel model, int group, int bits, String more) throws IOException {
        return model.write(folder, String.format(CONFIG, group, bits, more));
    }

    private String refused(TestModel model, int group, int bits, String more) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(write(model, group, bits, more));
        return assertThrows(JMarlinException.class, () -> checkpoint.layer("a").read()).getMessage();
    }

    @ParameterizedTest
    @CsvSource({"4, 64, 128, 72, BF16", "4, 32, 96, 130, F16", "4, 128, 384, 64, F32", "8, 64, 192, 100, BF16", "8, 32, 64, 64, F16",
        "8, 128, 256, 33, F32"})
    void codesScalesAndBiases(int bits, int group, int k, int n, TensorType type) throws IOException {
        int[][] codes = BitWriter.codes(k, n, bits, k + n);
        Path model = write(NumberLayers.mlx(new TestModel(), "a", codes, bits, group, type), group, bits, "");
        SecondDecoder expected = SecondDecoder.mlx(TensorStore.open(model), "a", bits, k, group);
        LayerSource source = Checkpoint.open(model).layer("a");
        for (int row = 0; row < k; row++) {
            for (int column = 0; column < n; column++) {
                assertEquals(codes[row][column], expected.code(row, column));
            }
        }
        assertEquals("MLX " + bits + "-bit", source.scheme());
        SecondDecoder.assertSame(expected, source);
        if (type != TensorType.F32) {
            Products.assertWithin(type == TensorType.F16 ? 3e-4 : 3.5e-3, expected, source);
        }
    }

    @Test
    void settingsOfSingleLayersComeFirst() throws IOException {
        int[][] eight = BitWriter.codes(128, 64, 8, 1);
        TestModel model = NumberLayers.mlx(new TestModel(), "a", BitWriter.codes(128, 64, 4, 2), 4, 64, TensorType.BF16);
        NumberLayers.mlx(model, "m.b", eight, 8, 32, TensorType.BF16);
        Path written = write(model, 64, 4, ",\"m.b\":{\"group_size\":32,\"bits\":8},\"m.c\":false");
        Checkpoint checkpoint = Checkpoint.open(written);
        assertEquals("MLX 4-bit", checkpoint.layer("a").scheme());
        assertEquals(32, checkpoint.layer("m.b").groupSize());
        SecondDecoder.assertSame(SecondDecoder.mlx(TensorStore.open(written), "m.b", 8, 128, 32), checkpoint.layer("m.b"));
    }

    /** MLX hands a layer its own object and nothing else: affine, 4 bits, groups of 64 and not the model's where a key is missing. */
    @ParameterizedTest
    @CsvSource(delimiter = ';', value = {
        "{\"group_size\":32,\"bits\":8}; 8; 32; 32; 4; ,\"mode\":\"mxfp4\"",
        "{\"group_size\":64}; 4; 64; 64; 8; ''",
        "{\"bits\":8}; 8; 64; 32; 4; ''"})
    void settingsOfSingleLayersInheritNothing(String own, int bits, int group, int groupOfAll, int bitsOfAll, String modeOfAll)
            throws IOException {
        int[][] codes = BitWriter.codes(128, 64, bits, 6);
        TestModel model = NumberLayers.mlx(new TestModel(), "a", codes, bits, group, TensorType.BF16);
        Path written = write(model, groupOfAll, bitsOfAll, modeOfAll + ",\"a\":" + own);
        LayerSource source = Checkpoint.open(written).layer("a");
        assertEquals("MLX " + bits + "-bit", source.scheme());
        SecondDecoder.assertSame(SecondDecoder.mlx(TensorStore.open(written), "a", bits, 128, group), source);
    }

    @ParameterizedTest
    @CsvSource({"mxfp4, 32, 128, 72", "nvfp4, 16, 80, 64"})
    void floatsOfFourBits(String mode, int group, int k, int n) throws IOException {
        int[][] codes = BitWriter.codes(k, n, 4, 3);
        BitWriter scales = new BitWriter((long) n * k / group);
        for (int i = 0; i < n * k / group; i++) {
            scales.put(8L * i, 8, mode.equals("mxfp4") ? 118 + i * 7 % 9 : i * 11 % 127);
        }
        TestModel model = new TestModel().add("a.weight", TensorType.U32, BitWriter.alongK(codes, 4, 4), n, k / 8)
                .add("a.scales", TensorType.U8, scales.bytes(), n, k / group);
        Path written = write(model, group, 4, ",\"mode\":\"" + mode + "\"");
        TensorStore store = TensorStore.open(written);
        LayerSource source = Checkpoint.open(written).layer("a");
        assertEquals("MLX " + mode, source.scheme());
        assertEquals(mode.equals("mxfp4") ? "E8M0, powers of two" : "E4M3", source.scales());
        SecondDecoder expected = SecondDecoder.floats(store.require("a.weight"), store.require("a.scales"), k, group, 1);
        SecondDecoder.assertSame(expected, source);
        Products.assertWithin(3e-4, expected, source);
    }

    /** A type that holds scales and biases alike, in the type that the file has. */
    @Test
    void typesOfTheNumbers() throws IOException {
        int[][] codes = BitWriter.codes(64, 64, 4, 4);
        assertEquals(DataType.BF16, Checkpoint.open(write(NumberLayers.mlx(new TestModel(), "a", codes, 4, 64, TensorType.BF16), 64, 4, ""))
                .layer("a").scaleType());
        TestModel mixed = NumberLayers.mlx(new TestModel(), "a", codes, 4, 64, TensorType.F16)
                .floats("a.biases", TensorType.BF16, new float[64], 64, 1);
        LayerSource both = Checkpoint.open(write(mixed, 64, 4, "")).layer("a");
        assertEquals(DataType.FP32, both.scaleType());
        assertEquals(DataType.FP16, both.computeType(), "bf16 would round the scales");
    }

    @Test
    void whatContradictsIsRefused() throws IOException {
        int[][] codes = BitWriter.codes(128, 64, 4, 5);
        TestModel good = NumberLayers.mlx(new TestModel(), "a", codes, 4, 64, TensorType.F16);
        assertTrue(refused(good, 64, 6, "").contains("bits 6; accepted: 4 or 8 bits"));
        assertTrue(refused(good, 64, 4, ",\"mode\":\"mxfp8\"").contains("mode \"mxfp8\""));
        assertTrue(refused(good, 64, 4, ",\"a\":false").contains("a layer that is not quantized has no U32 weight, but a has"));
        assertTrue(refused(good, 48, 4, "").contains("group_size 48"));
        String groups = refused(good, 32, 4, "");
        assertTrue(groups.contains("tensor a.scales") && groups.contains("[64, 2]") && groups.contains("[64, 4]"), groups);
        String bits = refused(good, 64, 8, "");
        assertTrue(bits.contains("[64, 2]") && bits.contains("[64, 1]"), bits);
        float[] biases = new float[128];
        biases[77] = Float.POSITIVE_INFINITY;
        String infinite = refused(NumberLayers.mlx(new TestModel(), "a", codes, 4, 64, TensorType.F16)
                .floats("a.biases", TensorType.F16, biases, 64, 2), 64, 4, "");
        assertTrue(infinite.contains("tensor a.biases") && infinite.contains("Infinity"), infinite);
        assertTrue(refused(NumberLayers.mlx(new TestModel(), "a", codes, 4, 64, TensorType.F16).remove("a.biases"), 64, 4, "")
                .contains("tensor a.biases"));
        TestModel stack = new TestModel().add("a.weight", TensorType.U32, TestModel.buffer(2 * 64 * 16 * 4), 2, 64, 16)
                .floats("a.scales", TensorType.F16, new float[256], 2, 64, 2);
        assertTrue(refused(stack, 64, 4, "").contains("a stack of 2 matrices"));
    }
}
