package io.github.jmarlin.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.QuantizedMatrix;
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
                assertEquals(List.of("gptq_v1_sym_g128", "ct_pack_sym_g128").contains(fixture), checkpoint.layer(name).hasBias(), fixture);
            }
        }
    }
}
