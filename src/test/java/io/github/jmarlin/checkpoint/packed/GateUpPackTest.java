package io.github.jmarlin.checkpoint.packed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.cli.Cli;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.layout.MatrixShards;
import io.github.jmarlin.layout.PackedShards;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Gate and up projections that become one layer when they are packed, and what of it shards, readers and products keep. */
class GateUpPackTest {
    private static final String MLP = "model.layers.0.mlp.";
    private static final int K = 4096;
    private static final int N = 1184;      // of each: more than a slab, and no multiple of 64

    @TempDir
    private Path folder;

    @BeforeEach
    void writeModel() throws IOException {
        TestModel model = new TestModel();
        model.gptqLayer(MLP + "gate_proj", K, N, 128, TestModel.repeat(0x88888888, 32 * N / 8), 1);
        model.gptqLayer(MLP + "up_proj", K, N, 128, TestModel.repeat(0x45674567, 32 * N / 8), 2);    // with zero points
        model.gptqLayer(MLP + "down_proj", 128, 64, 128, TestModel.repeat(0x88888888, 8), 3);
        model.gptqLayer("model.layers.1.mlp.gate_proj", 128, 64, 128, TestModel.repeat(0x88888888, 8), 4);
        model.gptqLayer("model.layers.1.mlp.up_proj", 128, 128, 128, TestModel.repeat(0x88888888, 16), 5);
        model.write(folder.resolve("source"), TestModel.quantization("{\"quant_method\":\"gptq\",\"bits\":4,\"sym\":false,\"checkpoint_format\":\"gptq_v2\",\"group_size\":128}"));
    }

    private Path packed() throws IOException {
        ModelPacker packer = new ModelPacker(Checkpoint.open(folder.resolve("source")), folder.resolve("packed"),
                PackOptions.DEFAULT.withInterleavedGateUp());
        packer.run();
        assertEquals(java.util.Map.of(), packer.survey().refused());
        assertEquals(Set.of("model.layers.1.mlp.gate_proj"), packer.notInterleaved().keySet());
        String why = packer.notInterleaved().get("model.layers.1.mlp.gate_proj");
        assertTrue(why.contains("n 64") && why.contains("n 128"), why);
        return folder.resolve("packed");
    }

    @Test
    void columnsAreInTurn() throws IOException {
        PackedModel model = PackedModel.open(packed());
        assertEquals(Set.of(MLP + "gate_up_proj", MLP + "down_proj", "model.layers.1.mlp.gate_proj", "model.layers.1.mlp.up_proj"),
                model.layers().keySet());
        Checkpoint source = Checkpoint.open(folder.resolve("source"));
        PackedWeights found = model.weights(MLP + "gate_up_proj");
        assertEquals(WeightForm.Columns.GATE_UP, found.form().columns());
        assertEquals(WeightForm.Columns.NATURAL, model.weights(MLP + "down_proj").form().columns());
        assertTrue(model.isFrom(source, MLP + "gate_up_proj"));
        try (QuantizedMatrix gate = source.layer(MLP + "gate_proj").read(); QuantizedMatrix up = source.layer(MLP + "up_proj").read();
                QuantizedMatrix unpacked = found.unpack()) {
            assertEquals(WeightForm.Columns.GATE_UP, unpacked.form().columns());
            for (int column = 0; column < 2 * N; column++) {
                QuantizedMatrix of = column % 2 == 0 ? gate : up;
                for (int row = 0; row < K; row += 61) {
                    assertEquals(of.weight(row, column / 2), unpacked.weight(row, column), "row " + row + ", column " + column);
                }
            }
            try (QuantizedMatrix both = MatrixShards.interleave(gate, up); PackedWeights whole = PackedWeights.pack(both, DataType.FP16)) {
                assertEquals(java.util.Optional.empty(), PackedComparison.firstDifference(both, found));
                assertEquals(whole.byteSize(), found.byteSize());
            }
        }
        assertEquals(0, Cli.run("verify", folder.resolve("packed").toString()).status());
    }

    /** The outputs of column shards, one behind the other, are those of the whole. */
    @Test
    void shardsKeepPairsTogether() throws IOException {
        PackedWeights whole = PackedModel.open(packed()).weights(MLP + "gate_up_proj");
        float[] a = TestMatrices.gaussian(3 * K, 6);
        try (CpuDevice device = new CpuDevice(2)) {
            float[] expected = mlp(device, whole, a, 3);
            int[] cuts = PackedShards.cuts(2 * N, 3, 64);
            for (int i = 0; i < 3; i++) {
                PackedWeights shard = PackedShards.columns(whole, cuts[i], cuts[i + 1]);
                assertEquals(WeightForm.Columns.GATE_UP, shard.form().columns());
                float[] part = mlp(device, shard, a, 3);
                int columns = (cuts[i + 1] - cuts[i]) / 2;
                for (int j = 0; j < part.length; j++) {
                    assertEquals(expected[j / columns * N + cuts[i] / 2 + j % columns], part[j], "shard " + i + ", output " + j);
                }
            }
            try (PackedWeights rows = PackedShards.rows(whole, 0, 1024);
                    PackedWeights joined = PackedShards.join(List.of(PackedShards.columns(whole, 0, 128), PackedShards.columns(whole, 128, 256)))) {
                assertEquals(WeightForm.Columns.GATE_UP, rows.form().columns());
                float[] outputs = mlp(device, joined, a, 3);
                for (int j = 0; j < outputs.length; j++) {
                    assertEquals(expected[j / 128 * N + j % 128], outputs[j], "joined, output " + j);
                }
            }
        }
    }

    private static float[] mlp(CpuDevice device, PackedWeights weights, float[] a, int m) {
        ByteBuffer from = ByteBuffer.allocateDirect(4 * a.length).order(ByteOrder.LITTLE_ENDIAN);
        from.asFloatBuffer().put(a);
        ByteBuffer c = ByteBuffer.allocateDirect(4 * m * weights.n() / 2).order(ByteOrder.LITTLE_ENDIAN);
        try (LinearLayer layer = device.place(weights)) {
            layer.multiply(DataType.FP32, from, m, c, Epilogue.NONE.withSiluMul());
        }
        float[] outputs = new float[m * weights.n() / 2];
        c.asFloatBuffer().get(outputs);
        return outputs;
    }

    @Test
    void theCommandSaysWhatIsNotInterleaved() {
        Cli result = Cli.run("pack", "--interleave-gate-up", folder.resolve("source").toString(), folder.resolve("out").toString());
        assertEquals(0, result.status(), result.err());
        assertTrue(result.out().contains("4 layers") && result.out().contains("not interleaved: model.layers.1.mlp.gate_proj"), result.out());
    }

    @Test
    void anOddNumberOfColumnsIsMalformed() {
        String json = "{\"k\":64,\"n\":65,\"group_size\":64,\"compute_type\":\"FP16\",\"code\":\"int4\",\"offset\":\"middle\","
                + "\"scale_source\":\"group\",\"sparsity\":\"dense\",\"columns\":\"gate_up\"}";
        String message = assertThrows(MalformedCheckpointException.class,
                () -> PackedLayer.fromJson(Path.of("f"), 2, "x", json)).getMessage();
        assertTrue(message.contains("n 65") && message.contains("GATE_UP"), message);
        assertEquals(66, PackedLayer.fromJson(Path.of("f"), 2, "x", json.replace("65", "66")).layout().n());
    }
}
