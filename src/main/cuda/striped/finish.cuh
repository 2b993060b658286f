// The end of a portion: from the warps' sums to a part of the tile for its other blocks, or to results.
#pragma once

#include "../epilogue.cuh"
#include "shape.cuh"

namespace jmarlin {

// Where this warp's columns and the tile's rows lie.
template <class Shape>
struct TilePlace {
    s32 m_tile;
    s32 strip;
    bool strip_exists;

    JMARLIN_DEVICE TilePlace(const GemmArgs& args, s32 tile) {
        const s32 n_tile = quotient(tile, args.m_tiles_inverse);
        m_tile = tile - n_tile * args.m_tiles;
        strip = n_tile * Shape::kStrips + static_cast<s32>(Shape::strip());
        strip_exists = strip * 64 < args.n;
    }
};

// A leader's sums: 64 columns, and the rows from `first_row` of the tile on. Every leader has `own_bytes` of `shared` to itself.
template <class Shape, int kBatchTiles>
JMARLIN_DEVICE void hand_over_or_store(Accumulators<kBatchTiles>& acc, const GemmArgs& args, const Stripe& stripe,
                                       const TilePlace<Shape>& place, s32 first_row, u32 shared, u32 own_bytes) {
    const u32 part = warp_index() % Shape::kLeaders;
    const ColumnValues factors = load_factors(args, place.strip * 64);  // under way while the blocks' sums are
    if (stripe.covers_tile() || sum_across_blocks<Shape::kLeaders>(acc, args, stripe.tile, part)) {
        store_tile<typename Shape::Type>(acc, args, place.m_tile * Shape::kBatchRows + first_row, place.strip * 64, factors,
                                         shared + part * own_bytes);
    }
}

// All warps call. `shared` is the buffer for sums, and behind it the ring.
template <class Shape>
JMARLIN_DEVICE void finish_portion(Accumulators<Shape::kBatchTiles>& acc, const GemmArgs& args, const Stripe& stripe,
                                   const TilePlace<Shape>& place, u32 shared) {
    if (Shape::kTilesAtOnce > 1 && stripe.in_last_portion()) {
        block_sync();  // the ring is free: nobody reads it any more
        sum_across_warps<Shape::kWarps, Shape::kStrips, Shape::kTilesAtOnce>(acc, shared);
    } else {
        sum_across_warps<Shape::kWarps, Shape::kStrips, 1>(acc, shared);
    }
    // What the sums of the warps went through is this leader's alone here, see sum_across_warps.
    if (Shape::depth() == 0 && place.strip_exists) {
        hand_over_or_store<Shape>(acc, args, stripe, place, 0, shared, 2048);
    }
}

// The same in halves, where every leader has a half of the rows.
template <class Shape>
JMARLIN_DEVICE void finish_portion(const Accumulators<Shape::kBatchTiles, 2>& acc, const GemmArgs& args, const Stripe& stripe,
                                   const TilePlace<Shape>& place, u32 shared) {
    constexpr int kNumbers = Shape::kWarps / Shape::kStrips;
    const bool ring_is_free = stripe.in_last_portion();
    Accumulators<Shape::kLeaderTiles> sums;
    if (ring_is_free) {
        block_sync();  // nobody reads it any more
        sums = gather_rows<Shape::kWarps, Shape::kStrips, Shape::kTilesAtOnce>(acc, shared);
    } else {
        sums = gather_rows<Shape::kWarps, Shape::kStrips, 1>(acc, shared);
    }
    if (Shape::depth() == 0 && place.strip_exists) {
        const u32 given = ring_is_free ? kGatheredBytes<kNumbers, Shape::kTilesAtOnce> : kGatheredBytes<kNumbers, 1>;
        hand_over_or_store<Shape>(sums, args, stripe, place, Shape::half() * (8 * Shape::kLeaderTiles), shared, given);
    }
}

}  // namespace jmarlin
