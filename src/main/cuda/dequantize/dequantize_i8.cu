// Entry points of the dequantization kernel for 8-bit codes: as those of dequantize.cu, with the names of striped/striped_i8.cu.
// ptx: 7.4
#include "entries.cuh"

ENTRIES(f16_i8_g64, Half, Symmetric8, 1)
ENTRIES(f16_i8_g32, Half, Symmetric8, 2)
ENTRIES(f16_i8_g16, Half, Symmetric8, 4)
ENTRIES(f16_i8zp_g64, Half, ZeroPoints8, 1)
ENTRIES(f16_i8zp_g32, Half, ZeroPoints8, 2)
ENTRIES(f16_i8fz_g64, Half, FloatZero8, 1)
ENTRIES(f16_i8fz_g32, Half, FloatZero8, 2)
ENTRIES(bf16_i8_g64, Bfloat16, Symmetric8, 1)
ENTRIES(bf16_i8_g32, Bfloat16, Symmetric8, 2)
ENTRIES(bf16_i8_g16, Bfloat16, Symmetric8, 4)
ENTRIES(bf16_i8zp_g64, Bfloat16, ZeroPoints8, 1)
ENTRIES(bf16_i8zp_g32, Bfloat16, ZeroPoints8, 2)
ENTRIES(bf16_i8fz_g64, Bfloat16, FloatZero8, 1)
ENTRIES(bf16_i8fz_g32, Bfloat16, FloatZero8, 2)

extern "C" __device__ const jmarlin::u32 jmarlin_dequantize_i8_abi[] = JMARLIN_DEQUANTIZE_ABI;
