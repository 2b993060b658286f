// Entry points of the Hopper kernel for 8-bit codes: as those of hopper.cu, with i8 (s (q - 128)) or i8fz (s q + Z) in their names; g16:
// groups of 16.
// targets: sm_90a compute_90a
// ptx: 8.0
// tiles: m n p s
// registers: 168
#include "tiles_few.cuh"

#include "entries.cuh"

ENTRIES(f16_i8_g64, Half, Symmetric8, 1)
ENTRIES(f16_i8_g32, Half, Symmetric8, 2)
ENTRIES(f16_i8_g16, Half, Symmetric8, 4)
ENTRIES(f16_i8fz_g64, Half, FloatZero8, 1)
ENTRIES(f16_i8fz_g32, Half, FloatZero8, 2)
ENTRIES(bf16_i8_g64, Bfloat16, Symmetric8, 1)
ENTRIES(bf16_i8_g32, Bfloat16, Symmetric8, 2)
ENTRIES(bf16_i8_g16, Bfloat16, Symmetric8, 4)
ENTRIES(bf16_i8fz_g64, Bfloat16, FloatZero8, 1)
ENTRIES(bf16_i8fz_g32, Bfloat16, FloatZero8, 2)

extern "C" __device__ const jmarlin::u32 jmarlin_hopper_i8_abi[] = JMARLIN_GEMM_ABI;
