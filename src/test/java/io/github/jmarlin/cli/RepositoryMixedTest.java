package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One layer that cannot run does not block the others (ROCm/vllm#696): it is carried over byte for byte, and said. */
final class RepositoryMixedTest {
    private static final String OTHER = "model.layers.1.mlp.down_proj";

    @TempDir
    Path folder;

    private void mixed(String fixture, TestModel otherBits, Consumer<ObjectNode> change, String why) throws IOException {
        Path model = Fixtures.copy(fixture, folder.resolve("model"));
        Path target = folder.resolve("packed");
        Files.deleteIfExists(model.resolve("quantize_config.json"));
        Files.move(model.resolve("model.safetensors"), model.resolve("a.safetensors"));
        Path other = otherBits.floats("model.norm.weight", TensorType.BF16, new float[] {1, 2, 3}, 3)
                .writeFile(model.resolve("b.safetensors"));
        Repository.config(model, config -> change.accept((ObjectNode) config.get("quantization_config")));

        Cli inspected = Cli.run("inspect", model.toString());
        assertEquals(0, inspected.status(), inspected.toString());
        assertTrue(inspected.out().contains("1 of 2 can run") && inspected.out().contains(why), inspected.toString());
        Path strict = folder.resolve("strict");
        Repository.assertRefused(strict, 1, new String[] {"pack", "--strict", model.toString(), strict.toString()}, why);

        Cli packed = Cli.run("pack", model.toString(), target.toString());
        assertEquals(0, packed.status(), packed.toString());
        assertTrue(packed.out().contains("carried over as it is: " + OTHER + ": ") && packed.out().contains(why), packed.toString());
        Repository.assertWeights(fixture, target);
        PackedModel opened = PackedModel.open(target);
        for (Tensor original : SafetensorsFile.open(other).tensors().values()) {
            Tensor copy = opened.tensors().get(original.name());
            assertNotNull(copy, original.name());
            assertEquals(original.toString(), copy.toString());
            assertEquals(-1, original.slice(0, (int) original.bytes()).mismatch(copy.slice(0, (int) copy.bytes())), original.name());
        }
        Cli verified = Cli.run("verify", target.toString(), "--device", "cpu");
        assertEquals(0, verified.status(), verified.toString());
        assertTrue(verified.out().contains("not packed: ") && verified.out().contains("equal byte for byte"), verified.toString());
        assertEquals(0, Cli.run("verify", model.toString(), "--device", "cpu").status());
        assertTrue(Cli.run("inspect", target.toString()).out().contains("carried over"), "inspect of the packed model says it too");

        damage(target, OTHER);
        Cli found = Cli.run("verify", target.toString(), "--device", "cpu");
        assertEquals(1, found.status(), found.toString());
        assertTrue(found.out().contains("differs from the source at byte 0"), found.toString());
    }

    /** Flips a bit of the first tensor of that layer that was carried over. */
    private static void damage(Path target, String layer) throws IOException {
        for (Tensor tensor : PackedModel.open(target).tensors().values()) {
            if (tensor.name().startsWith(layer)) {
                try (java.io.RandomAccessFile file = new java.io.RandomAccessFile(tensor.file().toFile(), "rw")) {
                    file.seek(tensor.fileOffset());
                    int old = file.read();
                    file.seek(tensor.fileOffset());
                    file.write(old ^ 1);
                }
                return;
            }
        }
        throw new AssertionError("nothing of " + layer + " in " + target);
    }

    private static TestModel gptqThree() {
        Random random = new Random(3);
        return new TestModel().ints(OTHER + ".qweight", random.ints(64 * 3 / 32 * 32).toArray(), 64 * 3 / 32, 32)
                .ints(OTHER + ".qzeros", random.ints(2 * 3).toArray(), 2, 3)
                .floats(OTHER + ".scales", TensorType.F16, new float[2 * 32], 2, 32);
    }

    @Test
    void gptqModelDynamic() throws IOException {
        mixed("gptq_v1_sym_g128", gptqThree(),
                quantization -> quantization.putObject("dynamic").putObject("+:.*down_proj").put("bits", 3).put("group_size", 32),
                "found bits 3; accepted: 4 or 8 bits");
    }

    @Test
    void autoRoundExtraConfig() throws IOException {
        mixed("gptq_v1_sym_channel", gptqThree(), quantization -> quantization.put("quant_method", "auto-round")
                .put("packing_format", "auto_round:auto_gptq").putObject("extra_config").putObject(OTHER).put("bits", 3),
                "found bits 3; accepted: 4 or 8 bits");
    }

    @Test
    void compressedTensorsGroups() throws IOException {
        Random random = new Random(4);
        TestModel other = new TestModel().ints(OTHER + ".weight_packed", random.ints(32 * 64 / 16).toArray(), 32, 64 / 16)
                .floats(OTHER + ".weight_scale", TensorType.BF16, new float[32], 32, 1)
                .longs(OTHER + ".weight_shape", new long[] {32, 64}, 2);
        mixed("ct_pack_asym_g32", other, quantization -> {
            ObjectNode group = ((ObjectNode) quantization.get("config_groups")).putObject("group_1");
            group.putArray("targets").add("re:.*down_proj");
            group.putObject("weights").put("num_bits", 2).put("type", "int").put("strategy", "channel").put("symmetric", true);
        }, "num_bits: found 2; accepted: 4 or 8 bits");
    }

    @Test
    void awqWithAnotherGroupSize() throws IOException {
        TestModel other = new TestModel().ints(OTHER + ".qweight", new int[64 * 4], 64, 4).ints(OTHER + ".qzeros", new int[4 * 4], 4, 4)
                .floats(OTHER + ".scales", TensorType.F16, new float[4 * 32], 4, 32);
        mixed("awq_gemm_g64", other, quantization -> quantization.put("quant_method", "auto-round")
                .put("packing_format", "auto_round:auto_awq").putObject("extra_config").putObject(OTHER).put("group_size", 16),
                "found group_size 16; accepted: -1");
    }
}
