// Entry points of the Hopper kernel, hopper_{f16|bf16}_{sym|zp}_{g64|g32}_m{batch tile}_n{n tile}_p{neighbours}_s{split}: the
// types, whether the weights have zero points, the group size (g64: a multiple of 64, or per column; g32: 32), the rows and columns of a
// block, the blocks that share activations, the blocks that share a tile along k (1: the striped schedule).
// targets: sm_90a compute_90a
// ptx: 8.0
// tiles: m n p s
// registers: 168
#include "hopper.cuh"
#include "one_tile.cuh"
#include "tiles.cuh"

using namespace jmarlin;

#define ENTRY(name, T, zero_points, group32, batch, columns, neighbours, split)                                    \
    extern "C" __global__ void __cluster_dims__(neighbours * split) __launch_bounds__(hopper::kThreads, 1)         \
        hopper_##name##_m##batch##_n##columns##_p##neighbours##_s##split(const __grid_constant__ GemmArgs args) {  \
        hopper::multiply<hopper::Shape<T, zero_points, group32, batch, columns, neighbours, split>>(args);         \
    }

#ifdef JMARLIN_TILE
#define TILES JMARLIN_ONE_TILE
#else
#define TILES JMARLIN_HOPPER_TILES
#endif
#define ENTRIES(name, T, zero_points, group32) TILES(ENTRY, name, T, zero_points, group32)

ENTRIES(f16_sym_g64, Half, false, false)
ENTRIES(f16_sym_g32, Half, false, true)
ENTRIES(f16_zp_g64, Half, true, false)
ENTRIES(f16_zp_g32, Half, true, true)
ENTRIES(bf16_sym_g64, Bfloat16, false, false)
ENTRIES(bf16_sym_g32, Bfloat16, false, true)
ENTRIES(bf16_zp_g64, Bfloat16, true, false)
ENTRIES(bf16_zp_g32, Bfloat16, true, true)

// What the host checks before it trusts an image.
extern "C" __device__ const u32 jmarlin_hopper_abi[] = JMARLIN_GEMM_ABI;
