// Entry points of the dequantization kernel, dequantize_{f16|bf16}_{sym|zp}_{g64|g32}, and of the one that
// finishes a dense product, dequantize_finish_{f16|bf16}; any grid of blocks of 256 threads.
// ptx: 7.4
#include <cstddef>

#include "finish.cuh"
#include "dequantize.cuh"

using namespace jmarlin;

#define ENTRY(name, T, Form, scale_rows)                                                                               \
    extern "C" __global__ void __launch_bounds__(256) dequantize_##name(const __grid_constant__ DequantizeArgs args) { \
        dequantize_matrix<T, Form, scale_rows>(args);                                                                  \
    }

ENTRY(f16_sym_g64, Half, Symmetric4, 1)
ENTRY(f16_sym_g32, Half, Symmetric4, 2)
ENTRY(f16_zp_g64, Half, ZeroPoints4, 1)
ENTRY(f16_zp_g32, Half, ZeroPoints4, 2)
ENTRY(bf16_sym_g64, Bfloat16, Symmetric4, 1)
ENTRY(bf16_sym_g32, Bfloat16, Symmetric4, 2)
ENTRY(bf16_zp_g64, Bfloat16, ZeroPoints4, 1)
ENTRY(bf16_zp_g32, Bfloat16, ZeroPoints4, 2)

extern "C" __global__ void __launch_bounds__(256) dequantize_finish_f16(const __grid_constant__ FinishArgs args) {
    finish_sums<Half>(args, 256);
}

extern "C" __global__ void __launch_bounds__(256) dequantize_finish_bf16(const __grid_constant__ FinishArgs args) {
    finish_sums<Bfloat16>(args, 256);
}

// What the host checks before it trusts an image: version; of both arguments the size, and the offset of every field in order.
extern "C" __device__ const u32 jmarlin_dequantize_abi[] = {
    3,
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
    sizeof(FinishArgs),
    offsetof(FinishArgs, sums),
    offsetof(FinishArgs, bias),
    offsetof(FinishArgs, c),
    offsetof(FinishArgs, epilogue.residual),
    offsetof(FinishArgs, epilogue.row_factors),
    offsetof(FinishArgs, epilogue.ldr),
    offsetof(FinishArgs, epilogue.steps),
    offsetof(FinishArgs, lds),
    offsetof(FinishArgs, ldc),
    offsetof(FinishArgs, m),
    offsetof(FinishArgs, n),
};
