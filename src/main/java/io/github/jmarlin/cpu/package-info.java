/**
 * Multiplies on the processor, from the same packed bytes as a GPU: the path for machines without one, and the reference.
 *
 * <p>Two ways lead there. The native one, {@code NativeProduct}, calls {@code src/main/c} strip by strip ({@code product.h} is its
 * outline): activations become integers, exact sums, equal bits whatever computes them. {@code InstructionSet} says which kernels
 * this machine has, {@code NativeCpu} why not. The Java one, {@code JavaProduct}, is the reference and what every machine has: it splits a product
 * into tiles, {@code TileProduct} computes one. {@code TaskPool} has the threads of both.
 */
package io.github.jmarlin.cpu;
