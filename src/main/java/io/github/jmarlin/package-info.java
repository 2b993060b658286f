/**
 * Matrix multiplication with 4-bit weights, on a GPU or on the processor. A tour of one call:
 *
 * <pre>{@code
 * // Quantize: logical weights [k][n], 4-bit codes with a scale for every 128 rows of a column. Or load a checkpoint.
 * QuantizedMatrix matrix = RoundToNearest.symmetric(128, DataType.FP16).quantize(weights, k, n);
 *
 * // Pack: the same codes in the order in which tensor cores want them, off-heap. Once per model; unpack() gives everything back.
 * PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16);
 *
 * // Place: on the best device of this machine, or one of Devices.all().
 * LinearLayer layer = Devices.best().device().place(packed);
 *
 * // Multiply: C[m][n] = A[m][k] * W[k][n] + bias.
 * float[] c = layer.multiply(a, m);
 * }</pre>
 *
 * <p>Where to read on: {@link io.github.jmarlin.layout.StripedLayout} draws the packed bytes,
 * {@code io.github.jmarlin.plan} chooses a kernel for a shape, {@code io.github.jmarlin.cuda} launches it, with a call for engines
 * that bring their own device memory and streams, {@link io.github.jmarlin.cpu} multiplies without a GPU, and
 * {@code io.github.jmarlin.checkpoint} reads the formats that quantizers write.
 *
 * <p>Weights and layers are immutable and thread-safe. What holds native memory is {@link java.lang.AutoCloseable}; using it after
 * that, or closing it while in use, is an {@link java.lang.IllegalStateException}. Bad arguments are
 * {@link java.lang.IllegalArgumentException}s that name the values and the rule; everything else that goes wrong is a
 * {@link io.github.jmarlin.JMarlinException}.
 */
package io.github.jmarlin;
