// Entry points of the dequantization kernel for 4-bit codes with a float zero: as those of dequantize.cu, with the names of
// striped/striped_fz.cu.
// ptx: 7.4
#include "entries.cuh"

ENTRIES(f16_fz_g64, Half, FloatZero4, 1)
ENTRIES(f16_fz_g32, Half, FloatZero4, 2)
ENTRIES(bf16_fz_g64, Bfloat16, FloatZero4, 1)
ENTRIES(bf16_fz_g32, Bfloat16, FloatZero4, 2)

extern "C" __device__ const jmarlin::u32 jmarlin_dequantize_fz_abi[] = JMARLIN_DEQUANTIZE_ABI;
