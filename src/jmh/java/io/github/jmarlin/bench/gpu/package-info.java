/**
 * Contenders on a GPU and the three ways to time them. Works as an inference engine would: it owns the context and the stream,
 * launches through {@code CudaGemm}, and captures CUDA graphs.
 */
package io.github.jmarlin.bench.gpu;
