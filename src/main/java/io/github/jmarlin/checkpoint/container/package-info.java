/**
 * Bytes to named tensors: mapped safetensors files, a folder of them as one model, and JSON whose values know where they stand. GGUF is a
 * room of its own.
 */
package io.github.jmarlin.checkpoint.container;
