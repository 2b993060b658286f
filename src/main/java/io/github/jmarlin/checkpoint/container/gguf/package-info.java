/**
 * GGUF files as models in the words of Hugging Face: what a decoder, a packer or a person finds in a folder of safetensors files is
 * found here, too, under the same names and in the same order of rows.
 *
 * <pre>
 *   MODEL.gguf, or its parts MODEL-00001-of-00003.gguf ...
 *   +-----------+        GgufHeader          GgufFile             GgufModel
 *   | metadata  |------> keys, values ---------------------------> config.json (GgufConfig), tokenizer.json (GgufTokenizer)
 *   | infos     |------> names, types, ----> named tensors, ----> names (GgufNames), rows of q and k (MadeTensors),
 *   | data      |  map   offsets             in the map            the embedding in fp16 (GgufBlocks)
 *   +-----------+                                                      |
 *                                                                      v
 *                                            TensorStore: as from a folder; quantized matrices are U8 [n][bytes of a row]
 * </pre>
 * {@link io.github.jmarlin.checkpoint.container.gguf.GgufBlocks} says how each kind of block holds its codes, scales and minima;
 * {@code format.GgufFormat} makes layers of them.
 */
package io.github.jmarlin.checkpoint.container.gguf;
