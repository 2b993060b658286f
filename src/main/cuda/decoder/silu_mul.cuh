// The activation between gate/up and down: out[i][j] = silu(gate[i][j]) * up[i][j], silu(x) = x / (1 + e^-x).
//
// Bytes: 6 f a row.
#pragma once

#include "rows.cuh"

namespace jmarlin {

struct SiluMulArgs {
    u64 gate_up;    // T[m][2 f], 16-byte aligned: the columns of gate, then those of up
    u64 out;        // T[m][f], 16-byte aligned
    s32 m;
    s32 f;          // a multiple of 8
};

constexpr float kLog2e = 1.44269504f;

JMARLIN_DEVICE float silu(float x) { return divide(x, 1.f + exp2_approx(-kLog2e * x)); }

// A thread takes a piece at a time. Any grid.
template <class T>
JMARLIN_DEVICE void silu_mul(const SiluMulArgs& args) {
    const u32 pieces = static_cast<u32>(args.f) / 8;
    const u32 work = static_cast<u32>(args.m) * pieces;
    for (u32 i = block_index() * kDecoderThreads + thread_index(); i < work; i += grid_size() * kDecoderThreads) {
        const u32 row = i / pieces;
        const u64 from = args.gate_up + 16 * (static_cast<u64>(i) + static_cast<u64>(row) * pieces);
        const Piece gate = widen_piece<T>(ld_global_16(from));
        Piece p = widen_piece<T>(ld_global_16(from + 16 * static_cast<u64>(pieces)));
#pragma unroll
        for (int j = 0; j < 8; ++j) p.v[j] *= silu(gate.v[j]);
        st_global_16(args.out + 16 * static_cast<u64>(i), pack_piece<T>(p));
    }
}

}  // namespace jmarlin
