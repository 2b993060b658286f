package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Files of Sparse-Marlin in both spellings, written weight by weight as the format is described: where each code, place and scale goes. */
final class Marlin24FormatTest {
    private static final String GPTQ = TestModel.quantization("{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":%d,"
            + "\"checkpoint_format\":\"marlin_24\",\"sym\":true}");
    private static final String COMPRESSED = TestModel.quantization("{\"quant_method\":\"compressed-tensors\",\"format\":\"marlin-24\","
            + "\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"type\":\"int\","
            + "\"symmetric\":true,\"strategy\":\"group\",\"group_size\":%d}}},\"sparsity_config\":{\"format\":\"dense\","
            + "\"sparsity_structure\":\"2:4\"}}");

    @TempDir
    Path folder;

    private int[] codes;
    private short[] meta;
    private float[] scales;

    /** The tensors of a layer, by the public permutations of one weight at a time. */
    private void write(QuantizedMatrix matrix) {
        int k = matrix.k();
        int n = matrix.n();
        codes = new int[k / 32 * 2 * n];
        meta = new short[k / 32 * 2 * n];
        scales = new float[matrix.groups() * n];
        for (int column = 0; column < n; column++) {
            for (int quad = 0; quad < k / 4; quad++) {
                int[] places = places(matrix, quad, column);
                for (int i = 0; i < 2; i++) {
                    writeCode(2 * quad + i, column, n, matrix.code(4 * quad + places[i], column));
                }
                int chunk = quad / 4;
                int inTile = column % 64;
                int at = chunk / 2 * 2 * n + column / 64 * 128 + 64 * (inTile % 4 / 2) + 8 * (inTile / 8) + 4 * (inTile % 2)
                        + 2 * (chunk % 2) + inTile % 8 / 4;
                meta[at] |= (short) ((places[0] | places[1] << 2) << 4 * (quad % 4));
            }
        }
        int[] order = {0, 4, 1, 5, 2, 6, 3, 7};
        for (int group = 0; group < matrix.groups(); group++) {
            for (int at = 0; at < n; at++) {
                int column = matrix.groups() == 1 ? at : at / 8 * 8 + order[at % 8];
                scales[group * n + at] = matrix.scale(group, column);
            }
        }
    }

    /** Two rows of the quad with all that are not zero; a writer's choice where fewer are. */
    private static int[] places(QuantizedMatrix matrix, int quad, int column) {
        for (int second = 3; second > 0; second--) {
            for (int first = 0; first < second; first++) {
                int others = 0;
                for (int row = 0; row < 4; row++) {
                    others += row != first && row != second && matrix.code(4 * quad + row, column) != 8 ? 1 : 0;
                }
                if (others == 0) {
                    return new int[] {first, second};
                }
            }
        }
        throw new IllegalArgumentException("not 2:4");
    }

    private void writeCode(int storedRow, int column, int n, int code) {
        int kk = storedRow % 16;
        int inTile = column % 64;
        int lane = 4 * (inTile / 8) + kk % 8 / 2;
        int j = inTile % 4;
        int e = 4 * (inTile % 8 / 4) + 2 * (kk / 8) + kk % 2;
        int[] nibbleOf = {0, 4, 1, 5, 2, 6, 3, 7};
        codes[storedRow / 16 * 2 * n + column / 64 * 128 + 4 * lane + j] |= code << 4 * nibbleOf[e];
    }

    private Path model(boolean gptq, int k, int n, int groups, int groupSize) throws IOException {
        ByteBuffer metaBytes = TestModel.buffer(2 * meta.length);
        metaBytes.asShortBuffer().put(meta);
        return new TestModel().ints(gptq ? "a.B_24" : "a.weight_packed", codes, k / 32, 2L * n)
                .add(gptq ? "a.B_meta" : "a.meta", TensorType.I16, metaBytes, k / 32, 2L * n)
                .floats(gptq ? "a.s" : "a.scale_packed", TensorType.F16, scales, groups, n)
                .write(folder.resolve("model"), String.format(gptq ? GPTQ : COMPRESSED, groupSize));
    }

    @ParameterizedTest
    @CsvSource({"true, 256, 128, 128", "false, 256, 128, 128", "true, 128, 192, -1", "false, 384, 64, -1", "false, 512, 64, 128"})
    void bothSpellingsReadBackExactly(boolean gptq, int k, int n, int groupSize) throws IOException {
        try (QuantizedMatrix expected = TestMatrices.sparse(k, n, groupSize, DataType.FP16, false, k + n)) {
            write(expected);
            Checkpoint checkpoint = Checkpoint.open(model(gptq, k, n, expected.groups(), groupSize));
            LayerSource layer = checkpoint.layer("a");
            assertEquals("Sparse-Marlin 2:4", layer.scheme());
            try (QuantizedMatrix found = layer.read(); PackedWeights packed = PackedWeights.pack(found, DataType.FP16);
                    QuantizedMatrix unpacked = packed.unpack()) {
                assertEquals(expected.form().sparsity(), found.form().sparsity());
                Errors.assertSameMatrix(expected, found);
                Errors.assertSameMatrix(expected, unpacked);
            }
            for (int from = 0; from < n; from += 64) {
                try (QuantizedMatrix part = layer.read(from, from + 64)) {
                    for (int row = 0; row < k; row++) {
                        for (int column = 0; column < 64; column++) {
                            assertEquals(expected.weight(row, from + column), part.weight(row, column));
                        }
                    }
                }
            }
        }
    }

    @Test
    void illegalPlacesAreRefusedWithTheirCoordinate() throws IOException {
        try (QuantizedMatrix matrix = TestMatrices.sparse(128, 128, 128, DataType.FP16, false, 3)) {
            write(matrix);
            // Column 64 + 8 * 3 + 4 + 1 = 93, rows 64 + 16 + 8 .. 11 of tile row 2: chunk 1, quad 2.
            int at = 2 * 256 + 128 + 8 * 3 + 4 + 2 + 1;
            meta[at] = (short) (meta[at] & ~(15 << 8) | 0b1010 << 8);
            LayerSource layer = Checkpoint.open(model(false, 128, 128, 1, 128)).layer("a");
            String message = assertThrows(JMarlinException.class, layer::read).getMessage();
            assertTrue(message.contains("tensor a.meta") && message.contains("places 2 and 2 of column 93, rows 88 to 91"), message);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "\"num_bits\":4 | \"num_bits\":8 | 4 bits", "\"symmetric\":true | \"symmetric\":false | symmetric: found false",
        "\"group_size\":128 | \"group_size\":64 | group"})
    void whatTheFormatDoesNotHaveIsRefused(String before, String after, String words) throws IOException {
        try (QuantizedMatrix matrix = TestMatrices.sparse(256, 64, 128, DataType.FP16, false, 4)) {
            write(matrix);
            Path model = model(false, 256, 64, 2, 128);
            Path config = model.resolve("config.json");
            Files.writeString(config, Files.readString(config).replace(before.strip(), after.strip()));
            Checkpoint checkpoint = Checkpoint.open(model);
            String message = assertThrows(JMarlinException.class, () -> checkpoint.layer("a")).getMessage();
            assertTrue(message.contains(words), message);
        }
    }
}
