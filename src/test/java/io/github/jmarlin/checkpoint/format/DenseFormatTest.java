package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.quantize.GptqQuantizer;
import io.github.jmarlin.quantize.Hessian;
import io.github.jmarlin.quantize.RoundToNearest;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Layers in full precision, quantized as they are read. */
final class DenseFormatTest {
    private static final int K = 200;
    private static final int N = 150;

    @TempDir
    Path folder;

    /** The weight as stored, [n][k], rounded to the type. */
    private static float[] weight(TensorType type) {
        float[] weight = TestMatrices.gaussian(N * K, 9);
        for (int i = 0; i < weight.length; i++) {
            weight[i] = switch (type) {
                case F16 -> HalfFloats.fromFp16(HalfFloats.toFp16(weight[i]));
                case BF16 -> HalfFloats.fromBf16(HalfFloats.toBf16(weight[i]));
                default -> weight[i];
            };
        }
        return weight;
    }

    @ParameterizedTest
    @CsvSource({"F16,128,true,FP16", "BF16,32,false,BF16", "F32,-1,true,FP16"})
    void readsWhatRoundToNearestGives(TensorType type, int groupSize, boolean symmetric, DataType scaleType) throws IOException {
        float[] weight = weight(type);
        new TestModel().floats("a.weight", type, weight, N, K).write(folder, null);
        DenseQuantization how = new DenseQuantization(groupSize, symmetric, false, DenseQuantization.USUALLY_EXCLUDED, null);
        float[] transposed = new float[K * N];
        for (int i = 0; i < K; i++) {
            for (int j = 0; j < N; j++) {
                transposed[i * N + j] = weight[j * K + i];
            }
        }
        LayerSource layer = Checkpoint.open(folder, how).layer("a");
        RoundToNearest nearest = new RoundToNearest(groupSize, scaleType, !symmetric, false);
        try (QuantizedMatrix expected = nearest.quantize(transposed, K, N); QuantizedMatrix found = layer.read();
                QuantizedMatrix part = layer.read(64, 128)) {
            Errors.assertSameMatrix(expected, found);
            for (int row = 0; row < K; row++) {
                assertEquals(expected.weight(row, 127), part.weight(row, 63));
            }
        }
    }

    @Test
    void calibratedLayersAreQuantizedWithGptq() throws IOException {
        float[] weight = weight(TensorType.F16);
        float[] activations = TestMatrices.gaussian(300 * K, 4);
        for (int i = 0; i < activations.length; i++) {
            // Every second input nearly repeats the one before it, and inputs grow.
            activations[i] = (i % 2 == 0 ? activations[i] : 0.95f * activations[i - 1] + 0.05f * activations[i]) * (1
                    + i % K / 50f);
        }
        Path model = new TestModel().floats("a.weight", TensorType.F16, weight, N, K)
                .floats("b.weight", TensorType.F16, weight, N, K).write(folder.resolve("model"), null);
        Path inputs = new TestModel().floats("a.input", TensorType.F32, activations, 3, 100, K).write(folder.resolve("inputs"),
                null);
        Calibration calibration = Calibration.open(inputs);
        Checkpoint checkpoint = Checkpoint.open(model, new DenseQuantization(64, true, true, DenseQuantization.USUALLY_EXCLUDED,
                calibration));
        Hessian hessian = calibration.hessian("a", K);
        assertEquals(300, hessian.samples());
        try (QuantizedMatrix gptq = checkpoint.layer("a").read(); QuantizedMatrix nearest = checkpoint.layer("b").read();
                QuantizedMatrix part = checkpoint.layer("a").read(64, 128)) {
            assertTrue(gptq.hasInputOrder() && !nearest.hasInputOrder());
            assertEquals(K - 1, gptq.inputOrder().get(0) / 2 * 2 + 1);
            double error = GptqQuantizer.outputError(weight, gptq, hessian);
            double nearestError = GptqQuantizer.outputError(weight, nearest, hessian);
            assertTrue(error < 0.8 * nearestError, "GPTQ " + error + ", round to nearest " + nearestError);
            for (int row = 0; row < K; row++) {
                assertEquals(gptq.weight(row, 100), part.weight(row, 36));
            }
        }
        assertTrue(assertThrows(MalformedCheckpointException.class, () -> calibration.hessian("a", 7)).getMessage()
                .contains("must be [..., 7]"));
        assertTrue(assertThrows(MalformedCheckpointException.class, () -> calibration.hessian("c", K)).getMessage()
                .contains("tensor c.input"));
    }

    @Test
    void hessiansInMemoryCalibrateAsRecordedActivationsDo() throws IOException {
        float[] weight = weight(TensorType.F16);
        float[] activations = TestMatrices.gaussian(200 * K, 5);
        Path model = new TestModel().floats("a.weight", TensorType.F16, weight, N, K).write(folder.resolve("model"), null);
        Path inputs = new TestModel().floats("a.input", TensorType.F32, activations, 200, K).write(folder.resolve("inputs"), null);
        Hessian hessian = new Hessian(K);
        hessian.add(activations, 200);
        Calibration summed = Calibration.of(Map.of("a", hessian));
        try (QuantizedMatrix expected = gptq(model, Calibration.open(inputs)); QuantizedMatrix found = gptq(model, summed)) {
            assertTrue(found.hasInputOrder());
            Errors.assertSameMatrix(expected, found);
        }
        assertTrue(summed.has("a") && !summed.has("b"));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> summed.hessian("a", 7)).getMessage().contains("k 7"));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> summed.hessian("b", K)).getMessage().contains("none of this name"));
        Hessian other = new Hessian(K);
        other.add(TestMatrices.gaussian(200 * K, 6), 200);
        assertNotEquals(summed.describe(), Calibration.of(Map.of("a", other)).describe());
    }

    private static QuantizedMatrix gptq(Path model, Calibration calibration) throws IOException {
        return Checkpoint.open(model, new DenseQuantization(64, true, true, DenseQuantization.USUALLY_EXCLUDED, calibration))
                .layer("a").read();
    }

    @Test
    void whichTensorsAreLayers() throws IOException {
        TestModel model = new TestModel();
        for (String name : new String[] {"model.layers.0.mlp.up_proj", "model.embed_tokens", "lm_head", "model.layers.0.mlp.gate",
            "model.layers.0.mlp.gate_proj", "model.layers.0.input_layernorm"}) {
            model.floats(name + ".weight", TensorType.F16, new float[4], 2, 2);
        }
        model.floats("model.layers.0.other.weight", TensorType.F16, new float[4], 4).ints("ints.weight", new int[4], 2, 2);
        assertEquals(Set.of("model.layers.0.mlp.up_proj", "model.layers.0.mlp.gate_proj"),
                Checkpoint.open(model.write(folder, null)).layerNames());
    }

    @Test
    void weightsThatAreNotFiniteAreNamed() throws IOException {
        float[] weight = weight(TensorType.F32);
        weight[77 * K + 5] = Float.NEGATIVE_INFINITY;
        Path model = new TestModel().floats("a.weight", TensorType.F32, weight, N, K).write(folder, null);
        LayerSource layer = Checkpoint.open(model).layer("a");
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class, layer::read);
        long offset = layer.tensors().get(0).fileOffset() + (77 * K + 5) * 4;
        assertTrue(e.getMessage().contains("tensor a.weight, file offset " + offset + ": found -Infinity"), e.getMessage());
    }
}
