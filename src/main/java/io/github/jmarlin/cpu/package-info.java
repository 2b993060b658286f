/**
 * Multiplies on the processor, from the same packed bytes as a GPU: the path for machines without one, and the reference.
 * {@link io.github.jmarlin.cpu.CpuLinear} splits a product into tiles, {@code TileProduct} computes one.
 */
package io.github.jmarlin.cpu;
