/**
 * The compiled kernels as files: which there are, which could serve a device and in what order, and what their build said of them. A
 * driver's own answer is in {@link io.github.jmarlin.cuda.image.ImageStatus}.
 */
package io.github.jmarlin.cuda.image;
