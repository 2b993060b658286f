// Entry points of the dequantization kernel for 4-bit floats: as those of dequantize.cu, with the names of striped/striped_fp4.cu.
// ptx: 7.4
#include "entries.cuh"

ENTRIES(f16_fp4_g64, Half, E2m1, 1)
ENTRIES(f16_fp4_g32, Half, E2m1, 2)
ENTRIES(f16_fp4_g16, Half, E2m1, 4)
ENTRIES(bf16_fp4_g64, Bfloat16, E2m1, 1)
ENTRIES(bf16_fp4_g32, Bfloat16, E2m1, 2)
ENTRIES(bf16_fp4_g16, Bfloat16, E2m1, 4)

extern "C" __device__ const jmarlin::u32 jmarlin_dequantize_fp4_abi[] = JMARLIN_DEQUANTIZE_ABI;
