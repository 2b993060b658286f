// Entry points of the striped kernel, striped_{f16|bf16}_{sym|zp}_{g64|g32}_m{batch tile}_n{n tile}: the types, whether
// the weights have zero points, the group size (g64: a multiple of 64, or per column; g32: 32), and the tile.
// ptx: 7.4
// tiles: m n
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

// What the host checks before it trusts an image: version, size of the arguments, offset of every field in order.
extern "C" __device__ const jmarlin::u32 jmarlin_striped_abi[] = JMARLIN_GEMM_ABI;
