/**
 * A decoder for models of the Llama family (Llama, Mistral, Qwen2, Qwen3, all dense) whose linear layers are JMarlin's; in the command
 * line's jar only. Reading order: {@link io.github.jmarlin.llama.LlamaConfig} (what config.json says),
 * {@link io.github.jmarlin.llama.LlamaModel} (the weights, wherever they lie), {@link io.github.jmarlin.llama.Decoder} (rows of
 * tokens in, logits out, a key/value cache between).
 *
 * <pre>
 *   token -> embedding row x
 *   each block:  x += o(attention(rope(q), rope(k), v of rmsnorm(x)));  x += down(silu(gate) * up of rmsnorm(x))
 *   logits = head(rmsnorm(x))
 * </pre>
 */
package io.github.jmarlin.llama;
