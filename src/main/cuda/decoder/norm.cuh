// RMSNorm, and the addition to the residual stream before it:
//
//   x[s] += delta[s]                                          where there is a delta
//   out[i] = round(x[s] / sqrt(mean(x[s]^2) + epsilon) * weight)      s = sources[i], or i
//
// The residual stream stays in fp32: what 80 layers add to it is rounded once each, to the product's type, and never again.
// Bytes: 4 h a row read twice (the second time from the caches), 2 h for out; with a delta 2 h + 4 h more.
#pragma once

#include "rows.cuh"

namespace jmarlin {

struct NormArgs {
    u64 x;         // fp32[rows][h], 16-byte aligned
    u64 delta;     // T[rows][h], 16-byte aligned, or 0
    u64 weight;    // fp32[h], 16-byte aligned
    u64 sources;   // u32[m], all different, or 0: row i of out comes from row i of x
    u64 out;       // T[m][h], 16-byte aligned
    s32 m;
    s32 h;         // a multiple of 8
    float epsilon;
};

// A block per row, grid m; shared memory of a float per warp.
template <class T>
JMARLIN_DEVICE void norm(const NormArgs& args) {
    const u32 pieces = static_cast<u32>(args.h) / 8;
    const u64 source = args.sources == 0 ? block_index() : ld_global_4(args.sources + 4 * static_cast<u64>(block_index()));
    const u64 x = args.x + 32 * source * pieces;
    const u64 delta = args.delta + 16 * source * pieces;
    float squares = 0.f;
    for (u32 i = thread_index(); i < pieces; i += kDecoderThreads) {
        Piece p = load_own_piece_f32(x + 32 * static_cast<u64>(i));
        if (args.delta != 0) {
            const Piece d = widen_piece<T>(ld_global_16(delta + 16 * static_cast<u64>(i)));
#pragma unroll
            for (int j = 0; j < 8; ++j) p.v[j] += d.v[j];
            store_piece_f32(x + 32 * static_cast<u64>(i), p);
        }
#pragma unroll
        for (int j = 0; j < 8; ++j) squares = fmaf(p.v[j], p.v[j], squares);
    }
    const float mean = divide(block_sum(squares, dynamic_shared()), static_cast<float>(args.h));
    const float factor = divide(1.f, square_root(mean + args.epsilon));
    const u64 out = args.out + 16 * static_cast<u64>(block_index()) * pieces;
    for (u32 i = thread_index(); i < pieces; i += kDecoderThreads) {
        Piece p = load_own_piece_f32(x + 32 * static_cast<u64>(i));
        const Piece w = load_piece_f32(args.weight + 32 * static_cast<u64>(i));
#pragma unroll
        for (int j = 0; j < 8; ++j) p.v[j] = p.v[j] * factor * w.v[j];
        st_global_16(out + 16 * static_cast<u64>(i), pack_piece<T>(p));
    }
}

}  // namespace jmarlin
