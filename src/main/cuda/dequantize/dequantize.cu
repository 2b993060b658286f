// Entry points of the dequantization kernel, dequantize_{f16|bf16}_{sym|zp}_{g64|g32}; any grid of blocks of 256 threads.
#include <cstddef>

#include "dequantize.cuh"

using namespace jmarlin;

#define ENTRY(name, T, zero_points, group32)                                                                     \
    extern "C" __global__ void __launch_bounds__(256) dequantize_##name(const __grid_constant__ DequantizeArgs args) { \
        dequantize_matrix<T, zero_points, group32>(args);                                                        \
    }

ENTRY(f16_sym_g64, Half, false, false)
ENTRY(f16_sym_g32, Half, false, true)
ENTRY(f16_zp_g64, Half, true, false)
ENTRY(f16_zp_g32, Half, true, true)
ENTRY(bf16_sym_g64, Bfloat16, false, false)
ENTRY(bf16_sym_g32, Bfloat16, false, true)
ENTRY(bf16_zp_g64, Bfloat16, true, false)
ENTRY(bf16_zp_g32, Bfloat16, true, true)

// What the host checks before it trusts an image: version, size of the arguments, offset of every field in order.
extern "C" __device__ const u32 jmarlin_dequantize_abi[] = {
    1,
    sizeof(DequantizeArgs),
    offsetof(DequantizeArgs, codes),
    offsetof(DequantizeArgs, scales),
    offsetof(DequantizeArgs, zeros),
    offsetof(DequantizeArgs, factors),
    offsetof(DequantizeArgs, w),
    offsetof(DequantizeArgs, ldw),
    offsetof(DequantizeArgs, n),
    offsetof(DequantizeArgs, k),
    offsetof(DequantizeArgs, k_blocks),
    offsetof(DequantizeArgs, scale_rows),
    offsetof(DequantizeArgs, group_shift),
};
