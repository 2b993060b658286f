// Entry points of the striped kernel in halves, striped_{f16|bf16}_{sym|zp}_{g64|g32}_m{batch tile}_n{n tile}_h2: two warps to a block of
// codes and half as deep a stage, for devices whose shared memory holds only two of the others. The rest as in striped.cu.
// targets: sm_86 sm_89 sm_120 compute_80
// ptx: 7.4
// tiles: m n h
#include "tiles_halves.cuh"

#define ENTRY(name, T, Form, scale_rows, batch, columns, halves)                                                           \
    extern "C" __global__ void __launch_bounds__(256, 1)                                                                   \
        striped_##name##_m##batch##_n##columns##_h##halves(const __grid_constant__ jmarlin::GemmArgs args) {               \
        jmarlin::striped_gemm<jmarlin::StripedShape<jmarlin::T, jmarlin::Form, scale_rows, batch, columns, halves>>(args); \
    }

#include "entries.cuh"

ENTRIES(f16_sym_g64, Half, Symmetric4, 1)
ENTRIES(f16_sym_g32, Half, Symmetric4, 2)
ENTRIES(f16_zp_g64, Half, ZeroPoints4, 1)
ENTRIES(f16_zp_g32, Half, ZeroPoints4, 2)
ENTRIES(bf16_sym_g64, Bfloat16, Symmetric4, 1)
ENTRIES(bf16_sym_g32, Bfloat16, Symmetric4, 2)
ENTRIES(bf16_zp_g64, Bfloat16, ZeroPoints4, 1)
ENTRIES(bf16_zp_g32, Bfloat16, ZeroPoints4, 2)

extern "C" __device__ const jmarlin::u32 jmarlin_striped_halves_abi[] = JMARLIN_GEMM_ABI;
