package io.github.jmarlin.llama;

import io.github.jmarlin.JMarlinException;

/**
 * A model on a device, with a key/value cache for some sequences. A row's bits depend on the tokens of its sequence alone: not on the
 * other rows of a step, nor on how a prompt was cut into steps (on a GPU: in the batch-invariant mode). One thread at a time.
 */
public interface Decoder extends AutoCloseable {
    /** The model's shape. */
    LlamaConfig config();

    /** Sequences that the cache has room for. */
    int sequences();

    /** Positions that the cache has room for, for each sequence. */
    int positions();

    /** The most rows of a step. */
    int mostRows();

    /**
     * Logits of the step's {@link Step#outputs}, {@code [outputs][vocabulary]}.
     *
     * @throws IllegalArgumentException if a row is no row of this model or cache, see {@link StepCheck}; nothing was computed then
     * @throws IllegalStateException after {@link #close}
     * @throws JMarlinException if the device fails
     */
    float[] logits(Step step);

    /** The token with the largest logit of each of the step's outputs, of equal ones the first; otherwise as {@link #logits}. */
    int[] argmax(Step step);

    /** Gives back what the decoder holds; the model stays open. A second call does nothing. */
    @Override
    void close();
}
