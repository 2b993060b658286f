// Entry points of the kernels between a decoder's quantized products, decoder_{what}_{f16|bf16} and decoder_argmax, in blocks of 256
// threads; grids and shared memory are said where each is written. decoder_product_{f16|bf16}_{floats|same}_m{rows of a block}: results
// in fp32, or in the type of the operands.
// ptx: 7.4
#include "argmax.cuh"
#include "attention.cuh"
#include "embed.cuh"
#include "norm.cuh"
#include "product.cuh"
#include "rotary.cuh"
#include "silu_mul.cuh"

using namespace jmarlin;

#define KERNEL(name, Args, ...)                                                                       \
    extern "C" __global__ void __launch_bounds__(256) decoder_##name(const __grid_constant__ Args args) { \
        __VA_ARGS__(args);                                                                            \
    }

#define KERNELS(name, T)                                                  \
    KERNEL(embed_##name, EmbedArgs, embed<T>)                             \
    KERNEL(norm_##name, NormArgs, norm<T>)                                \
    KERNEL(rotary_##name, RotaryArgs, rotary<T>)                          \
    KERNEL(attention_##name, AttentionArgs, attention<T>)                 \
    KERNEL(silu_mul_##name, SiluMulArgs, silu_mul<T>)                     \
    KERNEL(product_##name##_floats_m8, ProductArgs, product<T, true, 1>)  \
    KERNEL(product_##name##_floats_m32, ProductArgs, product<T, true, 4>) \
    KERNEL(product_##name##_same_m8, ProductArgs, product<T, false, 1>)   \
    KERNEL(product_##name##_same_m32, ProductArgs, product<T, false, 4>)

KERNELS(f16, Half)
KERNELS(bf16, Bfloat16)
KERNEL(argmax, ArgmaxArgs, argmax)

// What the host checks before it trusts an image: version; of every argument the size, and the offset of every field in order.
extern "C" __device__ const u32 jmarlin_decoder_abi[] = {
    1,
    sizeof(EmbedArgs), offsetof(EmbedArgs, ids), offsetof(EmbedArgs, table), offsetof(EmbedArgs, x), offsetof(EmbedArgs, m),
    offsetof(EmbedArgs, h),
    sizeof(NormArgs), offsetof(NormArgs, x), offsetof(NormArgs, delta), offsetof(NormArgs, weight), offsetof(NormArgs, sources),
    offsetof(NormArgs, out), offsetof(NormArgs, m), offsetof(NormArgs, h), offsetof(NormArgs, epsilon),
    sizeof(RotaryArgs), offsetof(RotaryArgs, qkv), offsetof(RotaryArgs, q_weight), offsetof(RotaryArgs, k_weight),
    offsetof(RotaryArgs, angles), offsetof(RotaryArgs, positions), offsetof(RotaryArgs, slots), offsetof(RotaryArgs, q),
    offsetof(RotaryArgs, keys), offsetof(RotaryArgs, values), offsetof(RotaryArgs, ld), offsetof(RotaryArgs, m),
    offsetof(RotaryArgs, heads), offsetof(RotaryArgs, kv_heads), offsetof(RotaryArgs, d), offsetof(RotaryArgs, capacity),
    offsetof(RotaryArgs, epsilon),
    sizeof(AttentionArgs), offsetof(AttentionArgs, q), offsetof(AttentionArgs, keys), offsetof(AttentionArgs, values),
    offsetof(AttentionArgs, positions), offsetof(AttentionArgs, slots), offsetof(AttentionArgs, out), offsetof(AttentionArgs, partials),
    offsetof(AttentionArgs, counters), offsetof(AttentionArgs, m), offsetof(AttentionArgs, heads), offsetof(AttentionArgs, kv_heads),
    offsetof(AttentionArgs, d), offsetof(AttentionArgs, capacity), offsetof(AttentionArgs, scale),
    sizeof(SiluMulArgs), offsetof(SiluMulArgs, gate_up), offsetof(SiluMulArgs, out), offsetof(SiluMulArgs, m), offsetof(SiluMulArgs, f),
    sizeof(ProductArgs), offsetof(ProductArgs, a), offsetof(ProductArgs, w), offsetof(ProductArgs, bias), offsetof(ProductArgs, c),
    offsetof(ProductArgs, lda), offsetof(ProductArgs, ldc), offsetof(ProductArgs, m), offsetof(ProductArgs, n), offsetof(ProductArgs, k),
    sizeof(ArgmaxArgs), offsetof(ArgmaxArgs, logits), offsetof(ArgmaxArgs, ids), offsetof(ArgmaxArgs, ld), offsetof(ArgmaxArgs, m),
    offsetof(ArgmaxArgs, n),
};
