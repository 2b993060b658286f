// The residual stream at its start: x[i] = table[ids[i]], widened.
//
// Bytes: 2 h + 4 h a row, and the id.
#pragma once

#include "rows.cuh"

namespace jmarlin {

// The one argument of the entry points, by value; the Java twin of this and of every other Args here is cuda.DecoderKernel.
struct EmbedArgs {
    u64 ids;      // u32[m], each below the table's rows
    u64 table;    // T[vocabulary][h], 16-byte aligned
    u64 x;        // fp32[m][h], 16-byte aligned
    s32 m;
    s32 h;        // a multiple of 8
};

// A thread takes a piece at a time; neighbouring threads neighbouring pieces. Any grid.
template <class T>
JMARLIN_DEVICE void embed(const EmbedArgs& args) {
    const u32 pieces = static_cast<u32>(args.h) / 8;
    const u32 work = static_cast<u32>(args.m) * pieces;
    for (u32 i = block_index() * kDecoderThreads + thread_index(); i < work; i += grid_size() * kDecoderThreads) {
        const u32 row = i / pieces;
        const u32 piece = i % pieces;
        const u64 id = ld_global_4(args.ids + 4 * static_cast<u64>(row));
        const Vec16 bits = ld_global_16(args.table + 16 * (id * pieces + piece));
        store_piece_f32(args.x + 32 * static_cast<u64>(i), widen_piece<T>(bits));
    }
}

}  // namespace jmarlin
