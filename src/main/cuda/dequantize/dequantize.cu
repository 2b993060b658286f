// Entry points of the dequantization kernel, dequantize_{f16|bf16}_{sym|zp}_{g64|g32}; any grid of blocks of 256 threads.
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
