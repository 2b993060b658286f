package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.BitWriter;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.NumberLayers;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Models of 8-bit integers and 4-bit floats from the folder to the product: inspect, pack with gate and up in turn, verify, and that
 * verify sees a changed bit of every part.
 */
final class RepositoryNumbersTest {
    private static final String BLOCK = "model.layers.0.mlp.";
    private static final int K = 192;
    private static final int N = 160;

    @TempDir
    Path folder;

    private static int[][] codes(int bits, int seed) {
        return BitWriter.codes(K, N, bits, seed);
    }

    /** @param layers how many are packed once gate and up are one */
    private void expect(TestModel tensors, String config, int layers, String... shown) throws IOException {
        Path model = tensors.floats("model.norm.weight", TensorType.BF16, new float[] {1, 2, 3}, 3)
                .write(folder.resolve("model"), config);
        Path target = folder.resolve("packed");
        Cli inspected = Cli.run("inspect", model.toString());
        assertEquals(0, inspected.status(), inspected.toString());
        for (String text : shown) {
            assertTrue(inspected.out().contains(text), text + " expected in " + inspected.out());
        }
        Cli direct = Cli.run("verify", model.toString(), "--device", "cpu");
        assertEquals(0, direct.status(), direct.toString());
        Cli packed = Cli.run("pack", "--strict", "--interleave-gate-up", model.toString(), target.toString());
        assertEquals(0, packed.status(), packed.toString());
        assertEquals(layers, PackedModel.open(target).layers().size(), packed.toString());
        Cli verified = Cli.run("verify", target.toString(), "--device", "cpu");
        assertEquals(0, verified.status(), verified.toString());
        assertEquals(0, Cli.run("inspect", target.toString()).status());
        sameWeights(model, target);
        everyPartCounts(target);
    }

    /** Gate and up as one hold what each holds. */
    private static void sameWeights(Path model, Path target) throws IOException {
        Checkpoint source = Checkpoint.open(model);
        try (QuantizedMatrix gate = source.layer(BLOCK + "gate_proj").read(); QuantizedMatrix up = source.layer(BLOCK + "up_proj").read();
                QuantizedMatrix both = PackedModel.open(target).weights(BLOCK + "gate_up_proj").unpack()) {
            for (int row = 0; row < K; row++) {
                int input = both.hasInputOrder() ? both.inputOrder().get(row) : row;
                assertEquals(gate.hasInputOrder() ? gate.inputOrder().get(row) : row, input);
                for (int column = 0; column < 2 * N; column++) {
                    double expected = (column % 2 == 0 ? gate : up).exactWeight(row, column / 2);
                    assertEquals(expected, both.exactWeight(row, column), Math.abs(expected) * 1e-6 + 1e-30,
                            "row " + row + ", column " + column);
                }
            }
        }
    }

    /** A bit of the first number of codes, scales, zeros and factors: verify must find each. */
    private static void everyPartCounts(Path target) throws IOException {
        for (Path file : PackedModel.open(target).tensors().values().stream().map(Tensor::file).distinct().toList()) {
            for (Tensor tensor : SafetensorsFile.open(file).tensors().values()) {
                if (tensor.name().contains(".striped.")) {
                    // Of a factor a bit that no rounding of FP32 scales explains.
                    long offset = tensor.fileOffset() + (tensor.type() == TensorType.F32 ? 2 : 1);
                    flip(file, offset);
                    Cli found = Cli.run("verify", target.toString(), "--device", "cpu");
                    assertEquals(1, found.status(), tensor + " changed: " + found);
                    flip(file, offset);
                }
            }
        }
    }

