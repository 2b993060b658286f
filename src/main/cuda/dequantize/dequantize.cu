// Entry points of the dequantization kernel, dequantize_{f16|bf16}_{sym|zp}_{g64|g32}, and of the one that
// finishes a dense product, dequantize_finish_{f16|bf16}; any grid of blocks of 256 threads.
// ptx: 7.4
#include "entries.cuh"

using namespace jmarlin;

ENTRIES(f16_sym_g64, Half, Symmetric4, 1)
ENTRIES(f16_sym_g32, Half, Symmetric4, 2)
ENTRIES(f16_zp_g64, Half, ZeroPoints4, 1)
ENTRIES(f16_zp_g32, Half, ZeroPoints4, 2)
ENTRIES(bf16_sym_g64, Bfloat16, Symmetric4, 1)
ENTRIES(bf16_sym_g32, Bfloat16, Symmetric4, 2)
ENTRIES(bf16_zp_g64, Bfloat16, ZeroPoints4, 1)
ENTRIES(bf16_zp_g32, Bfloat16, ZeroPoints4, 2)

extern "C" __global__ void __launch_bounds__(256) dequantize_finish_f16(const __grid_constant__ FinishArgs args) {
    finish_sums<Half>(args, 256);
}

extern "C" __global__ void __launch_bounds__(256) dequantize_finish_bf16(const __grid_constant__ FinishArgs args) {
    finish_sums<Bfloat16>(args, 256);
}

extern "C" __device__ const u32 jmarlin_dequantize_abi[] = JMARLIN_DEQUANTIZE_ABI;
