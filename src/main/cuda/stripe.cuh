// Who computes what. The output is cut into tiles, and every tile into k_blocks units, blocks of k. All units are laid
// end to end, tile after tile, and cut into stripes of equal length, one per block, so every block streams the
// same number of weight bytes. Four tiles of five units on three blocks, seven units each:
//
//            tile 0        tile 1        tile 2        tile 3
//         | 0 0 0 0 0 | 0 0 1 1 1 | 1 1 1 1 2 | 2 2 2 2 2 |      unit -> block
//           \_______/   \_/ \___/   \_____/ |
//            covers     opens  |     opens  closes                what a portion does to its tile
//                            closes
//
// A portion is the part of one stripe that lies in one tile. A tile cut into several portions is summed through
// memory (reduce.cuh); each portion has its own slot there. A stripe has at most one portion that does not start
// its tile, its first, and at most one that starts a tile without finishing it, its last: two slots per block.
//
// Tiles count m first: the m tiles that share a slice of the weights are neighbours. Java's twin: plan.Stripes.
#pragma once

#include "gemm_args.cuh"

namespace jmarlin {

JMARLIN_DEVICE s32 smaller(s32 x, s32 y) { return x < y ? x : y; }

// x / d, given the host's inverse of d, (2^64 - 1) / d rounded down: for x and d below 2^31 (x + 1) * inverse is below
// (x + 1) / d * 2^64 by less than 2^33, and a division takes some 35 instructions. Java's twin: GemmArgs.inverse.
JMARLIN_DEVICE s32 quotient(s32 x, u64 inverse) {
    const u64 y = static_cast<u32>(x) + 1;
    const u64 carry = (inverse & 0xffffffff) * y >> 32;
    return static_cast<s32>(((inverse >> 32) * y + carry) >> 32);
}

// A cursor over the portions of one block's stripe: now units [begin, end()) of `tile`.
// NOTES: unit numbers are 32-bit. The host splits a batch whose n_tiles * m_tiles * k_blocks exceeds 2^31 - 1.
struct Stripe {
    s32 tile;
    s32 begin;
    s32 left;      // units of the stripe from `begin` on
    s32 k_blocks;

    JMARLIN_DEVICE Stripe(const GemmArgs& args, u32 block) : k_blocks(args.k_blocks) {
        const s32 total = args.n_tiles * args.m_tiles * args.k_blocks;
        const s32 first = static_cast<s32>(block) * args.units_per_block;
        tile = quotient(first, args.k_blocks_inverse);
        begin = first - tile * k_blocks;
        left = smaller(args.units_per_block, total - first);
    }

    JMARLIN_DEVICE bool finished() const { return left <= 0; }
    JMARLIN_DEVICE s32 end() const { return smaller(begin + left, k_blocks); }
    JMARLIN_DEVICE bool in_last_portion() const { return begin + left <= k_blocks; }
    JMARLIN_DEVICE bool covers_tile() const { return begin == 0 && left >= k_blocks; }

    JMARLIN_DEVICE void next_portion() {
        left -= end() - begin;
        begin = 0;
        ++tile;
    }
};

// The blocks that share a tile: first, first + 1, ..., last.
struct Contributors {
    s32 first;
    s32 last;

    JMARLIN_DEVICE Contributors(const GemmArgs& args, s32 tile)
        : first(quotient(tile * args.k_blocks, args.units_inverse)),
          last(quotient((tile + 1) * args.k_blocks - 1, args.units_inverse)) {}

    // Only the first contributor opens the tile.
    JMARLIN_DEVICE u64 slot(s32 block) const { return 2 * static_cast<u64>(block) + (block == first ? 1 : 0); }
};

}  // namespace jmarlin