    private static void flip(Path file, long offset) throws IOException {
        try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
            bytes.seek(offset);
            int old = bytes.read();
            bytes.seek(offset);
            bytes.write(old ^ 1);
        }
    }

    @Test
    void mlxOfBothWidths() throws IOException {
        TestModel tensors = new TestModel();
        NumberLayers.mlx(tensors, BLOCK + "gate_proj", codes(4, 1), 4, 64, TensorType.BF16);
        NumberLayers.mlx(tensors, BLOCK + "up_proj", codes(4, 2), 4, 64, TensorType.BF16);
        NumberLayers.mlx(tensors, BLOCK + "down_proj", codes(8, 3), 8, 32, TensorType.BF16);
        expect(tensors, "{\"model_type\":\"qwen3\",\"quantization\":{\"group_size\":64,\"bits\":4,\"" + BLOCK + "down_proj\":"
                + "{\"group_size\":32,\"bits\":8}}}", 2, "MLX 4-bit", "MLX 8-bit", "floats", "3 of 3 can run");
    }

    /** Float zeros that bf16 would round stay out of it: they would cost more than is promised. */
    @Test
    void floatZerosOfHalvesAreNotPackedForBf16() throws IOException {
        TestModel tensors = new TestModel();
        NumberLayers.mlx(tensors, BLOCK + "down_proj", codes(4, 3), 4, 64, TensorType.F16);
        Path model = tensors.write(folder.resolve("model"), "{\"model_type\":\"qwen3\",\"quantization\":{\"group_size\":64,\"bits\":4}}");
        Cli refused = Cli.run("pack", "--dtype", "bf16", model.toString(), folder.resolve("packed").toString());
        assertEquals(1, refused.status(), refused.toString());
        assertTrue(refused.err().contains("down_proj (") && refused.err().contains("FP16, rounded to BF16 cost 4.8e-3"),
                refused.toString());
        assertEquals(0, Cli.run("pack", "--dtype", "fp16", model.toString(), folder.resolve("packed").toString()).status());
    }

    @Test
    void nvfp4() throws IOException {
        TestModel tensors = new TestModel();
        for (String name : new String[] {"gate_proj", "up_proj", "down_proj"}) {
            NumberLayers.compressed(tensors, BLOCK + name, codes(4, name.length()), true);
        }
        expect(tensors, TestModel.quantization("{\"quant_method\":\"compressed-tensors\",\"format\":\"nvfp4-pack-quantized\","
                + "\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"type\":\"float\","
                + "\"strategy\":\"tensor_group\",\"group_size\":16}}}}"), 2, "nvfp4-pack-quantized", "E4M3", "3 of 3 can run");
    }

    @Test
    void mxfp4() throws IOException {
        TestModel tensors = new TestModel();
        for (String name : new String[] {"gate_proj", "up_proj", "down_proj"}) {
            NumberLayers.compressed(tensors, BLOCK + name, codes(4, name.length()), false);
        }
        expect(tensors, TestModel.quantization("{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"g\":{"
                + "\"format\":\"mxfp4-pack-quantized\",\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"type\":\"float\","
                + "\"strategy\":\"group\",\"group_size\":32}}}}"), 2, "mxfp4-pack-quantized", "E8M0", "3 of 3 can run");
    }

    /** A gate with and an up projection without zero points become one; act order comes along. */
    @Test
    void gptqOfBothWidths() throws IOException {
        TestModel tensors = new TestModel();
        NumberLayers.gptq(tensors, BLOCK + "gate_proj", codes(8, 1), 32, true, NumberLayers.zeros(K / 32, N, false), true);
        NumberLayers.gptq(tensors, BLOCK + "up_proj", codes(8, 2), 32, true, NumberLayers.zeros(K / 32, N, true), true);
        tensors.gptqLayer(BLOCK + "down_proj", K, N, 64, TestModel.repeat(0x88888888, K / 64 * N / 8), 3);
        expect(tensors, TestModel.quantization("{\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":32,\"sym\":false,\"desc_act\":true,"
                + "\"checkpoint_format\":\"gptq_v2\",\"dynamic\":{\"+:.*down_proj\":{\"bits\":4,\"group_size\":64}}}"), 2, "GPTQ v2 8-bit",
                "GPTQ v2 ", "3 of 3 can run");
    }

    @Test
    void compressedTensorsOfEveryWidth() throws IOException {
        TestModel tensors = new TestModel();
        NumberLayers.packed(tensors, BLOCK + "gate_proj", codes(8, 1), K / 64, NumberLayers.zeros(K / 64, N, false));
        NumberLayers.packed(tensors, BLOCK + "up_proj", codes(8, 2), K / 64, NumberLayers.zeros(K / 64, N, false));
        NumberLayers.plain(tensors, BLOCK + "down_proj", codes(8, 3), 1, null);
        String attention = "model.layers.0.self_attn.o_proj";
        tensors.add(attention + ".weight_packed", TensorType.I32, BitWriter.alongK(codes(4, 4), 4, 4), N, K / 8)
                .floats(attention + ".weight_scale", TensorType.F16, BitWriter.numbers(N, 0.01f, 0.02f, TensorType.F16, 1), N, 1)
                .longs(attention + ".weight_shape", new long[] {N, K}, 2);
        String[] groups = {group("re:.*(gate|up)_proj", "pack-quantized", 8, false, "group", "64"),
            group("re:.*down_proj", "int-quantized", 8, true, "channel", "null"),
            group("Linear", "pack-quantized", 4, true, "channel", "null")};
        StringBuilder all = new StringBuilder();
        Arrays.stream(groups).forEach(group -> all.append(all.length() == 0 ? "" : ",").append("\"g").append(all.length()).append("\":")
                .append(group));
        expect(tensors, TestModel.quantization("{\"quant_method\":\"compressed-tensors\",\"format\":\"mixed-precision\","
                + "\"config_groups\":{" + all + "}}"), 3, "pack-quantized", "int-quantized", "4 of 4 can run");
    }

    /** Float zeros of fp16 numbers keep what is promised in fp16 only; those of bf16 numbers fit both types. */
    @Test
    void floatZerosFinerThanBf16StayInFp16() throws IOException {
        for (TensorType type : new TensorType[] {TensorType.F16, TensorType.BF16}) {
            Path model = NumberLayers.mlx(new TestModel(), BLOCK + "down_proj", codes(4, 1), 4, 64, type)
                    .write(folder.resolve("mlx" + type), "{\"quantization\":{\"group_size\":64,\"bits\":4}}");
            Path fp16 = folder.resolve("fp16" + type);
            assertEquals(0, Cli.run("pack", "--dtype", "fp16", model.toString(), fp16.toString()).status());
            assertEquals(0, Cli.run("verify", fp16.toString(), "--device", "cpu").status());
            Path bf16 = folder.resolve("bf16" + type);
            String[] command = {"pack", "--dtype", "bf16", model.toString(), bf16.toString()};
            if (type == TensorType.BF16) {
                assertEquals(0, Cli.run(command).status());
            } else {
                Repository.assertRefused(bf16, 1, command, "layer " + BLOCK + "down_proj", "rounded to BF16", "which is FP16 here");
            }
        }
    }

    private static String group(String target, String format, int bits, boolean symmetric, String strategy, String size) {
        return "{\"targets\":[\"" + target + "\"],\"format\":\"" + format + "\",\"weights\":{\"num_bits\":" + bits
                + ",\"type\":\"int\",\"symmetric\":" + symmetric + ",\"strategy\":\"" + strategy + "\",\"group_size\":" + size + "}}";
    }
}
