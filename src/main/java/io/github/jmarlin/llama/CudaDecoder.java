package io.github.jmarlin.llama;

import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.cuda.decoder.DecoderShape;
import io.github.jmarlin.cuda.decoder.DecoderWeights;
import io.github.jmarlin.cuda.decoder.DenseWeights;
import io.github.jmarlin.cuda.decoder.DeviceProjection;
import io.github.jmarlin.cuda.decoder.TokenDecoder;
import io.github.jmarlin.memory.Closing;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.plan.PlanOptions;
import java.util.List;
import java.util.stream.Stream;

/**
 * A model on a GPU. Activations, caches and dense weights are of the type that 4-bit layers were packed for; without such layers BF16 if
 * the embedding is, else FP16. The residual stream and the logits are FP32. A quantized head is dequantized: its logits are not to be
 * rounded. What a block computes has a relative error of at most 2e-3 in FP16 and 1.5e-2 in BF16, some four times a product's.
 */
public final class CudaDecoder implements Decoder {
    /** Rows of a step: enough for the products to be worth their reading of the weights. */
    private static final int MOST_ROWS = 512;

    private final LlamaConfig config;
    private final StepCheck check;
    private final CudaEngine engine;
    private final DecoderWeights weights;
    private final TokenDecoder decoder;
    private boolean closed;

    /**
     * Places a model; it may be closed afterwards.
     *
     * @param sequences that the cache has room for
     * @param positions of each of them
     * @param options how packed products run; {@link PlanOptions#batchInvariant} makes a row's bits depend on its sequence alone
     * @throws IllegalArgumentException if the model has fewer positions, or a shape that the kernels do not take
     * @throws JMarlinException if there are no kernels for the device, or it has too little memory
     */
    public CudaDecoder(CudaDevice device, LlamaModel model, int sequences, int positions, PlanOptions options) {
        config = model.config();
        check = new StepCheck(config, sequences, positions, MOST_ROWS);
        LlamaConfig.Attention attention = config.attention();
        DecoderShape shape = new DecoderShape(type(model), config.vocabulary(), config.hidden(), config.intermediate(), attention.heads(),
                attention.keyValueHeads(), attention.headSize(), config.epsilon());
        engine = CudaEngine.ofPrimaryContext(device);
        DecoderWeights uploaded = new DecoderWeights(engine, shape, options);
        try {
            upload(model, uploaded);
            decoder = new TokenDecoder(uploaded, sequences, positions, MOST_ROWS, angles(positions));
        } catch (Throwable e) {
            Closing.after(e, uploaded, engine);
            throw e;
        }
        weights = uploaded;
    }

    private static DataType type(LlamaModel model) {
        List<DataType> packed = model.blocks().stream()
                .flatMap(block -> Stream.of(block.qkv().stream(), Stream.of(block.output(), block.down()), block.gateUp().stream()))
                .flatMap(layers -> layers).filter(Projection.Packed.class::isInstance)
                .map(layer -> ((Projection.Packed) layer).weights().computeType()).distinct().toList();
        if (packed.size() > 1) {
            throw new IllegalArgumentException("layers packed for " + packed + ": a GPU decoder has activations of one type");
        }
        return !packed.isEmpty() ? packed.get(0) : model.embedding().type() == DataType.BF16 ? DataType.BF16 : DataType.FP16;
    }

    // ---- upload ----

    private static void upload(LlamaModel model, DecoderWeights to) {
        DenseWeights embedding = dense(model.embedding(), to);
        boolean tied = model.head() instanceof Projection.Dense head && head.matrix() == model.embedding();
        to.ends(embedding, model.norm(), tied ? embedding : head(model.head(), to));
        for (LlamaModel.Block block : model.blocks()) {
            to.block(block.attentionNorm(), projections(block.qkv(), to), block.queryNorm(), block.keyNorm(),
                    projection(block.output(), to), block.feedForwardNorm(), projections(block.gateUp(), to), projection(block.down(), to));
        }
    }

    private static DenseWeights dense(DenseMatrix matrix, DecoderWeights to) {
        return to.dense(matrix.type(), matrix.data(), matrix.n(), matrix.k(), matrix.bias());
    }

    private static DenseWeights head(Projection head, DecoderWeights to) {
        if (head instanceof Projection.Dense full) {
            return dense(full.matrix(), to);
        }
        try (QuantizedMatrix matrix = ((Projection.Packed) head).weights().unpack();
                NativeMemory data = DenseMatrix.memory(matrix.n(), matrix.k())) {
            return dense(DenseMatrix.dequantized(matrix, data), to);
        }
    }

    private static List<DeviceProjection> projections(List<Projection> layers, DecoderWeights to) {
        return layers.stream().map(layer -> projection(layer, to)).toList();
    }

    private static DeviceProjection projection(Projection layer, DecoderWeights to) {
        return layer instanceof Projection.Packed packed ? to.packed(packed.weights())
                : DecoderWeights.projection(dense(((Projection.Dense) layer).matrix(), to));
    }

    private float[] angles(int positions) {
        int headSize = config.attention().headSize();
        float[] angles = new float[Math.multiplyExact(positions, headSize)];
        float[] cosines = new float[headSize / 2];
        float[] sines = new float[headSize / 2];
        for (int position = 0; position < positions; position++) {
            config.rotary().at(position, cosines, sines, 0);
            System.arraycopy(cosines, 0, angles, position * headSize, headSize / 2);
            System.arraycopy(sines, 0, angles, position * headSize + headSize / 2, headSize / 2);
        }
        return angles;
    }

    // ---- steps ----

    @Override
    public LlamaConfig config() {
        return config;
    }

    @Override
    public int sequences() {
        return check.sequences();
    }

    @Override
    public int positions() {
        return check.positions();
    }

    @Override
    public int mostRows() {
        return check.mostRows();
    }

    @Override
    public float[] logits(Step step) {
        accept(step);
        return decoder.logits(step.tokens(), step.sequences(), step.positions(), step.outputs());
    }

    @Override
    public int[] argmax(Step step) {
        accept(step);
        return decoder.ids(step.tokens(), step.sequences(), step.positions(), step.outputs());
    }

    private void accept(Step step) {
        if (closed) {
            throw new IllegalStateException("this decoder is closed");
        }
        check.accept(step);
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            Closing.all(decoder, weights, engine);
        }
    }
}
