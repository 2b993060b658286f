package io.github.jmarlin.llama;

import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

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

    /** In which form linear layers are used. */
    public enum Weights {
        /** As the folder holds them: in 4 bits or in full precision. */
        STORED,
        /** Those in full precision quantized when they are read. */
        QUANTIZED,
        /** Those in 4 bits dequantized to fp32 when they are read. */
        DENSE
    }

    /**
     * How a folder is read.
     *
     * @param weights in which form linear layers are used
     * @param quantization how layers in full precision are quantized, with {@link Weights#QUANTIZED}
     * @param inPlace the device multiplies with weights where they lie in a file's map: joining those would cost a copy
     */
    public record Options(Weights weights, DenseQuantization quantization, boolean inPlace) {
        /** Nothing quantized, for the processor. */
        public static final Options STORED = new Options(Weights.STORED, DenseQuantization.DEFAULT, true);
    }

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
    public LlamaModel(LlamaConfig config, DenseMatrix embedding, List<Block> blocks, float[] norm, Projection head,
            List<? extends AutoCloseable> owned) {
        this.config = config;
        this.embedding = embedding;
        this.blocks = List.copyOf(blocks);
        this.norm = norm;
        this.head = head;
        this.owned = List.copyOf(owned);
    }

    /**
     * Opens a model: a folder, packed or as people download it, or a GGUF file.
     *
     * @throws MalformedCheckpointException if a file breaks its format, or a tensor is missing or contradicts config.json
     * @throws UnsupportedCheckpointException if this decoder does not run the architecture, or the library a layer's format
     * @throws IOException if a file cannot be read
     */
    public static LlamaModel open(Path folder, Options options) throws IOException {
        boolean packed = PackedModel.isPacked(folder);
        if (packed && options.weights() == Weights.QUANTIZED) {
            throw new UnsupportedCheckpointException(folder, "--quantize", "a packed model",
                    "one that is not packed yet: what is in full precision in a packed model was left so (jmarlin pack --quantize)");
        }
        if (packed) {
            LlamaConfig config = LlamaConfig.read(folder);
            PackedModel model = PackedModel.open(folder);
            return new ModelReader(folder, config, model.tensors(), new PackedLayers(model), options).read();
        }
        Checkpoint checkpoint = Checkpoint.open(folder, options.quantization());
        LlamaConfig config = LlamaConfig.read(checkpoint);
        return new ModelReader(folder, config, checkpoint.tensors(),
                new CheckpointLayers(checkpoint, options.weights() == Weights.QUANTIZED), options).read();
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

    /** All linear layers and the head. */
    public Stream<Projection> projections() {
        return Stream.concat(blocks.stream().flatMap(block -> Stream.of(block.qkv().stream(), Stream.of(block.output()),
                block.gateUp().stream(), Stream.of(block.down())).flatMap(part -> part)), Stream.of(head));
    }

    /** Frees what the model itself holds; what it reads in files' maps stays. A second call does nothing. */
    @Override
    public void close() {
        close(owned);
    }

    static void close(List<? extends AutoCloseable> owned) {
        for (AutoCloseable part : owned) {
            try {
                part.close();
            } catch (RuntimeException e) {
                throw e;
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
    }
}
