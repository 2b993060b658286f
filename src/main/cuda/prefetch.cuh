// What the next kernel reads first, on its way into the L2 cache while this one ends.
//
// The next kernel's thread blocks start at once, each at a place of its own, and each reads strips of codes side by side,
// every strip a stream along k. So its first bytes lie in as many places as it has streams. A matrix of five strips and
// nine k-blocks, tiles of two strips, four starts seven units apart (stripe.cuh), three units fetched of each:
//
//   column tile       0                   1                   2
//   k-block           0 1 2 3 4 5 6 7 8   0 1 2 3 4 5 6 7 8   0 1 2 3 4 5 6 7 8
//   first strip       0 0 0 . . . . 1 1   1 . . . . 2 2 2 .   . . . 3 3 3 . . .    start -> what is fetched for it
//   second strip      0 0 0 . . . . 1 1   1 . . . . 2 2 2 .                        the last tile has only one strip
//
// A run is one strip's share of a start in one tile, contiguous in memory: start 1 has four, two of two blocks and two of
// one. Finished block b fetches for the starts b, b + grid, b + 2 * grid, ...
#pragma once

#include "gemm_args.cuh"

namespace jmarlin {

// Calls fetch(address, bytes) for the runs of this block that fall to one of its workers: each takes every workers-th strip
// of a tile. All addresses are multiples of 1024, and so are the sizes.
template <class Fetch>
JMARLIN_DEVICE void prefetch_runs(const Prefetch& next, u32 worker, u32 workers, Fetch fetch) {
#pragma unroll 1
    for (s32 start = static_cast<s32>(block_index()); start < next.starts; start += static_cast<s32>(grid_size())) {
        const s32 first = start * next.units_per_start;
        s32 tile = first / next.k_blocks;
        s32 begin = first % next.k_blocks;
        s32 left = next.units;
#pragma unroll 1
        while (left > 0) {
            const s32 to_end = next.k_blocks - begin;
            const s32 blocks = left < to_end ? left : to_end;
            const s32 tile_strip = tile / next.m_tiles * next.strips_per_tile;
#pragma unroll 1
            for (s32 i = static_cast<s32>(worker); i < next.strips_per_tile; i += static_cast<s32>(workers)) {
                const s32 strip = tile_strip + i;
                if (strip >= next.strips) break;
                const u64 block = static_cast<u64>(strip) * static_cast<u64>(next.k_blocks) + static_cast<u64>(begin);
                fetch(next.codes + block * static_cast<u64>(next.block_bytes), static_cast<u32>(blocks * next.block_bytes));
            }
            left -= blocks;
            begin = 0;
            ++tile;
        }
    }
}

}  // namespace jmarlin
