// Striped schedule: a block stores a tile that it computed alone, and adds up one that it shares with blocks of other clusters
// through memory. As in reduce.cuh the last arriver adds in stripe order, and nobody waits.
#pragma once

#include "staging.cuh"

namespace jmarlin {
namespace hopper {

// Partial tiles in memory: slot (Contributors::slot of the cluster, rank along n), then float[kM][2][kN / 8][4], of every eight columns
// the low four and the high four apart, so that the 16 bytes of neighbouring threads are neighbours.
template <class Shape>
struct PartialTiles {
    u64 base;

    JMARLIN_DEVICE explicit PartialTiles(const GemmArgs& args) {
        base = args.partials + u64(n_rank<Shape>()) * (Shape::kM * Shape::kN * 4);
    }

    // The low four sums of eight columns; the high four lie kHigh further.
    JMARLIN_DEVICE u64 address(u64 slot, u32 token, u32 chunk) const {
        return base + (slot * Shape::kNeighbours * Shape::kM + token) * (Shape::kN * 4) + chunk * 16;
    }

    static constexpr u32 kHigh = Shape::kN * 2;
};

// Eight columns of a token from all who share the tile, in stripe order.
template <class Shape>
JMARLIN_DEVICE void sum_partials(const PartialTiles<Shape>& partials, const Contributors& contributors, u32 token, u32 chunk,
                                 float (&sum)[8]) {
#pragma unroll 4
    for (s32 cluster = contributors.first; cluster <= contributors.last; ++cluster) {
        u64 address = partials.address(contributors.slot(cluster), token, chunk);
        F32x4 low = ld_global_cg_f32x4(address);
        F32x4 high = ld_global_cg_f32x4(address + PartialTiles<Shape>::kHigh);
        sum[0] += low.x, sum[1] += low.y, sum[2] += low.z, sum[3] += low.w;
        sum[4] += high.x, sum[5] += high.y, sum[6] += high.z, sum[7] += high.w;
    }
}

// The sums of one portion to C, or to a partial tile: kStagingRows tokens at a time through shared memory. A loop, with branches to the
// registers of its turn: unrolled, what finishes a row would be there up to eight times.
template <class Shape>
JMARLIN_DEVICE void store_sums(const GemmArgs& args, const Ring<Shape>& ring, const Consumer<Shape>& consumer,
                               const Place<Shape>& place, bool spread, bool whole_tile, u64 slot) {
    constexpr u32 kChunks = Shape::kN / 8;
    const PartialTiles<Shape> partials(args);
#pragma unroll 1
    for (s32 first = 0; first < place.rows; first += Shape::kStagingRows) {
#pragma unroll
        for (int turn = 0; turn < Shape::kM; turn += Shape::kStagingRows) {
            if (turn == first) stage_sums<Shape>(consumer, ring.staging, turn, place.rows, spread);
        }
        named_barrier_sync(1, kConsumerThreads);
        u32 items = u32(smaller(place.rows - first, Shape::kStagingRows)) * kChunks;
#pragma unroll 1
        for (u32 item = thread_index(); item < items; item += kConsumerThreads) {
            u32 token = item / kChunks;
            u32 chunk = item % kChunks;
            s32 column = place.column + s32(chunk) * 8;
            if (column >= args.n) continue;
            float sum[8];
#pragma unroll
            for (u32 s = 0; s < 4; ++s) {
                F32x2 v = ld_shared_f32x2(ring.staging + staging_offset<Shape>(token, chunk / 8, s, chunk % 8));
                sum[2 * s] = v.x;
                sum[2 * s + 1] = v.y;
            }
            token += u32(first);
            if (whole_tile) {
                finish_columns<typename Shape::Element>(args, place.row + s32(token), column, sum);
            } else {
                u64 address = partials.address(slot, token, chunk);
                st_global_f32x4(address, {sum[0], sum[1], sum[2], sum[3]});
                st_global_f32x4(address + PartialTiles<Shape>::kHigh, {sum[4], sum[5], sum[6], sum[7]});
            }
        }
        named_barrier_sync(1, kConsumerThreads);    // read, and the partial sums stored
    }
}

// Whether this block is the last of those that share the tile. All its consumers call, with their partial sums stored.
template <class Shape>
JMARLIN_DEVICE bool arrive_last(const GemmArgs& args, const Ring<Shape>& ring, const Contributors& contributors, s32 tile) {
    u32 others = u32(contributors.last - contributors.first);
    if (thread_index() == 0) {
        u64 counter = args.counters + (u64(tile) * Shape::kNeighbours + n_rank<Shape>()) * 4;
        st_shared_4(ring.flag(), atomic_inc_acq_rel(counter, others));
    }
    named_barrier_sync(1, kConsumerThreads);
    return ld_shared_4(ring.flag()) == others;
}

template <class Shape>
JMARLIN_DEVICE void finish_portion(const GemmArgs& args, const Ring<Shape>& ring, const Consumer<Shape>& consumer,
                                   const StripeOfTiles<Shape>& work, const Place<Shape>& place, bool spread) {
    constexpr u32 kChunks = Shape::kN / 8;
    const Contributors contributors(args, work.tile);
    bool whole_tile = work.stripe.covers_tile();
    store_sums<Shape>(args, ring, consumer, place, spread, whole_tile, contributors.slot(s32(work.cluster_index())));
    if (whole_tile) return;

    if (arrive_last<Shape>(args, ring, contributors, work.tile)) {
        const PartialTiles<Shape> partials(args);
#pragma unroll 1
        for (u32 item = thread_index(); item < u32(place.rows) * kChunks; item += kConsumerThreads) {
            s32 column = place.column + s32(item % kChunks) * 8;
            if (column >= args.n) continue;
            float sum[8] = {};
            sum_partials<Shape>(partials, contributors, item / kChunks, item % kChunks, sum);
            finish_columns<typename Shape::Element>(args, place.row + s32(item / kChunks), column, sum);
        }
    }
    // NOTES: for the compiler. Without a barrier of whole warps it takes them for divergent from here on, and keeps what the main loop
    // counts with in every lane's registers: 20 instructions more per block of 64 x 64.
    named_barrier_sync(1, kConsumerThreads);
}

}  // namespace hopper
}  // namespace jmarlin
