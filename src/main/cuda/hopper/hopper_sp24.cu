// Entry points of the Hopper kernel for 2:4 sparse weights: as those of hopper.cu, with sp24 in their names and groups of 64 or of
// multiples of 128 (g128; or per column).
// targets: sm_90a compute_90a
// ptx: 8.5
// tiles: m n p s
// registers: 168
#include "tiles_few.cuh"

#include "entries.cuh"

ENTRIES(f16_sp24_g128, Half, SparseSymmetric4, 1)
ENTRIES(f16_sp24_g64, Half, SparseSymmetric4, 2)
ENTRIES(bf16_sp24_g128, Bfloat16, SparseSymmetric4, 1)
ENTRIES(bf16_sp24_g64, Bfloat16, SparseSymmetric4, 2)

extern "C" __device__ const jmarlin::u32 jmarlin_hopper_sp24_abi[] = JMARLIN_GEMM_ABI;
