// Entry points of the striped kernel for 4-bit floats, e2m1: as those of striped.cu, with fp4 in their names; also for groups of 16.
// ptx: 7.4
// tiles: m n
#include "tiles_few.cuh"

#include "entries.cuh"

ENTRIES(f16_fp4_g64, Half, E2m1, 1)
ENTRIES(f16_fp4_g32, Half, E2m1, 2)
ENTRIES(f16_fp4_g16, Half, E2m1, 4)
ENTRIES(bf16_fp4_g64, Bfloat16, E2m1, 1)
ENTRIES(bf16_fp4_g32, Bfloat16, E2m1, 2)
ENTRIES(bf16_fp4_g16, Bfloat16, E2m1, 4)

extern "C" __device__ const jmarlin::u32 jmarlin_striped_fp4_abi[] = JMARLIN_GEMM_ABI;
