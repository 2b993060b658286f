/**
 * Multiplies on NVIDIA GPUs through the CUDA driver. With {@code cuda.cublas} the only one that touches JCuda.
 *
 * <p>Reading order: {@link io.github.jmarlin.cuda.CudaDriver} (is there a GPU, and if not, why), {@link
 * io.github.jmarlin.cuda.CudaDevice} (which kernels its driver takes; {@code cuda.image} has the files), {@link
 * io.github.jmarlin.cuda.CudaEngine} (kernels loaded into one context), {@link io.github.jmarlin.cuda.DeviceWeights}, {@link
 * io.github.jmarlin.cuda.Workspace} and {@link io.github.jmarlin.cuda.CudaGemm} (the call an inference engine makes: validate,
 * select, launch), {@link io.github.jmarlin.cuda.InputGather} (what act-ordered weights need before it), {@link
 * io.github.jmarlin.cuda.Dequantizer} and {@link io.github.jmarlin.cuda.Cublas} (the other way for many rows), {@link
 * io.github.jmarlin.cuda.DecodeGraph} (many such calls, replayed), and {@link io.github.jmarlin.cuda.CudaLinear} (the same behind the
 * device-independent {@link io.github.jmarlin.LinearLayer}). {@code cuda.decoder} makes a model's step of them, with {@link
 * io.github.jmarlin.cuda.DecoderKernel} between the products and {@link io.github.jmarlin.cuda.HostExchange} at both ends.
 */
package io.github.jmarlin.cuda;
