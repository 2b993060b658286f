package io.github.jmarlin.bench.decode;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.Operands;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.llama.DenseMatrix;
import io.github.jmarlin.llama.LlamaConfig;
import io.github.jmarlin.llama.LlamaModel;
import io.github.jmarlin.llama.Projection;
import io.github.jmarlin.llama.Rotary;
import io.github.jmarlin.memory.NativeMemory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** Random weights in the shape of a model: its products cost what the model's cost, whatever it says. */
public final class SyntheticModel {
    private static final int GROUP_SIZE = 128;
    private static final int MOST_POSITIONS = 8192;

    private SyntheticModel() {
    }

    /**
     * The shape of a model.
     *
     * @param name as published
     * @param layers blocks of the whole model
     * @param vocabulary rows of its head
     */
    public record Shape(String name, int hidden, int intermediate, int layers, int heads, int keyValueHeads, int headSize, int vocabulary) {
        /** TinyLlama's: what runs fast enough anywhere. */
        public static final Shape ONE_BILLION = new Shape("TinyLlama 1.1B", 2048, 5632, 22, 32, 4, 64, 32_000);
        /** Llama 3.1's small one. */
        public static final Shape EIGHT_BILLION = new Shape("Llama-3.1 8B", 4096, 14_336, 32, 32, 8, 128, 128_256);
        /** Llama 3.1's middle one. */
        public static final Shape SEVENTY_BILLION = new Shape("Llama-3.1 70B", 8192, 28_672, 80, 64, 8, 128, 128_256);

        /** With other extents than the whole model's. */
        LlamaConfig config(int blocks, int headRows) {
            double[] frequencies = IntStream.range(0, headSize / 2).mapToDouble(i -> Math.pow(10_000, -2.0 * i / headSize)).toArray();
            float[] rounded = new float[frequencies.length];
            for (int i = 0; i < rounded.length; i++) {
                rounded[i] = (float) frequencies[i];
            }
            return new LlamaConfig("llama", headRows, hidden, intermediate, blocks,
                    new LlamaConfig.Attention(heads, keyValueHeads, headSize, false, false, false), false, 1e-5f, new Rotary(rounded),
                    MOST_POSITIONS, true, Set.of());
        }
    }

    /**
     * A model with tied head and embedding in fp16.
     *
     * @param blocks how many of the shape's blocks
     * @param headRows how many rows of the vocabulary
     * @param dense whether the layers are in fp16 instead of 4 bits: the same weights, rounded
     */
    public static LlamaModel of(Shape shape, int blocks, int headRows, boolean dense) {
        LlamaConfig config = shape.config(blocks, headRows);
        List<AutoCloseable> owned = new ArrayList<>();
        DenseMatrix embedding = table(headRows, shape.hidden(), owned);
        float[] ones = new float[shape.hidden()];
        Arrays.fill(ones, 1);
        int queries = config.attention().queries();
        List<LlamaModel.Block> all = new ArrayList<>();
        for (int i = 0; i < blocks; i++) {
            all.add(new LlamaModel.Block(ones,
                    List.of(projection(shape.hidden(), queries + 2 * config.attention().keys(), dense, owned)), null, null,
                    projection(queries, shape.hidden(), dense, owned), ones,
                    List.of(projection(shape.hidden(), 2 * shape.intermediate(), dense, owned)),
                    projection(shape.intermediate(), shape.hidden(), dense, owned)));
        }
        return new LlamaModel(config, embedding, all, ones, new Projection.Dense(embedding), owned);
    }

    /** Bytes that the weights of a model take on the host. */
    public static long bytes(Shape shape, int blocks, int headRows, boolean dense) {
        long head = 2L * headRows * shape.hidden();
        long weights = (long) shape.hidden() * (2L * shape.heads() * shape.headSize() + 2L * shape.keyValueHeads() * shape.headSize()
                + 3L * shape.intermediate());
        return head + blocks * (dense ? 2 * weights : weights / 2 + weights / GROUP_SIZE * 2);
    }

    private static Projection projection(int k, int n, boolean dense, List<AutoCloseable> owned) {
        try (QuantizedMatrix matrix = Operands.weights(new LayerShape("", k, n), GROUP_SIZE, DataType.FP16)) {
            if (!dense) {
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
                owned.add(packed);
                return new Projection.Packed(packed);
            }
            NativeMemory data = NativeMemory.allocate(2L * n * k, 2L * k);
            owned.add(data);
            IntStream.range(0, n).parallel().forEach(column -> {
                for (int row = 0; row < k; row++) {
                    data.putShort(2 * ((long) column * k + row), HalfFloats.toFp16(matrix.weight(row, column)));
                }
            });
            return new Projection.Dense(new DenseMatrix(DataType.FP16, data, n, k, null));
        }
    }

    private static DenseMatrix table(int rows, int columns, List<AutoCloseable> owned) {
        NativeMemory data = NativeMemory.allocate(2L * rows * columns, 2L * columns);
        owned.add(data);
        IntStream.range(0, rows).parallel().forEach(row -> {
            SplittableRandom random = new SplittableRandom(row);
            for (int column = 0; column < columns; column++) {
                data.putShort(2 * ((long) row * columns + column), HalfFloats.toFp16((float) random.nextDouble(-0.05, 0.05)));
            }
        });
        return new DenseMatrix(DataType.FP16, data, rows, columns, null);
    }
}
