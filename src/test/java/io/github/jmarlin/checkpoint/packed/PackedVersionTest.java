package io.github.jmarlin.checkpoint.packed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.layout.WeightForm;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a packed file says about its weights: version 1 still opens, version 2 refuses what this release does not know. */
final class PackedVersionTest {
    private static final String LAYER = "model.layers.0.self_attn.q_proj";

    @TempDir
    Path target;

    /** Files that the release before wrote. */
    @ParameterizedTest
    @CsvSource({"ct_pack_asym_g32, 32, true", "gptq_v1_desc_act_g32, 32, false"})
    void version1Opens(String name, int groupSize, boolean zeroPoints) throws IOException, URISyntaxException {
        PackedModel model = PackedModel.open(Path.of(PackedVersionTest.class.getResource("/packed-v1/" + name).toURI()));
        assertEquals(1, model.version());
        assertEquals(WeightForm.int4(groupSize, zeroPoints), model.layers().get(LAYER).form());
        PackedWeights weights = model.weights(LAYER);
        assertEquals(WeightForm.int4(groupSize, zeroPoints), weights.form());
        Checkpoint source = Checkpoint.open(Fixtures.folder(name));
        try (QuantizedMatrix expected = source.layer(LAYER).read()) {
            assertEquals(Optional.empty(), PackedComparison.firstDifference(expected, weights));
        }
        assertTrue(model.isFrom(source, LAYER));
    }

    @Test
    void version2SaysWhatAWeightIs() throws IOException {
        String header = Files.readString(pack("ct_pack_asym_g32"), StandardCharsets.ISO_8859_1);
        assertTrue(header.contains("\\\"code\\\":\\\"int4\\\",\\\"offset\\\":\\\"zero_point\\\",\\\"scale_source\\\":\\\"group\\\","
                + "\\\"sparsity\\\":\\\"dense\\\",\\\"columns\\\":\\\"natural\\\""), header.substring(0, 1200));
        assertFalse(header.contains("zero_points"));
        PackedModel model = PackedModel.open(target);
        assertEquals(2, model.version());
        assertEquals(WeightForm.int4(32, true), model.layers().get(LAYER).form());
    }

    @ParameterizedTest
    @CsvSource({"code, int4, int6", "offset, zero_point, some_point", "scale_source, group, block", "sparsity, dense, two4_",
        "columns, natural, swapped"})
    void unknownValuesAreRefusedByName(String key, String known, String unknown) throws IOException {
        Path file = pack("ct_pack_asym_g32");
        String bytes = Files.readString(file, StandardCharsets.ISO_8859_1);
        String same = String.format("%-" + known.length() + "s", unknown).substring(0, known.length());
        String changed = bytes.replace(key + "\\\":\\\"" + known, key + "\\\":\\\"" + same);
        assertFalse(changed.equals(bytes), "the header has " + key);
        Files.writeString(file, changed, StandardCharsets.ISO_8859_1);
        String message = assertThrows(UnsupportedCheckpointException.class, () -> PackedModel.open(target)).getMessage();
        assertTrue(message.contains("key " + key + ": found " + same + "; accepted: "), message);
        assertTrue(message.contains(known), message);
    }

    private Path pack(String fixture) throws IOException {
        new ModelPacker(Checkpoint.open(Fixtures.folder(fixture)), target, PackOptions.DEFAULT).run();
        return target.resolve("model-00001-of-00001.safetensors");
    }
}
