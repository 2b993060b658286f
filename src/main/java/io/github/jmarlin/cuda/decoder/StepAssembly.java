package io.github.jmarlin.cuda.decoder;

import io.github.jmarlin.cuda.DecodeGraph;
import io.github.jmarlin.cuda.Workspace;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * Puts together what a step does, in its order: nine launches a block, eight where gate and up are interleaved, and four around them. Rows of the residual stream are complete only
 * after the addition that the norm behind a product makes.
 */
final class StepAssembly {
    private final DecodeGraph.Builder graph;
    private final RowKernels kernels;
    private final DecoderBuffers buffers;
    private final DecoderWeights weights;
    private final KeyValueCache cache;

    /** A launch for so many rows. */
    interface Launch {
        void enqueue(RowKernels kernels, int rows);
    }

    StepAssembly(Workspace workspace, RowKernels kernels, DecoderBuffers buffers, DecoderWeights weights, KeyValueCache cache) {
        graph = DecodeGraph.of(workspace);
        this.kernels = kernels;
        this.buffers = buffers;
        this.weights = weights;
        this.cache = cache;
    }

    DecodeGraph.Builder graph() {
        return graph;
    }

    DecoderBuffers buffers() {
        return buffers;
    }

    void add(Launch launch) {
        graph.work((rows, stream) -> launch.enqueue(kernels, rows));
    }

    /** From token ids to the end of the last block. */
    StepAssembly blocks() {
        DecoderBuffers at = buffers;
        add((kernel, rows) -> kernel.embed(rows, at.tokens(), weights.embedding(), at.residual()));
        for (int i = 0; i < weights.blocks().size(); i++) {
            DecoderWeights.Block block = weights.blocks().get(i);
            int layer = i;
            add((kernel, rows) -> kernel.norm(rows, at.residual(), layer == 0 ? 0 : at.delta(), block.attentionNorm(), 0, at.hidden()));
            joined(block.qkv(), at.hidden(), at.qkv(), weights.shape().qkv());
            add((kernel, rows) -> kernel.rotary(rows, at, block.queryNorm(), block.keyNorm(), cache, layer));
            add((kernel, rows) -> kernel.attention(rows, at, cache, layer));
            block.output().addTo(this, at.attended(), at.delta(), weights.shape().hidden());
            add((kernel, rows) -> kernel.norm(rows, at.residual(), at.delta(), block.feedForwardNorm(), 0, at.hidden()));
            gateUp(block);
            block.down().addTo(this, at.activated(), at.delta(), weights.shape().hidden());
        }
        return this;
    }

    private void gateUp(DecoderWeights.Block block) {
        int intermediate = weights.shape().intermediate();
        if (block.gateUp().get(0).isInterleaved()) {
            block.gateUp().get(0).addTo(this, buffers.hidden(), buffers.activated(), intermediate);
            return;
        }
        joined(block.gateUp(), buffers.hidden(), buffers.gateUp(), 2 * intermediate);
        add((kernel, rows) -> kernel.siluMul(rows, buffers.gateUp(), buffers.activated()));
    }

    /** Layers with the same input, whose outputs stand one behind the other. */
    private void joined(List<DeviceProjection> layers, long a, long c, int columns) {
        long first = c;
        for (DeviceProjection layer : layers) {
            layer.addTo(this, a, first, columns);
            first += (long) Short.BYTES * layer.n();
        }
    }

    /**
     * From the last block to token ids.
     *
     * @param sources where the numbers of the rows stand that come out; 0 for all in their order
     */
    StepAssembly head(LongSupplier sources) {
        DecoderBuffers at = buffers;
        add((kernel, rows) -> kernel.norm(rows, at.residual(), weights.blocks().isEmpty() ? 0 : at.delta(), weights.norm(),
                sources.getAsLong(), at.last()));
        add((kernel, rows) -> kernel.product(rows, at.last(), weights.head(), at.logits().address(), at.logitsStride(), true));
        add((kernel, rows) -> kernel.argmax(rows, at.logits().address(), at.logitsStride(), at.ids().address()));
        return this;
    }

    DecodeGraph build() {
        return graph.build();
    }
}
