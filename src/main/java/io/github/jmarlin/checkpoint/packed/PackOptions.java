package io.github.jmarlin.checkpoint.packed;

import io.github.jmarlin.DataType;
import io.github.jmarlin.checkpoint.format.DenseQuantization;
import java.util.Objects;

/**
 * How a model is packed.
 *
 * @param computeType FP16 or BF16, or null for each layer's own scale type
 * @param dense how layers in full precision are quantized
 * @param quantizeDense whether they are at all; otherwise they are copied
 * @param interleaveGateUp whether gate and up projections that are alike become one layer with their columns in turn, for products
 *     with silu-mul; it takes the name {@code gate_up_proj}
 * @param threads how many threads work, at least 1
 * @param strict whether a layer that cannot run, or quantized tensors that nobody reads, are an error instead of carried over; so
 *     is a configuration or tokenizer that cannot be
 * @param progress told the bytes of the source that were dealt with, from any thread
 */
public record PackOptions(DataType computeType, DenseQuantization dense, boolean quantizeDense, boolean interleaveGateUp, int threads,
        boolean strict, Progress progress) {
    /** Told how far packing is. */
    public interface Progress {
        /** {@code bytes} more bytes of the source are dealt with. */
        void advanced(long bytes);
    }

    /** Each layer's own type, full precision copied, every layer by itself, all processors, no progress. */
    public static final PackOptions DEFAULT = new PackOptions(null, DenseQuantization.DEFAULT, false, false,
            Runtime.getRuntime().availableProcessors(), false, bytes -> { });

    /** Checks the values. */
    public PackOptions {
        Objects.requireNonNull(dense, "dense");
        Objects.requireNonNull(progress, "progress");
        if (computeType == DataType.FP32) {
            throw new IllegalArgumentException("compute type FP32 is not supported: FP16 or BF16 expected");
        }
        if (threads < 1) {
            throw new IllegalArgumentException("threads " + threads + ": at least 1 expected");
        }
    }

    /** With {@link #interleaveGateUp}. */
    public PackOptions withInterleavedGateUp() {
        return new PackOptions(computeType, dense, quantizeDense, true, threads, strict, progress);
    }
}
