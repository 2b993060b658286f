// Entry points of the striped kernel, striped_{f16|bf16}_{sym|zp}_{g64|g32}_m{batch tile}_n{n tile}: the types, whether
// the weights have zero points, the group size (g64: a multiple of 64, or per column; g32: 32), and the tile.
// ptx: 7.4
// tiles: m n
#include "one_tile.cuh"
#include "striped.cuh"
#include "tiles.cuh"

using namespace jmarlin;

#define ENTRY(name, T, Form, scale_rows, batch, columns)                                \
    extern "C" __global__ void __launch_bounds__(256, 1)                                \
        striped_##name##_m##batch##_n##columns(const __grid_constant__ GemmArgs args) { \
        striped_gemm<StripedShape<T, Form, scale_rows, batch, columns>>(args);          \
    }

#ifdef JMARLIN_TILE
#define TILES JMARLIN_ONE_TILE
#else
#define TILES JMARLIN_STRIPED_TILES
#endif
#define ENTRIES(name, T, Form, scale_rows) TILES(ENTRY, name, T, Form, scale_rows)

ENTRIES(f16_sym_g64, Half, Symmetric4, 1)
ENTRIES(f16_sym_g32, Half, Symmetric4, 2)
ENTRIES(f16_zp_g64, Half, ZeroPoints4, 1)
ENTRIES(f16_zp_g32, Half, ZeroPoints4, 2)
ENTRIES(bf16_sym_g64, Bfloat16, Symmetric4, 1)
ENTRIES(bf16_sym_g32, Bfloat16, Symmetric4, 2)
ENTRIES(bf16_zp_g64, Bfloat16, ZeroPoints4, 1)
ENTRIES(bf16_zp_g32, Bfloat16, ZeroPoints4, 2)

// What the host checks before it trusts an image: version, size of the arguments, offset of every field in order.
extern "C" __device__ const u32 jmarlin_striped_abi[] = JMARLIN_GEMM_ABI;
