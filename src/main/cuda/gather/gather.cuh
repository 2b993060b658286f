// Puts the columns of activations into another order, for weights whose rows were sorted by group when they were packed:
//
//   gathered[i][j] = a[i][order[j]]        i < m, j < k
//
// Why a kernel of its own and not an index in the product's loads: there the copies are 16 bytes of consecutive k, one
// instruction without registers. Gathered, the same 16 bytes are eight loads that bring a sector of 32 bytes each, 16 times
// the traffic, and every n tile would repeat them: at 16 rows and n tiles of 128 columns, where activations are half of the
// weights' bytes in L2 traffic, eight times the weights. Once, before the product, they are 4 m k bytes in all; and layers
// that share their input and its order (q, k and v, gate and up) share the result.
#pragma once

#include "../ptx.cuh"

namespace jmarlin {

// The one argument of the entry point, by value. Java's twin: cuda.GatherArgs.
struct GatherArgs {
    u64 a;          // 16-bit elements [m][lda]
    u64 order;      // u32[k], each of 0 .. k - 1
    u64 gathered;   // 16-bit elements [m][ldg], 16-byte aligned; columns from k up to the next multiple of 8 become 0

    s64 lda;
    s64 ldg;        // a multiple of 8

    s32 m;
    s32 k;
};

// A thread writes 8 columns of a row, 16 bytes, at a time; neighbouring threads neighbouring columns.
// NOTES: the host keeps m * pieces below 2^31 less the grid.
JMARLIN_DEVICE void gather_columns(const GatherArgs& args, u32 threads) {
    const u32 pieces = static_cast<u32>(args.k + 7) / 8;
    const u32 work = static_cast<u32>(args.m) * pieces;
    for (u32 piece = block_index() * threads + thread_index(); piece < work; piece += grid_size() * threads) {
        const u32 row = piece / pieces;
        const u32 first = piece % pieces * 8;
        const u64 from = args.a + 2 * (row * static_cast<u64>(args.lda));
        u32 v[8];
#pragma unroll
        for (u32 i = 0; i < 8; ++i) {
            const u32 column = first + i;
            v[i] = 0;
            if (column < static_cast<u32>(args.k)) {
                const u64 source = ld_global_4(args.order + 4 * static_cast<u64>(column));
                v[i] = ld_global_2(from + 2 * source);
            }
        }
        st_global_16(args.gathered + 2 * (row * static_cast<u64>(args.ldg) + first),
                     {v[0] | v[1] << 16, v[2] | v[3] << 16, v[4] | v[5] << 16, v[6] | v[7] << 16});
    }
}

}  // namespace jmarlin
