package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Thousands of experts are a line for each kind, and a line each only if asked for. */
final class RepositoryKindsTest {
    private static final int LAYERS = 6;
    private static final int EXPERTS = 200;

    @TempDir
    Path folder;

    @Test
    void aLineForEachKind() throws IOException {
        TestModel tensors = new TestModel();
        for (int layer = 0; layer < LAYERS; layer++) {
            for (int expert = 0; expert < EXPERTS; expert++) {
                for (String part : new String[] {"gate_proj", "up_proj", "down_proj"}) {
                    String name = "model.layers." + layer + ".mlp.experts." + expert + "." + part;
                    int groups = part.equals("down_proj") ? 2 : 1;
                    tensors.ints(name + ".weight_packed", new int[8 * 8], 8, 8)
                            .floats(name + ".weight_scale", TensorType.BF16, new float[8 * groups], 8, groups)
                            .longs(name + ".weight_shape", new long[] {8, 64}, 2);
                }
            }
        }
        Path model = tensors.write(folder, TestModel.quantization("{\"quant_method\":\"compressed-tensors\",\"config_groups\":{"
                + "\"a\":{\"targets\":[\"re:.*down_proj\"],\"weights\":{\"num_bits\":4,\"group_size\":32,\"strategy\":\"group\"}},"
                + "\"b\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"strategy\":\"channel\"}}}}"));
        Cli kinds = Cli.run("inspect", model.toString());
        assertEquals(0, kinds.status(), kinds.toString());
        assertTrue(kinds.out().contains("3600 of 3600 can run"), kinds.out());
        assertTrue(kinds.out().lines().count() < 15, kinds.out());
        assertTrue(kinds.out().contains("model.layers.*.mlp.experts.*.down_proj   1200"), kinds.out());
        Cli all = Cli.run("inspect", "--all", model.toString());
        assertTrue(all.out().contains("model.layers.5.mlp.experts.199.up_proj "), "every layer by its name");
        assertTrue(all.out().lines().count() > 3600, "a line each");
    }

    @Test
    void namesAndNumbers() {
        assertEquals("model.layers.*.mlp.up_proj", Kinds.of("model.layers.17.mlp.up_proj"));
        assertEquals("h.*.w1", Kinds.of("h.3.w1"));
        assertEquals("*.a2.*", Kinds.of("0.a2.9"));
        StringBuilder text = new StringBuilder();
        Kinds kinds = new Kinds(false);
        kinds.add("a.0.b.1", "x");
        kinds.add("a.0.b.2", "x");
        kinds.add("a.0.b.3", "y");
        kinds.forEach((name, count, cells) -> text.append(name).append(' ').append(count).append(cells[0]).append("; "));
        assertEquals("a.0.b.* 2x; a.0.b.3 1y; ", text.toString());
    }
}
