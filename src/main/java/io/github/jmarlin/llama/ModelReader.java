package io.github.jmarlin.llama;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Puts a model together from the tensors and layers of a folder, and checks that they fit the configuration. */
final class ModelReader {
    private static final Map<TensorType, DataType> TYPES = Map.of(TensorType.F16, DataType.FP16, TensorType.BF16, DataType.BF16,
            TensorType.F32, DataType.FP32);

    private static final String EMBEDDING = "model.embed_tokens";

    private final Path folder;
    private final LlamaConfig config;
    private final Map<String, Tensor> tensors;
    private final Layers layers;
    private final List<AutoCloseable> owned = new ArrayList<>();

    /** Where quantized layers come from. */
    interface Layers {
        /** The layer of that name, or null if it is not quantized. */
        Source find(String name);
    }

    /** A quantized layer of a folder. */
    interface Source {
        int k();

        int n();

        boolean hasBias();

        /** Its weights for {@link Projection.Packed}; those that {@code owned} does not hold lie in a file's map. */
        PackedWeights packed(List<AutoCloseable> owned);

        /** Its codes and scales; the caller closes them. */
        QuantizedMatrix read();
    }

    private final LlamaModel.Options options;

    ModelReader(Path folder, LlamaConfig config, Map<String, Tensor> tensors, Layers layers, LlamaModel.Options options) {
        this.folder = folder;
        this.config = config;
        this.tensors = tensors;
        this.layers = layers;
        this.options = options;
    }

    LlamaModel read() throws IOException {
        try {
            DenseMatrix embedding = embedding();
            List<LlamaModel.Block> blocks = new ArrayList<>();
            for (int i = 0; i < config.layers(); i++) {
                blocks.add(block("model.layers." + i + "."));
            }
            float[] norm = vector("model.norm.weight", config.hidden());
            Projection head = config.tied() ? tiedHead(embedding)
                    : projection("lm_head", config.hidden(), config.vocabulary(), false);
            return new LlamaModel(config, embedding, blocks, norm, head, owned);
        } catch (RuntimeException | Error | IOException e) {
            LlamaModel.close(owned);
            throw e;
        }
    }

    /** The table of embeddings, whose rows are looked up: in full precision even if the folder has it quantized. */
    private DenseMatrix embedding() throws IOException {
        Source table = layers.find(EMBEDDING);
        if (table == null) {
            return matrix(EMBEDDING, config.vocabulary(), config.hidden(), null);
        }
        checkShape(EMBEDDING, table, config.hidden(), config.vocabulary());
        return dequantized(table);
    }

    /** The table once more, as a layer. */
    private Projection tiedHead(DenseMatrix embedding) throws IOException {
        return layers.find(EMBEDDING) == null || options.weights() == LlamaModel.Weights.DENSE ? new Projection.Dense(embedding)
                : projection(EMBEDDING, config.hidden(), config.vocabulary(), false);
    }

    private LlamaModel.Block block(String prefix) throws IOException {
        LlamaConfig.Attention attention = config.attention();
        int hidden = config.hidden();
        boolean bias = attention.inputBias();
        String heads = prefix + "self_attn.";
        String feedForward = prefix + "mlp.";
        if (layers.find(feedForward + "gate_up_proj") != null) {
            throw new UnsupportedCheckpointException(folder, "layer " + feedForward + "gate_up_proj",
                    "gate and up in one layer, their columns in turn",
                    "two layers, as jmarlin pack without --interleave-gate-up writes them");
        }
        return new LlamaModel.Block(vector(prefix + "input_layernorm.weight", hidden),
                joined(List.of(projection(heads + "q_proj", hidden, attention.queries(), bias),
                        projection(heads + "k_proj", hidden, attention.keys(), bias),
                        projection(heads + "v_proj", hidden, attention.keys(), bias))),
                attention.headNorm() ? vector(heads + "q_norm.weight", attention.headSize()) : null,
                attention.headNorm() ? vector(heads + "k_norm.weight", attention.headSize()) : null,
                projection(heads + "o_proj", attention.queries(), hidden, attention.outputBias()),
                vector(prefix + "post_attention_layernorm.weight", hidden),
                joined(List.of(projection(feedForward + "gate_proj", hidden, config.intermediate(), config.feedForwardBias()),
                        projection(feedForward + "up_proj", hidden, config.intermediate(), config.feedForwardBias()))),
                projection(feedForward + "down_proj", config.intermediate(), hidden, config.feedForwardBias()));
    }

