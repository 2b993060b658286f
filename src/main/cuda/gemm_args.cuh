// The one argument of every entry point, by value. The Java side writes it byte by byte, so the order of the
// fields is part of the contract; an image publishes the offsets (jmarlin_<family>_abi) and the host compares them.
#pragma once

#include <cstddef>

#include "ptx.cuh"

namespace jmarlin {

// The next product, as far as its first reads depend on it; drawn in prefetch.cuh. Java's twin: cuda.Prefetch.
struct Prefetch {
    u64 codes;           // [strips][k_blocks][block_bytes]
    s32 k_blocks;
    s32 strips;          // of the matrix
    s32 strips_per_tile; // read side by side
    s32 m_tiles;         // tiles that share their weights: the tile of unit u is u / k_blocks, its column tile that / m_tiles
    s32 units_per_start; // from one starting place to the next
    s32 starts;          // starting places; 0: nothing to fetch
    s32 units;           // fetched of each
    s32 block_bytes;     // a multiple of 1024; it may be another than this kernel's own
};

// What an epilogue does besides factors and bias. Java's twin: cuda.EpilogueArgs.
enum EpilogueStep : u32 {
    kAddResidual = 1,
    kScaleRows = 2,
    kSiluMul = 4,        // pairs of columns g, u become silu(g) * u
    kFloatOutput = 8,    // C and the residual are fp32
};

struct EpilogueArgs {
    u64 residual;        // [m][ldr] of the type of C; may be C itself
    u64 row_factors;     // float[m]
    s64 ldr;
    u32 steps;           // EpilogueSteps; 0: the product as it is, and nothing else here counts
};

// C[m][n] = A[m][k] * W[k][n] + bias, or what its epilogue makes of that. Addresses are device addresses, 0 where the operand is absent.
struct GemmArgs {
    u64 a;               // T[m][lda], 16-byte aligned
    u64 codes;           // [n/64][k_blocks] blocks of the form's kBlockBytes, see forms.cuh and layout.StripedLayout
    u64 scales;          // T[n/64][scale_rows][64]
    u64 zeros;           // 16-bit zero codes, or float zeros in T, shaped like scales; read by forms that have offsets
    u64 factors;         // float[n rounded up to 64]: undoes the packed scale's power of two
    u64 bias;            // float[n rounded up to 64], or 0
    u64 c;               // T[m][ldc], or what its epilogue says
    u64 partials;        // float[2 * grid][batch tile * n tile], any content
    u64 counters;        // u32[n_tiles * m_tiles * those of a tile that arrive apart], zero before and after every launch
    Prefetch next;       // what the next kernel reads first

    s64 lda;             // row strides in elements: lda a multiple of 8,
    s64 ldc;             // ldc any value >= the columns of C

    s32 m;
    s32 n;
    s32 k;
    s32 k_blocks;        // ceil(k / kBlockK): of 64 k, of sparse weights 128
    s32 scale_rows;      // scale rows of one strip
    s32 group_shift;     // log2 of the blocks that share a scale row; 31: one row for all; unused where a block has several
    s32 n_tiles;
    s32 m_tiles;
    s32 units_per_block; // k-blocks of a tile that one block works off, see stripe.cuh
    s32 stages;          // slots of the shared-memory ring

    u64 k_blocks_inverse;   // of k_blocks, m_tiles and units_per_block: see quotient in stripe.cuh
    u64 m_tiles_inverse;
    u64 units_inverse;
    EpilogueArgs epilogue;
};

}  // namespace jmarlin

// The words of an image's <family>_abi: version, size of the arguments, offset of every field in order.
#define JMARLIN_GEMM_ABI                                                                                          \
    {4, sizeof(::jmarlin::GemmArgs),                                                                              \
     offsetof(::jmarlin::GemmArgs, a), offsetof(::jmarlin::GemmArgs, codes),                                      \
     offsetof(::jmarlin::GemmArgs, scales), offsetof(::jmarlin::GemmArgs, zeros),                                 \
     offsetof(::jmarlin::GemmArgs, factors), offsetof(::jmarlin::GemmArgs, bias),                                 \
     offsetof(::jmarlin::GemmArgs, c), offsetof(::jmarlin::GemmArgs, partials),                                   \
     offsetof(::jmarlin::GemmArgs, counters), offsetof(::jmarlin::GemmArgs, next.codes),                          \
     offsetof(::jmarlin::GemmArgs, next.k_blocks), offsetof(::jmarlin::GemmArgs, next.strips),                    \
     offsetof(::jmarlin::GemmArgs, next.strips_per_tile), offsetof(::jmarlin::GemmArgs, next.m_tiles),            \
     offsetof(::jmarlin::GemmArgs, next.units_per_start), offsetof(::jmarlin::GemmArgs, next.starts),             \
     offsetof(::jmarlin::GemmArgs, next.units), offsetof(::jmarlin::GemmArgs, next.block_bytes),                  \
     offsetof(::jmarlin::GemmArgs, lda), offsetof(::jmarlin::GemmArgs, ldc), offsetof(::jmarlin::GemmArgs, m),    \
     offsetof(::jmarlin::GemmArgs, n), offsetof(::jmarlin::GemmArgs, k),                                          \
     offsetof(::jmarlin::GemmArgs, k_blocks), offsetof(::jmarlin::GemmArgs, scale_rows),                          \
     offsetof(::jmarlin::GemmArgs, group_shift), offsetof(::jmarlin::GemmArgs, n_tiles),                          \
     offsetof(::jmarlin::GemmArgs, m_tiles), offsetof(::jmarlin::GemmArgs, units_per_block),                      \
     offsetof(::jmarlin::GemmArgs, stages), offsetof(::jmarlin::GemmArgs, k_blocks_inverse),                      \
     offsetof(::jmarlin::GemmArgs, m_tiles_inverse), offsetof(::jmarlin::GemmArgs, units_inverse),                \
     offsetof(::jmarlin::GemmArgs, epilogue.residual), offsetof(::jmarlin::GemmArgs, epilogue.row_factors),       \
     offsetof(::jmarlin::GemmArgs, epilogue.ldr), offsetof(::jmarlin::GemmArgs, epilogue.steps)}
