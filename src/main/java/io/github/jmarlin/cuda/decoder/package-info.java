/**
 * A decoder of the Llama family on a GPU, without knowing where its weights come from: token ids in, token ids or logits out, everything
 * between on the device. The kernels are those of {@code src/main/cuda/decoder} and the products of {@code cuda}.
 *
 * <p>Reading order: {@link io.github.jmarlin.cuda.decoder.DecoderShape}, {@link io.github.jmarlin.cuda.decoder.DecoderWeights} (what is
 * on the device), {@link io.github.jmarlin.cuda.decoder.TokenDecoder} (a step, as a CUDA graph or part by part), {@code RowKernels} (each
 * kernel's arguments, grid and cost).
 */
package io.github.jmarlin.cuda.decoder;
