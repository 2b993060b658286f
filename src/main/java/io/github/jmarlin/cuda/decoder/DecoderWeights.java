package io.github.jmarlin.cuda.decoder;

import io.github.jmarlin.DataType;
import io.github.jmarlin.DeviceOutOfMemoryException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.cuda.DeviceWeights;
import io.github.jmarlin.memory.Closing;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.memory.UseCount;
import io.github.jmarlin.plan.PlanOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * A decoder's weights on a device: filled once, by one thread, then only read, by any number of {@link TokenDecoder}s. What it was filled
 * with on the host may be closed. Every method that uploads throws {@link DeviceOutOfMemoryException} if there is no room.
 */
public final class DecoderWeights implements AutoCloseable {
    private final CudaEngine engine;
    private final DecoderShape shape;
    private final PlanOptions options;
    private final UseCount users = new UseCount("decoder weights");
    private final List<AutoCloseable> owned = new ArrayList<>();
    private final List<Block> blocks = new ArrayList<>();
    private DenseWeights embedding;
    private DeviceBuffer norm;
    private DenseWeights head;

    /** One block; norms are FP32, those of heads null where the model has none. */
    record Block(DeviceBuffer attentionNorm, List<DeviceProjection> qkv, DeviceBuffer queryNorm, DeviceBuffer keyNorm,
            DeviceProjection output, DeviceBuffer feedForwardNorm, List<DeviceProjection> gateUp, DeviceProjection down) {
    }

    /** @param options how products with packed weights run; with {@link PlanOptions#batchInvariant} a row's bits depend on it alone */
    public DecoderWeights(CudaEngine engine, DecoderShape shape, PlanOptions options) {
        this.engine = engine;
        this.shape = shape;
        this.options = options;
    }

    /** Uploads a layer in 4 bits. */
    public DeviceProjection packed(PackedWeights packed) {
        if (packed.computeType() != shape.type()) {
            throw new IllegalArgumentException("weights for " + packed.computeType() + " in a decoder of " + shape.type());
        }
        DeviceWeights weights = own(engine.upload(packed));
        return new DeviceProjection.Packed(weights.gatheredGemm(options), weights.hasInputOrder() ? weights.inputGather() : null);
    }

    /** Uploads a layer, a table or a head of numbers in full precision, with the arguments of {@link DenseWeights}. */
    public DenseWeights dense(DataType from, NativeMemory data, int n, int k, float[] bias) {
        return own(new DenseWeights(engine, shape.type(), from, data, n, k, bias));
    }

    /** A layer of those numbers. */
    public static DeviceProjection projection(DenseWeights weights) {
        return new DeviceProjection.Dense(weights);
    }

    /** What comes before and after the blocks. Embedding and head may be the same. */
    public void ends(DenseWeights embeddingTable, float[] lastNorm, DenseWeights headMatrix) {
        check("embedding", embeddingTable.n(), embeddingTable.k(), shape.vocabulary(), shape.hidden());
        check("head", headMatrix.n(), headMatrix.k(), shape.vocabulary(), shape.hidden());
        embedding = embeddingTable;
        norm = vector(lastNorm, shape.hidden(), "norm");
        head = headMatrix;
    }

    /**
     * The next block.
     *
     * @param attentionNorm factors of the RMSNorm before attention, {@code [hidden]}
     * @param qkv one or more layers whose outputs, one behind the other, are q, k and v
     * @param queryNorm factors of the norm over each query head, {@code [head size]}, or null; of both heads or of none
     * @param keyNorm the same for key heads
     * @param feedForwardNorm factors of the RMSNorm before gate and up, {@code [hidden]}
     * @param gateUp one or more layers whose outputs are gate, then up; or one with the two in turn
     */
    public void block(float[] attentionNorm, List<DeviceProjection> qkv, float[] queryNorm, float[] keyNorm, DeviceProjection output,
            float[] feedForwardNorm, List<DeviceProjection> gateUp, DeviceProjection down) {
        check("q, k and v", qkv, shape.qkv(), shape.hidden());
        check("output", List.of(output), shape.hidden(), shape.queries());
        check("gate and up", gateUp, 2 * shape.intermediate(), shape.hidden());
        check("down", List.of(down), shape.hidden(), shape.intermediate());
        boolean fused = gateUp.size() == 1 && gateUp.get(0).isInterleaved();
        if (Stream.of(qkv.stream(), Stream.of(output, down), fused ? Stream.<DeviceProjection>empty() : gateUp.stream())
                .flatMap(layers -> layers).anyMatch(DeviceProjection::isInterleaved)) {
            throw new IllegalArgumentException("columns of gate and up in turn in a layer that is not gate and up");
        }
        if ((queryNorm == null) != (keyNorm == null)) {
            throw new IllegalArgumentException("a norm of " + (queryNorm == null ? "keys" : "queries") + " alone");
        }
        blocks.add(new Block(vector(attentionNorm, shape.hidden(), "attention norm"), List.copyOf(qkv),
                queryNorm == null ? null : vector(queryNorm, shape.headSize(), "query norm"),
                keyNorm == null ? null : vector(keyNorm, shape.headSize(), "key norm"), output,
                vector(feedForwardNorm, shape.hidden(), "feed-forward norm"), List.copyOf(gateUp), down));
    }

    private static void check(String what, List<DeviceProjection> layers, int n, int k) {
        int outputs = layers.stream().mapToInt(DeviceProjection::n).sum();
        for (DeviceProjection layer : layers) {
            check(what, outputs, layer.k(), n, k);
        }
    }

    private static void check(String what, int n, int k, int neededN, int neededK) {
        if (n != neededN || k != neededK) {
            throw new IllegalArgumentException(what + " of n " + n + ", k " + k + ": the decoder's shape needs n " + neededN + ", k "
                    + neededK);
        }
    }

    private DeviceBuffer vector(float[] values, int elements, String what) {
        if (values.length != elements) {
            throw new IllegalArgumentException(what + " of " + values.length + " elements: " + elements + " needed");
        }
        return own(Floats.upload(engine, values, what));
    }

    private <T extends AutoCloseable> T own(T resource) {
        owned.add(resource);
        return resource;
    }

    /** Decoders hold it. */
    UseCount users() {
        return users;
    }

    CudaEngine engine() {
        return engine;
    }

    DecoderShape shape() {
        return shape;
    }

    List<Block> blocks() {
        return blocks;
    }

    /** @throws IllegalStateException before {@link #ends} */
    DenseWeights embedding() {
        if (embedding == null) {
            throw new IllegalStateException("decoder weights without embedding and head");
        }
        return embedding;
    }

    DeviceBuffer norm() {
        return norm;
    }

    DenseWeights head() {
        return head;
    }

    /** All layers in 4 bits or 16. */
    List<DeviceProjection> projections() {
        List<DeviceProjection> all = new ArrayList<>();
        for (Block block : blocks) {
            all.addAll(block.qkv());
            all.add(block.output());
            all.addAll(block.gateUp());
            all.add(block.down());
        }
        return all;
    }

    /**
     * Frees the device memory. A second call does nothing.
     *
     * @throws IllegalStateException while a decoder is open that reads it
     */
    @Override
    public void close() {
        if (users.close()) {
            Closing.all(owned);
        }
    }
}
