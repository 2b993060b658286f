package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** F32 scales, as AutoGPTQ writes for F32 models: read exactly, packed with what 16 bits and a factor per column allow, and said. */
final class RepositoryScalesTest {
    private static final int K = 128;
    private static final int N = 64;

    @TempDir
    Path folder;

    @ParameterizedTest
    @CsvSource({"gptq, 32, fp16", "gptq, 128, fp16", "awq, 64, fp16", "compressed-tensors, 128, fp16", "compressed-tensors, 32, bf16",
        "gptq, 128, bf16"})
    void scalesInSinglePrecision(String method, int groupSize, String type) throws IOException {
        int groups = K / groupSize;
        Random random = new Random(groupSize);
        float[][] scales = new float[groups][N];
        for (float[] row : scales) {
            for (int column = 0; column < N; column++) {
                row[column] = 0.001f + 0.01f * random.nextFloat();
            }
        }
        Path model = model(method, groupSize, scales);
        Path target = folder.resolve("packed");
        String said = groups == 1 ? "nothing is lost" : "at most " + (type.equals("fp16") ? "4.8828125E-4" : "0.00390625") + " of a scale";
        Cli inspected = Cli.run("inspect", model.toString());
        assertTrue(inspected.out().contains("FP32, rounded to FP16"), inspected.toString());
        assertEquals(0, Cli.run("pack", model.toString(), target.toString(), "--dtype", type).status());
        Cli verified = Cli.run("verify", target.toString(), "--device", "cpu");
        assertEquals(0, verified.status(), verified.toString());
        assertTrue(!type.equals("fp16") || verified.out().contains(said), said + " in " + verified);

        try (QuantizedMatrix read = Checkpoint.open(model).layer("a").read();
                QuantizedMatrix packed = PackedModel.open(target).weights("a").unpack()) {
            double roundoff = type.equals("fp16") ? 0x1p-11 : 0x1p-8;
            for (int column = 0; column < N; column++) {
                float largest = 0;
                for (int group = 0; group < groups; group++) {
                    largest = Math.max(largest, scales[group][column]);
                }
                for (int group = 0; group < groups; group++) {
                    float scale = scales[group][column];
                    assertEquals(scale, read.scale(group, column), "read exactly");
                    double loss = scale == largest ? 0 : roundoff * scale;
                    assertEquals(scale, packed.scale(group, column), loss, "group " + group + ", column " + column);
                }
            }
        }
    }

    private Path model(String method, int groupSize, float[][] scales) throws IOException {
        Random random = new Random(7);
        int groups = scales.length;
        float[] rows = new float[groups * N];
        float[] columns = new float[groups * N];
        for (int group = 0; group < groups; group++) {
            for (int column = 0; column < N; column++) {
                rows[group * N + column] = scales[group][column];
                columns[column * groups + group] = scales[group][column];
            }
        }
        int[] codes = random.ints(K * N / 8).toArray();
        TestModel tensors = new TestModel();
        switch (method) {
            case "gptq" -> tensors.ints("a.qweight", codes, K / 8, N)
                    .ints("a.qzeros", TestModel.repeat(0x77777777, groups * N / 8), groups, N / 8)
                    .floats("a.scales", TensorType.F32, rows, groups, N);
            case "awq" -> tensors.ints("a.qweight", codes, K, N / 8).ints("a.qzeros", random.ints(groups * N / 8).toArray(), groups, N / 8)
                    .floats("a.scales", TensorType.F32, rows, groups, N);
            default -> tensors.ints("a.weight_packed", codes, N, K / 8).floats("a.weight_scale", TensorType.F32, columns, N, groups)
                    .longs("a.weight_shape", new long[] {N, K}, 2);
        }
        String config = method.startsWith("comp") ? "{\"quant_method\":\"compressed-tensors\",\"config_groups\":{"
                + "\"g\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"group_size\":" + groupSize + ",\"strategy\":\"group\"}}}}"
                : "{\"quant_method\":\"" + method + "\",\"bits\":4,\"group_size\":" + groupSize + "}";
        return tensors.write(folder.resolve("model"), TestModel.quantization(config));
    }
}
