// Entry points of the Hopper kernel, hopper_{f16|bf16}_{sym|zp}_{g64|g32}_m{batch tile}_n{n tile}_p{neighbours}_s{split}: the
// types, whether the weights have zero points, the group size (g64: a multiple of 64, or per column; g32: 32), the rows and columns of a
// block, the blocks that share activations, the blocks that share a tile along k (1: the striped schedule).
// targets: sm_90a compute_90a
// ptx: 8.0
// tiles: m n p s
// registers: 168
#include "tiles.cuh"

#include "entries.cuh"

ENTRIES(f16_sym_g64, Half, Symmetric4, 1)
ENTRIES(f16_sym_g32, Half, Symmetric4, 2)
ENTRIES(f16_zp_g64, Half, ZeroPoints4, 1)
ENTRIES(f16_zp_g32, Half, ZeroPoints4, 2)
ENTRIES(bf16_sym_g64, Bfloat16, Symmetric4, 1)
ENTRIES(bf16_sym_g32, Bfloat16, Symmetric4, 2)
ENTRIES(bf16_zp_g64, Bfloat16, ZeroPoints4, 1)
ENTRIES(bf16_zp_g32, Bfloat16, ZeroPoints4, 2)

// What the host checks before it trusts an image.
extern "C" __device__ const jmarlin::u32 jmarlin_hopper_abi[] = JMARLIN_GEMM_ABI;
