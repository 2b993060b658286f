// Entry points of the striped kernel for 8-bit codes: as those of striped.cu, with i8 (s (q - 128)), i8zp (zero points) or i8fz
// (s q + Z) in their names.
// ptx: 7.4
// tiles: m n
#include "tiles_i8.cuh"

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

extern "C" __device__ const jmarlin::u32 jmarlin_striped_i8_abi[] = JMARLIN_GEMM_ABI;
