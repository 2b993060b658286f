// Entry points of the Hopper kernel for float zeros (s q + Z, 4 bits): as those of hopper.cu, with fz in their names.
// targets: sm_90a compute_90a
// ptx: 8.0
// tiles: m n p s
// registers: 168
#include "tiles_few.cuh"

#include "entries.cuh"

ENTRIES(f16_fz_g64, Half, FloatZero4, 1)
ENTRIES(f16_fz_g32, Half, FloatZero4, 2)
ENTRIES(bf16_fz_g64, Bfloat16, FloatZero4, 1)
ENTRIES(bf16_fz_g32, Bfloat16, FloatZero4, 2)

extern "C" __device__ const jmarlin::u32 jmarlin_hopper_fz_abi[] = JMARLIN_GEMM_ABI;
