// Split along k: the blocks of a cluster add up their partial tiles through each other's shared memory.
#pragma once

#include "staging.cuh"

namespace jmarlin {
namespace hopper {

// Two columns each of sub-blocks 0..3 from every block of the cluster that shares the tile.
template <class Shape>
struct Parts {
    F32x2 of_rank[Shape::kSplit][4];

    // `staged`: where they lie in each block. Every block asks itself first, then the next: not all of them the same one.
    JMARLIN_DEVICE void load(const u32 (&staged)[4]) {
#pragma unroll
        for (u32 own = 0; own < Shape::kSplit; ++own) {
            if (own != k_rank<Shape>()) continue;       // the ranks below must be known to the compiler: they select registers
#pragma unroll
            for (u32 i = 0; i < Shape::kSplit; ++i) {
                u32 rank = (own + i) % Shape::kSplit;
#pragma unroll
                for (u32 s = 0; s < 4; ++s) {
                    of_rank[rank][s] = ld_cluster_f32x2(cluster_address(staged[s], rank * Shape::kNeighbours + n_rank<Shape>()));
                }
            }
        }
    }
};

// Called when the partial tiles of all blocks are staged: this block's share of the tile, summed in rank order.
template <class Shape>
JMARLIN_DEVICE void reduce_and_store(const GemmArgs& args, u32 staging, const Place<Shape>& place) {
    constexpr u32 kChunks = Shape::kN / 8;
    u32 rank = k_rank<Shape>();
    u32 items = u32(place.rows) * kChunks;
    u32 end = items * (rank + 1) / Shape::kSplit;
    for (u32 item = items * rank / Shape::kSplit + thread_index(); item < end; item += kConsumerThreads) {
        u32 token = item / kChunks;
        u32 chunk = item % kChunks;
        s32 column = place.column + s32(chunk) * 8;
        if (column >= args.n) continue;
        u32 staged[4];
#pragma unroll
        for (u32 s = 0; s < 4; ++s) staged[s] = staging + staging_offset<Shape>(token, chunk / 8, s, chunk % 8);
        Parts<Shape> parts;
        parts.load(staged);
        float sum[8] = {};
#pragma unroll
        for (u32 q = 0; q < Shape::kSplit; ++q) {
#pragma unroll
            for (u32 s = 0; s < 4; ++s) {
                sum[2 * s] += parts.of_rank[q][s].x;
                sum[2 * s + 1] += parts.of_rank[q][s].y;
            }
        }
        store_columns<typename Shape::Element>(args, place.row + s32(token), column, sum);
    }
}

// The tile is staged over the ring: the other warpgroup may still be reading that, and activations on their way to the neighbour
// leave it until the neighbour has multiplied them.
template <class Shape>
JMARLIN_DEVICE void wait_for_readers_of_ring() {
    if (Shape::kNeighbours == 1) {
        named_barrier_sync(1, kConsumerThreads);
    } else {
        cluster_sync();
    }
}

// The producers' part in finish_tile.
template <class Shape>
JMARLIN_DEVICE void finish_tile_as_producer() {
    if (Shape::kNeighbours > 1) cluster_sync();
    cluster_sync();     // every partial tile is staged
    cluster_sync();     // and read: the ring is free again
}

// The sums of one tile to C.
template <class Shape>
JMARLIN_DEVICE void finish_tile(const GemmArgs& args, const Ring<Shape>& ring, const Consumer<Shape>& consumer,
                                const Place<Shape>& place, bool spread) {
    wait_for_readers_of_ring<Shape>();
    stage_sums<Shape>(consumer, ring.staging, 0, place.rows, spread);
    cluster_sync();
    reduce_and_store<Shape>(args, ring.staging, place);
    fence_proxy_async();                        // the copy engine writes the ring next
    cluster_sync();
}

}  // namespace hopper
}  // namespace jmarlin
