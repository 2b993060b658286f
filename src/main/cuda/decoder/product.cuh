// A product of rows with a matrix of 16-bit numbers as checkpoints store it, for layers and heads that are not quantized:
//
//   c[i][j] = sum over k of a[i][k] * w[j][k] (+ bias[j])
//
// w is the tensor cores' first operand, its rows the sixteen of the instruction, the batch the eight. A block has 32 rows of w and eight
// warps, which take every eighth step of 32 k. In a step lane (r, t) reads k = 8t .. 8t + 7 of its rows in one piece and multiplies it as
// two fragments: k means what both operands make of it, so nothing needs to be rearranged:
//
//   k of the step          0 1 2 3 4 5 6 7   8 9 ...          lane t = 0 has the first eight, ...
//   instruction 0 reads    a a b b . . . .   a a b b          as its k = 2t, 2t + 1 (a) and 2t + 8, 2t + 9 (b)
//   instruction 1          . . . . a a b b   . . . . a a
//
// The warps' sums are added in warp order. The order of a result's additions depends on k alone, so a row's bits do not depend on the
// others, nor on which entry's rows it is one of.
// Bytes: 2 n k, and 2 m k for every 32 columns, from the L2 cache; results 4 or 2 each.
#pragma once

#include "rows.cuh"

namespace jmarlin {

struct ProductArgs {
    u64 a;       // T[m][lda], 16-byte aligned
    u64 w;       // T[n][k], 16-byte aligned
    u64 bias;    // fp32[n], or 0
    u64 c;       // fp32 or T, [m][ldc]
    s64 lda;     // a multiple of 8
    s64 ldc;
    s32 m;
    s32 n;
    s32 k;       // a multiple of 8
};

constexpr u32 kProductColumns = 32;
// A row of sums in shared memory: four lanes' pairs of rows fall into different banks.
constexpr u32 kProductStride = 4 * (kProductColumns + 4);

// Rows first, first + 8, ... of a matrix, those below `end`; the rest reads as zero. Lane (r, t) has row r, from its place in a step on.
template <int kRows>
struct RowPieces {
    u64 at[kRows];
    bool exists[kRows];

    JMARLIN_DEVICE RowPieces(u64 matrix, u64 stride, u32 first, u32 end) {
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
            const u32 row = first + 8 * i + lane_index() / 4;
            exists[i] = row < end;
            at[i] = matrix + 2 * (row * stride) + lane_index() % 4 * 16;
        }
    }

    JMARLIN_DEVICE void load(Vec16 (&pieces)[kRows], u32 step, bool in_k) const {
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
            pieces[i] = {0, 0, 0, 0};
            if (in_k && exists[i]) pieces[i] = ld_global_16(at[i] + 64 * static_cast<u64>(step));
        }
    }
};

// Grid: column blocks times row blocks, row blocks side by side, so that they find w in the L2 cache. Shared memory of
// kDecoderWarps * 8 * kTiles rows of sums.
template <class T, bool kFloats, int kTiles>
JMARLIN_DEVICE void product(const ProductArgs& args) {
    const u32 m = static_cast<u32>(args.m), n = static_cast<u32>(args.n), k = static_cast<u32>(args.k);
    const u32 row_blocks = (m + 8 * kTiles - 1) / (8 * kTiles);
    const u32 first_row = block_index() % row_blocks * (8 * kTiles);
    const u32 first_column = block_index() / row_blocks * kProductColumns;
    const RowPieces<4> w(args.w, k, first_column, n);
    const RowPieces<kTiles> a(args.a, static_cast<u64>(args.lda), first_row, m);

    float sums[2][kTiles][4] = {};
    const u32 steps = (k + 31) / 32;
#pragma unroll 2
    for (u32 step = warp_index(); step < steps; step += kDecoderWarps) {
        const bool in_k = step * 32 + lane_index() % 4 * 8 < k;
        Vec16 ws[4], as[kTiles];
        w.load(ws, step, in_k);
        a.load(as, step, in_k);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const Vec16 &low = ws[2 * half], &high = ws[2 * half + 1];
            const u32 first[4] = {low.x, high.x, low.y, high.y};
            const u32 second[4] = {low.z, high.z, low.w, high.w};
#pragma unroll
            for (int i = 0; i < kTiles; ++i) {
                mma_m16n8k16<T>(sums[half][i], first, as[i].x, as[i].y);
                mma_m16n8k16<T>(sums[half][i], second, as[i].z, as[i].w);
            }
        }
    }

    constexpr u32 kRows = 8 * kTiles;
    const u32 buffer = dynamic_shared();
    const u32 r = lane_index() / 4, t = lane_index() % 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int i = 0; i < kTiles; ++i) {
            const u32 at = buffer + (warp_index() * kRows + 8 * i + 2 * t) * kProductStride + 4 * (16 * half + r);
            st_shared_f32(at, sums[half][i][0]);
            st_shared_f32(at + kProductStride, sums[half][i][1]);
            st_shared_f32(at + 32, sums[half][i][2]);
            st_shared_f32(at + kProductStride + 32, sums[half][i][3]);
        }
    }
    block_sync();
    const u32 column = first_column + lane_index();
    if (column >= n) return;
    const float bias = args.bias == 0 ? 0.f : ld_global_f32(args.bias + 4 * static_cast<u64>(column));
    for (u32 row = warp_index(); row < kRows && first_row + row < m; row += kDecoderWarps) {
        float sum = 0.f;
#pragma unroll
        for (u32 warp = 0; warp < kDecoderWarps; ++warp) {
            sum += ld_shared_f32(buffer + (warp * kRows + row) * kProductStride + 4 * lane_index());
        }
        const u64 index = (first_row + row) * static_cast<u64>(args.ldc) + column;
        if constexpr (kFloats) st_global_f32(args.c + 4 * index, sum + bias);
        else st_global_2(args.c + 2 * index, pack2<T>(sum + bias, 0.f) & 0xffff);
    }
}

}  // namespace jmarlin
