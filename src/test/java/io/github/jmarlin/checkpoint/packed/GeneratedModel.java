package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.SafetensorsWriter;
import io.github.jmarlin.checkpoint.container.TensorInfo;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.layout.HalfFloats;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * A GPTQ checkpoint of random weights with the layer shapes of a Llama, for measurements: in memory it needs one megabyte.
 *
 * <p>{@code GeneratedModel FOLDER BLOCKS [HIDDEN INTERMEDIATE KV VOCABULARY]}; 32 blocks with the defaults have the size of
 * Llama-3.1-8B, 16 or so the largest that a small disk holds twice.
 */
public final class GeneratedModel {
    private static final int GROUP = 128;

    private GeneratedModel() {
    }

    /** See the class. */
    public static void main(String[] args) throws IOException {
        int[] sizes = {4096, 14336, 1024, 128256};
        for (int i = 2; i < args.length; i++) {
            sizes[i - 2] = Integer.parseInt(args[i]);
        }
        write(Path.of(args[0]), Integer.parseInt(args[1]), sizes[0], sizes[1], sizes[2], sizes[3]);
    }

    static void write(Path folder, int blocks, int hidden, int intermediate, int kv, int vocabulary) throws IOException {
        Files.createDirectories(folder);
        Files.writeString(folder.resolve("config.json"), TestModel.quantization(
                "{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128,\"desc_act\":false,\"sym\":true}"));
        StringBuilder index = new StringBuilder("{\"weight_map\":{");
        for (int block = 0; block < blocks; block++) {
            Map<String, int[]> layers = new LinkedHashMap<>();
            String prefix = "model.layers." + block + ".";
            layers.put(prefix + "self_attn.q_proj", new int[] {hidden, hidden});
            layers.put(prefix + "self_attn.k_proj", new int[] {hidden, kv});
            layers.put(prefix + "self_attn.v_proj", new int[] {hidden, kv});
            layers.put(prefix + "self_attn.o_proj", new int[] {hidden, hidden});
            layers.put(prefix + "mlp.gate_proj", new int[] {hidden, intermediate});
            layers.put(prefix + "mlp.up_proj", new int[] {hidden, intermediate});
            layers.put(prefix + "mlp.down_proj", new int[] {intermediate, hidden});
            SafetensorsWriter.Layout layout = new SafetensorsWriter.Layout();
            layers.forEach((name, shape) -> addLayer(layout, name, shape[0], shape[1]));
            layout.add(prefix + "input_layernorm.weight", TensorType.F16, hidden);
            writeFile(folder, "model-" + block + ".safetensors", layout, block, index);
        }
        SafetensorsWriter.Layout rest = new SafetensorsWriter.Layout()
                .add("lm_head.weight", TensorType.F16, vocabulary, hidden)
                .add("model.embed_tokens.weight", TensorType.F16, vocabulary, hidden);
        writeFile(folder, "model-rest.safetensors", rest, -1, index);
        index.setLength(index.length() - 1);
        Files.writeString(folder.resolve("model.safetensors.index.json"), index.append("}}"));
    }

    private static void addLayer(SafetensorsWriter.Layout layout, String name, int k, int n) {
        int groups = (k - 1) / GROUP + 1;
        layout.add(name + ".qweight", TensorType.I32, k / 8, n);
        layout.add(name + ".qzeros", TensorType.I32, groups, n / 8);
        layout.add(name + ".g_idx", TensorType.I32, k);
        layout.add(name + ".scales", TensorType.F16, groups, n);
    }

    private static void writeFile(Path folder, String file, SafetensorsWriter.Layout layout, long seed, StringBuilder index)
            throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        ByteBuffer piece = TestModel.buffer(1 << 20);
        try (SafetensorsWriter writer = SafetensorsWriter.create(folder.resolve(file), layout, Map.of("format", "pt"))) {
            for (TensorInfo tensor : layout.tensors()) {
                index.append('"').append(tensor.name()).append("\":\"").append(file).append("\",");
                for (long at = 0; at < tensor.bytes(); at += piece.capacity()) {
                    int length = (int) Math.min(piece.capacity(), tensor.bytes() - at);
                    fill(piece.clear().limit(length), tensor, at, random);
                    writer.write(tensor.name(), at, piece.position(0));
                }
            }
            writer.commit();
        }
    }

    private static void fill(ByteBuffer piece, TensorInfo tensor, long at, SplittableRandom random) {
        for (int i = 0; i < piece.limit(); i += tensor.type().bits() / 8) {
            if (tensor.name().endsWith("qzeros")) {
                piece.putInt(i, 0x77777777);
            } else if (tensor.name().endsWith("g_idx")) {
                piece.putInt(i, (int) ((at + i) / 4 / GROUP));
            } else if (tensor.type() == TensorType.I32) {
                piece.putInt(i, random.nextInt());
            } else {
                piece.putShort(i, HalfFloats.toFp16(0.001f + 0.01f * (random.nextInt() >>> 8) / (1 << 24)));
            }
        }
    }
}
