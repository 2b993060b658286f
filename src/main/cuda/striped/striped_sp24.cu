// Entry points of the striped kernel for 2:4 sparse weights: as those of striped.cu, with sp24 in their names, and g128 for groups of 128, of
// 256 and per column, g64 for groups of 64.
// ptx: 8.5
// tiles: m n
#include "tiles_sp24.cuh"

#include "entries.cuh"

ENTRIES(f16_sp24_g128, Half, SparseSymmetric4, 1)
ENTRIES(f16_sp24_g64, Half, SparseSymmetric4, 2)
ENTRIES(bf16_sp24_g128, Bfloat16, SparseSymmetric4, 1)
ENTRIES(bf16_sp24_g64, Bfloat16, SparseSymmetric4, 2)

extern "C" __device__ const jmarlin::u32 jmarlin_striped_sp24_abi[] = JMARLIN_GEMM_ABI;
