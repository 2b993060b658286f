// Entry points of the Hopper kernel, hopper_{f16|bf16}_{sym|zp}_{g64|g32}_m{batch tile}_n{n tile}_s{blocks per cluster}: the
// types, whether the weights have zero points, the group size (g64: a multiple of 64, or per column; g32: 32), the tile.
// targets: sm_90a
#include "hopper.cuh"

using namespace jmarlin;

#define ENTRY(name, T, zero_points, group32, batch, columns, blocks)                                                       \
    extern "C" __global__ void __cluster_dims__(blocks) __launch_bounds__(hopper::kThreads, 1)                            \
        hopper_##name##_m##batch##_n##columns##_s##blocks(const __grid_constant__ GemmArgs args) {                        \
        hopper::multiply<hopper::Shape<T, zero_points, group32, batch, columns, blocks>>(args);                           \
    }

// Narrow tiles in clusters of four for layers of few columns, wide tiles for the others.
#define ENTRIES(name, T, zero_points, group32)         \
    ENTRY(name, T, zero_points, group32, 8, 128, 1)    \
    ENTRY(name, T, zero_points, group32, 8, 128, 2)    \
    ENTRY(name, T, zero_points, group32, 8, 128, 4)    \
    ENTRY(name, T, zero_points, group32, 16, 128, 4)   \
    ENTRY(name, T, zero_points, group32, 16, 256, 1)   \
    ENTRY(name, T, zero_points, group32, 16, 256, 2)   \
    ENTRY(name, T, zero_points, group32, 16, 256, 4)   \
    ENTRY(name, T, zero_points, group32, 32, 128, 4)   \
    ENTRY(name, T, zero_points, group32, 32, 256, 2)   \
    ENTRY(name, T, zero_points, group32, 32, 256, 4)   \
    ENTRY(name, T, zero_points, group32, 64, 128, 4)   \
    ENTRY(name, T, zero_points, group32, 64, 256, 2)   \
    ENTRY(name, T, zero_points, group32, 64, 256, 4)   \
    ENTRY(name, T, zero_points, group32, 128, 128, 4)  \
    ENTRY(name, T, zero_points, group32, 128, 256, 1)  \
    ENTRY(name, T, zero_points, group32, 128, 256, 2)  \
    ENTRY(name, T, zero_points, group32, 128, 256, 4)

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
