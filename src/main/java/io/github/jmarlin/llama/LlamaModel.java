package io.github.jmarlin.llama;

import java.util.List;

/**
 * A model's weights on the host, for any device; where they lie in files they are read in place. Immutable and thread-safe. Must stay
 * open while a decoder uses it.
 */
public final class LlamaModel implements AutoCloseable {
    private final LlamaConfig config;
    private final DenseMatrix embedding;
    private final List<Block> blocks;
    private final float[] norm;
    private final Projection head;
    private final List<? extends AutoCloseable> owned;

    /**
     * One block.
     *
     * @param attentionNorm factors of the RMSNorm before attention, {@code [hidden]}
     * @param qkv q, k and v: either one projection with their outputs one behind the other, or three
     * @param queryNorm factors of the norm over each query head, {@code [head size]}; null without
     * @param keyNorm the same for key heads
     * @param output from the heads to the residual stream
     * @param feedForwardNorm factors of the RMSNorm before gate and up, {@code [hidden]}
     * @param gateUp gate and up: either one projection with gate's outputs first, or two
     * @param down from the intermediate elements to the residual stream
     */
    public record Block(float[] attentionNorm, List<Projection> qkv, float[] queryNorm, float[] keyNorm, Projection output,
            float[] feedForwardNorm, List<Projection> gateUp, Projection down) {
        /** Copies the lists. */
        public Block {
            qkv = List.copyOf(qkv);
            gateUp = List.copyOf(gateUp);
        }
    }

    /**
     * Weights that somebody has already.
     *
     * @param embedding {@code [vocabulary][hidden]}
     * @param norm factors of the last RMSNorm, {@code [hidden]}
     * @param head from the residual stream to the logits
     * @param owned what {@link #close} closes, in this order
     */
    LlamaModel(LlamaConfig config, DenseMatrix embedding, List<Block> blocks, float[] norm, Projection head,
            List<? extends AutoCloseable> owned) {
        this.config = config;
        this.embedding = embedding;
        this.blocks = List.copyOf(blocks);
        this.norm = norm;
        this.head = head;
        this.owned = List.copyOf(owned);
    }

    /** Its shape. */
    public LlamaConfig config() {
        return config;
    }

    /** A row of {@code hidden} elements for each token. */
    public DenseMatrix embedding() {
        return embedding;
    }

    /** The blocks, first to last. */
    public List<Block> blocks() {
        return blocks;
    }

    /** Factors of the RMSNorm before the head. */
    public float[] norm() {
        return norm;
    }

    /** What makes logits; around the matrix of {@link #embedding} if they are tied. */
    public Projection head() {
        return head;
    }

    /** Frees what the model itself holds; what it reads in files' maps stays. */
    @Override
    public void close() {
        owned.forEach(LlamaModel::close);
    }

    private static void close(AutoCloseable owned) {
        try {
            owned.close();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