    /** One projection of all of them if they are of one kind; else they stay as they are. */
    private List<Projection> joined(List<Projection> parts) {
        List<PackedWeights> packed = new ArrayList<>();
        for (Projection part : parts) {
            if (!(part instanceof Projection.Packed weights) || options.inPlace() && !owned.contains(weights.weights())) {
                return parts;
            }
            packed.add(weights.weights());
        }
        if (!JoinedWeights.fit(packed)) {
            return parts;
        }
        PackedWeights whole = JoinedWeights.join(packed);
        for (PackedWeights part : packed) {
            if (owned.remove(part)) {
                part.close();
            }
        }
        owned.add(whole);
        return List.of(new Projection.Packed(whole));
    }

    private Projection projection(String name, int k, int n, boolean needsBias) throws IOException {
        Source layer = layers.find(name);
        if (layer == null) {
            return new Projection.Dense(matrix(name, n, k, bias(name, n, needsBias)));
        }
        checkShape(name, layer, k, n);
        if (needsBias && !layer.hasBias()) {
            bias(name, n, true);
        }
        if (options.weights() != LlamaModel.Weights.DENSE) {
            return new Projection.Packed(layer.packed(owned));
        }
        return new Projection.Dense(dequantized(layer));
    }

    private void checkShape(String name, Source layer, int k, int n) {
        if (layer.k() != k || layer.n() != n) {
            throw new MalformedCheckpointException(folder, "layer " + name, "k " + layer.k() + ", n " + layer.n(),
                    "config.json asks for k " + k + ", n " + n);
        }
    }

    private DenseMatrix dequantized(Source layer) {
        try (QuantizedMatrix matrix = layer.read()) {
            NativeMemory data = DenseMatrix.memory(matrix.n(), matrix.k());
            owned.add(data);
            return DenseMatrix.dequantized(matrix, data);
        }
    }

    private float[] bias(String name, int n, boolean needed) {
        String bias = name + ".bias";
        return needed || tensors.containsKey(bias) ? vector(bias, n) : null;
    }

    private DenseMatrix matrix(String name, int rows, int columns, float[] bias) throws IOException {
        Tensor tensor = tensor(name + ".weight", rows, columns);
        DataType type = TYPES.get(tensor.type());
        NativeMemory data = tensor.memory((long) columns * type.bytes());
        if (!tensor.isMapped()) {
            owned.add(data);
        }
        DenseMatrix matrix = new DenseMatrix(type, data, rows, columns, bias);
        long place = matrix.firstNonFinite();
        if (place >= 0) {
            throw tensor.malformed(place * type.bytes(), "infinity or NaN", "must be finite");
        }
        return matrix;
    }

    private float[] vector(String name, int elements) {
        return Floats.read(tensor(name, elements), 0, elements);
    }

    /** A tensor in full precision of this very shape. */
    private Tensor tensor(String name, int... shape) {
        Tensor tensor = tensors.get(name);
        if (tensor == null) {
            throw new MalformedCheckpointException(folder, "tensor " + name, "nothing", "a " + config.modelType()
                    + " with this config.json has it");
        }
        List<Long> expected = IntStream.of(shape).mapToObj(extent -> (long) extent).toList();
        if (!tensor.shape().equals(expected)) {
            throw tensor.malformed("shape " + tensor.shape(), "config.json asks for " + expected);
        }
        if (!TYPES.containsKey(tensor.type())) {
            throw new UnsupportedCheckpointException(tensor.file(), "tensor " + name, "dtype " + tensor.type(), "F16, BF16 or F32");
        }
        return tensor;
    }
}
