package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.testing.Errors;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every checkpoint of the real tools: codes equal, dequantized weights equal bit for bit. */
final class FixtureReaderTest {
    static List<String> fixtures() {
        return Fixtures.names();
    }

    @Test
    void allFixturesAreThere() {
        assertEquals(14, fixtures().size(), fixtures().toString());
    }

    @ParameterizedTest
    @MethodSource("fixtures")
    void codesAndWeightsAreExact(String fixture) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(Fixtures.folder(fixture));
        SafetensorsFile expected = SafetensorsFile.open(Fixtures.folder(fixture).resolve("expected.safetensors"));
        assertEquals(fixture.equals("sharded_gptq") ? 2 : 1, checkpoint.layerNames().size());
        for (String name : checkpoint.layerNames()) {
            String prefix = expected.find("codes").isPresent() ? "" : name + ".";
            try (QuantizedMatrix matrix = checkpoint.layer(name).read()) {
                compare(matrix, 0, expected.tensor(prefix + "codes"), expected.tensor(prefix + "weight"));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("fixtures")
    void columnRangesAreTheSameColumns(String fixture) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(Fixtures.folder(fixture));
        SafetensorsFile expected = SafetensorsFile.open(Fixtures.folder(fixture).resolve("expected.safetensors"));
        for (String name : checkpoint.layerNames()) {
            LayerSource layer = checkpoint.layer(name);
            String prefix = expected.find("codes").isPresent() ? "" : name + ".";
            for (int from = 0; from < layer.n(); from += LayerSource.COLUMN_STEP) {
                int to = Math.min(layer.n(), from + LayerSource.COLUMN_STEP);
                try (QuantizedMatrix matrix = layer.read(from, to)) {
                    compare(matrix, from, expected.tensor(prefix + "codes"), expected.tensor(prefix + "weight"));
                }
            }
        }
    }

    /** Compares columns {@code [from, from + matrix.n())} of the expected tensors, both {@code [n][k]}. */
    private static void compare(QuantizedMatrix matrix, int from, Tensor codes, Tensor weights) {
        int k = matrix.k();
        assertEquals(k, codes.shape().get(1));
        ByteBuffer codeBytes = codes.slice(0, (int) codes.bytes());
        ByteBuffer weightBytes = weights.slice(0, (int) weights.bytes());
        for (int row = 0; row < k; row++) {
            int input = matrix.hasInputOrder() ? matrix.inputOrder().get(row) : row;
            for (int column = 0; column < matrix.n(); column++) {
                int at = (from + column) * k + input;
                int expectedCode = codeBytes.get(at);
                assertEquals(expectedCode, matrix.code(row, column), "code of input " + input + ", column " + (from + column));
                int expectedBits = Float.floatToRawIntBits(weightBytes.getFloat(at * Float.BYTES));
                int bits = Float.floatToRawIntBits(matrix.weight(row, column));
                assertTrue(expectedBits == bits || (expectedBits | bits) == 0x80000000, () -> "weight of input " + input
                        + ": expected " + Float.intBitsToFloat(expectedBits) + ", found " + Float.intBitsToFloat(bits));
            }
        }
    }

    /** The product over the CPU path, from packed weights, against the tools' own output in double precision. */
    @ParameterizedTest
    @MethodSource("fixtures")
    void productsAgree(String fixture) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(Fixtures.folder(fixture));
        SafetensorsFile expected = SafetensorsFile.open(Fixtures.folder(fixture).resolve("expected.safetensors"));
        for (String name : checkpoint.layerNames()) {
            String prefix = expected.find("input").isPresent() ? "" : name + ".";
            LayerSource source = checkpoint.layer(name);
            Tensor input = expected.tensor(prefix + "input");
            Tensor output = expected.tensor(prefix + (source.hasBias() ? "output_with_bias" : "output"));
            float[] a = Floats.read(input, 0, input.bytes() / 2);
            float[] floats = Floats.read(output, 0, output.bytes() / 4);
            double[] c = new double[floats.length];
            for (int i = 0; i < c.length; i++) {
                c[i] = floats[i];
            }
            try (QuantizedMatrix matrix = source.read();
                    PackedWeights packed = PackedWeights.pack(matrix, matrix.scaleType());
                    LinearLayer layer = new CpuDevice().place(packed)) {
                Errors.assertWithin(1e-6, c, layer.multiply(a, 3), matrix.n(), fixture + " in fp32");
                ByteBuffer outputs = ByteBuffer.allocate(c.length * 2).order(java.nio.ByteOrder.LITTLE_ENDIAN);
                layer.multiply(DataType.FP16, input.slice(0, (int) input.bytes()), 3, outputs);
                float[] halves = new float[c.length];
                for (int i = 0; i < halves.length; i++) {
                    halves[i] = HalfFloats.fromFp16(outputs.getShort(i * 2));
                }
                Errors.assertWithin(3e-4, c, halves, matrix.n(), fixture + " in fp16");
            }
        }
    }

    @Test
    void actOrderIsKeptAsAnInputOrder() throws IOException {
        Checkpoint checkpoint = Checkpoint.open(Fixtures.folder("gptq_v1_desc_act_g32"));
        LayerSource layer = checkpoint.layer(checkpoint.layerNames().iterator().next());
        assertTrue(layer.isActOrdered());
        try (QuantizedMatrix matrix = layer.read()) {
            assertTrue(matrix.hasInputOrder());
        }
    }

    @Test
    void symmetricCheckpointsNeedNoZeroPoints() throws IOException {
        for (String fixture : fixtures()) {
            Checkpoint checkpoint = Checkpoint.open(Fixtures.folder(fixture));
            for (String name : checkpoint.layerNames()) {
                boolean asymmetric = fixture.contains("asym") || fixture.startsWith("awq");
                assertEquals(asymmetric, checkpoint.layer(name).hasZeroPoints(), fixture);
                assertEquals(List.of("gptq_v1_sym_g128", "ct_pack_sym_g128").contains(fixture),
                        checkpoint.layer(name).hasBias(), fixture);
            }
        }
    }
}
