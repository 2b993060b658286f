package io.github.jmarlin.checkpoint;

import io.github.jmarlin.checkpoint.container.SafetensorsWriter;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.layout.HalfFloats;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.LongStream;

/** A small model folder made by hand, tensor by tensor. */
public final class TestModel {
    private final Map<String, Entry> tensors = new LinkedHashMap<>();

    private record Entry(TensorType type, List<Long> shape, ByteBuffer bytes) {
    }

    public TestModel ints(String name, int[] values, long... shape) {
        ByteBuffer bytes = buffer(values.length * Integer.BYTES);
        bytes.asIntBuffer().put(values);
        return add(name, TensorType.I32, bytes, shape);
    }

    public TestModel longs(String name, long[] values, long... shape) {
        ByteBuffer bytes = buffer(values.length * Long.BYTES);
        bytes.asLongBuffer().put(values);
        return add(name, TensorType.I64, bytes, shape);
    }

    public TestModel floats(String name, TensorType type, float[] values, long... shape) {
        ByteBuffer bytes = buffer(values.length * type.bits() / 8);
        for (float value : values) {
            switch (type) {
                case F16 -> bytes.putShort(HalfFloats.toFp16(value));
                case BF16 -> bytes.putShort(HalfFloats.toBf16(value));
                case F32 -> bytes.putFloat(value);
                default -> throw new IllegalArgumentException("" + type);
            }
        }
        return add(name, type, bytes.flip(), shape);
    }

    public TestModel add(String name, TensorType type, ByteBuffer bytes, long... shape) {
        tensors.put(name, new Entry(type, LongStream.of(shape).boxed().toList(), bytes));
        return this;
    }

    public TestModel remove(String name) {
        tensors.remove(name);
        return this;
    }

    /**
     * A GPTQ layer of random codes.
     *
     * @param zeroWords the stored words of the zero points, {@code [groups][n / 8]}
     */
    public TestModel gptqLayer(String name, int k, int n, int groupSize, int[] zeroWords, long seed) {
        Random random = new Random(seed);
        int groups = groupSize == -1 ? 1 : (k - 1) / groupSize + 1;
        ints(name + ".qweight", random.ints((long) k / 8 * n).toArray(), k / 8, n);
        ints(name + ".qzeros", zeroWords, groups, n / 8);
        float[] scales = new float[groups * n];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = 0.001f + 0.01f * random.nextFloat();
        }
        return floats(name + ".scales", TensorType.F16, scales, groups, n);
    }

    public static int[] repeat(int word, int count) {
        int[] words = new int[count];
        java.util.Arrays.fill(words, word);
        return words;
    }

    /** Writes {@code model.safetensors} and, unless null, {@code config.json}. */
    public Path write(Path folder, String config) throws IOException {
        Files.createDirectories(folder);
        writeFile(folder.resolve("model.safetensors"));
        if (config != null) {
            Files.writeString(folder.resolve("config.json"), config);
        }
        return folder;
    }

    public Path writeFile(Path file) throws IOException {
        SafetensorsWriter.Layout layout = new SafetensorsWriter.Layout();
        tensors.forEach((name, entry) -> layout.add(name, entry.type, entry.shape));
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, layout, Map.of("format", "pt"))) {
            for (Map.Entry<String, Entry> tensor : tensors.entrySet()) {
                writer.write(tensor.getKey(), 0, tensor.getValue().bytes);
            }
            writer.commit();
        }
        return file;
    }

    public static String quantization(String json) {
        return "{\"quantization_config\": " + json + "}";
    }

    /** A safetensors file with this very header and data. */
    public static Path raw(Path file, String header, byte[] data) throws IOException {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes = buffer(Long.BYTES + json.length + data.length);
        bytes.putLong(json.length).put(json).put(data);
        return Files.write(file, bytes.array());
    }

    public static ByteBuffer buffer(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
