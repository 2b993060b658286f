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

// What a thread makes of a tile: of its block's part of the rows, eight columns of every kTokenStep-th row.
template <class Shape>
struct Share {
    using T = typename Shape::Element;
    static constexpr u32 kChunks = Shape::kN / 8;
    static constexpr u32 kTokenStep = kConsumerThreads / kChunks;
    static constexpr u32 kMost = (Shape::kM * kChunks / Shape::kSplit + kConsumerThreads - 1) / kConsumerThreads;

    u32 token;      // the first
    u32 chunk;
    s32 column;
    u32 count;
    Vec16 results[kMost];

    JMARLIN_DEVICE Share(const GemmArgs& args, const Place<Shape>& place) {
        u32 items = u32(place.rows) * kChunks / Shape::kSplit;      // of a block
        u32 item = items * k_rank<Shape>() + thread_index();
        token = item / kChunks;
        chunk = item % kChunks;
        column = place.column + s32(chunk) * 8;
        bool idle = thread_index() >= items || column >= args.n;
        count = idle ? 0 : (items - thread_index() + kConsumerThreads - 1) / kConsumerThreads;
    }

    // Sums in rank order, of the partial tiles that all blocks have staged.
    JMARLIN_DEVICE void add_up(u32 staging, const ColumnEpilogue& epilogue) {
#pragma unroll
        for (u32 i = 0; i < kMost; ++i) {
            if (i >= count) continue;
            u32 staged[4];
#pragma unroll
            for (u32 s = 0; s < 4; ++s) staged[s] = staging + staging_offset<Shape>(token + i * kTokenStep, chunk / 8, s, chunk % 8);
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
            results[i] = epilogue.template results<T>(sum);
        }
    }

    // Where more is to be done than factors and bias, row by row and in the same order; nothing of the share is left then. There is no
    // room for results in fp32, so the ring waits for them.
    // NOTES: sharing the code above made either way spill.
    JMARLIN_DEVICE void add_up_and_finish(const GemmArgs& args, s32 first_row, u32 staging, const ColumnEpilogue& epilogue) {
#pragma unroll 1
        for (; count > 0; --count, token += kTokenStep) {
            float sum[8] = {};
#pragma unroll 1
            for (u32 q = 0; q < Shape::kSplit; ++q) {
#pragma unroll
                for (u32 s = 0; s < 4; ++s) {
                    u32 staged = staging + staging_offset<Shape>(token, chunk / 8, s, chunk % 8);
                    F32x2 v = ld_cluster_f32x2(cluster_address(staged, q * Shape::kNeighbours + n_rank<Shape>()));
                    sum[2 * s] += v.x;
                    sum[2 * s + 1] += v.y;
                }
            }
            finish_row<T>(args, first_row + s32(token), column, sum, epilogue.factors, epilogue.bias);
        }
    }

    JMARLIN_DEVICE void store(const GemmArgs& args, s32 first_row) const {
#pragma unroll
        for (u32 i = 0; i < kMost; ++i) {
            if (i < count) store_columns<T>(args, first_row + s32(token + i * kTokenStep), column, results[i]);
        }
    }
};

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

// The sums of one tile to C. Nobody waits for what is read from memory or stored there: the factors come while the blocks meet, and the
// ring is handed back when the partial tiles are read.
template <class Shape>
JMARLIN_DEVICE void finish_tile(const GemmArgs& args, const Ring<Shape>& ring, const Consumer<Shape>& consumer,
                                const Place<Shape>& place, bool spread) {
    wait_for_readers_of_ring<Shape>();
    stage_sums<Shape>(consumer, ring.staging, 0, place.rows, spread);
    cluster_arrive();
    Share<Shape> share(args, place);
    ColumnEpilogue epilogue{};
    if (share.count > 0) epilogue = ColumnEpilogue::load(args, share.column);
    cluster_wait();
    if (args.epilogue.steps != 0) share.add_up_and_finish(args, place.row, ring.staging, epilogue);
    share.add_up(ring.staging, epilogue);
    fence_proxy_async();        // the copy engine writes the ring next
    cluster_arrive();
    share.store(args, place.row);
    cluster_wait();
}

}  // namespace hopper
}  // namespace jmarlin
