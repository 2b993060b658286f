// Entry points of the striped kernel for 4-bit codes with a float zero, w = s q + Z: as those of striped.cu, with fz in their names.
// ptx: 7.4
// tiles: m n
#include "tiles_few.cuh"

#include "entries.cuh"

ENTRIES(f16_fz_g64, Half, FloatZero4, 1)
ENTRIES(f16_fz_g32, Half, FloatZero4, 2)
ENTRIES(bf16_fz_g64, Bfloat16, FloatZero4, 1)
ENTRIES(bf16_fz_g32, Bfloat16, FloatZero4, 2)

extern "C" __device__ const jmarlin::u32 jmarlin_striped_fz_abi[] = JMARLIN_GEMM_ABI;
