// The ring of slots between the producer and the consumers, and which part of the product a block works on.
#pragma once

#include "gemm_args.cuh"
#include "shape.cuh"

namespace jmarlin {
namespace hopper {

// A position in the ring. The parity is that of the rounds completed before this one: a slot is full (or empty) for the
// i-th time when the phase with parity i % 2 of its barrier is over.
struct Cursor {
    u32 slot = 0;
    u32 parity = 0;

    JMARLIN_DEVICE void advance(u32 slots) {
        if (++slot == slots) {
            slot = 0;
            parity ^= 1;
        }
    }
};

template <class Shape>
struct Ring {
    u32 barriers;
    u32 slots_at;
    u32 slots;

    JMARLIN_DEVICE explicit Ring(u32 stages) {
        barriers = dynamic_shared();
        slots_at = (barriers + 256 + 1023) & ~1023u;
        slots = stages;
    }

    JMARLIN_DEVICE u32 full(u32 slot) const { return barriers + 16 * slot; }
    JMARLIN_DEVICE u32 empty(u32 slot) const { return barriers + 16 * slot + 8; }
    JMARLIN_DEVICE u32 activations(u32 slot) const { return slots_at + slot * Shape::kSlotBytes; }
    JMARLIN_DEVICE u32 codes(u32 slot) const { return activations(slot) + Shape::kCodes; }
    JMARLIN_DEVICE u32 scales(u32 slot) const { return activations(slot) + Shape::kScales; }
    JMARLIN_DEVICE u32 zeros(u32 slot) const { return activations(slot) + Shape::kZerosAt; }
    JMARLIN_DEVICE u32 staging() const { return slots_at; }
};

// Small batches: token i lies in row 8i of the tile. The swizzle leaves these rows as they are, so plain bulk copies feed
// the product; the rows between hold garbage, which stays in columns of the result that nobody reads.
// NOTES: bulk copies cannot zero-fill, so a k that is not whole blocks takes the other way.
template <class Shape>
JMARLIN_DEVICE bool spread_rows(const GemmArgs& args) {
    return Shape::kM <= 32 && args.m * 8 <= Shape::kM && args.k % 64 == 0;
}

// The tiles of a cluster: from cluster_index() on in steps of the number of clusters. Within a tile the blocks of the
// cluster share the stages along k:
//
//            k ------------------------------>
//   tile 0  | rank 0  | rank 1  | rank 2  | rank 3  |   cluster 0
//   tile 1  | rank 0  | rank 1  | rank 2  | rank 3  |   cluster 1
//
// A tile is (n tile, m tile), m tiles innermost: clusters that run side by side read the same weights.
template <class Shape>
struct Work {
    s32 tile, tiles, clusters;
    s32 first_stage, end_stage;     // of every tile, this block's share

    JMARLIN_DEVICE explicit Work(const GemmArgs& args) {
        s32 rank = Shape::kCluster == 1 ? 0 : s32(cluster_rank());
        s32 stages = (args.k_blocks + Shape::kDepth - 1) / Shape::kDepth;
        tile = s32(block_index()) / Shape::kCluster;
        tiles = args.n_tiles * args.m_tiles;
        clusters = s32(grid_size()) / Shape::kCluster;
        first_stage = rank * stages / Shape::kCluster;
        end_stage = (rank + 1) * stages / Shape::kCluster;
    }

    JMARLIN_DEVICE bool more() const { return tile < tiles; }
    JMARLIN_DEVICE bool last() const { return tile + clusters >= tiles; }
    JMARLIN_DEVICE void next() { tile += clusters; }
};

// How many k-blocks stage `stage` holds: all but the last are full.
template <class Shape>
JMARLIN_DEVICE s32 blocks_of_stage(const GemmArgs& args, s32 stage) {
    s32 left = args.k_blocks - stage * Shape::kDepth;
    return left < Shape::kDepth ? left : Shape::kDepth;
}

// All threads of all blocks that work on the tile.
template <class Shape>
JMARLIN_DEVICE void tile_sync() {
    if (Shape::kCluster == 1) {
        block_sync();
    } else {
        cluster_sync();
    }
}

}  // namespace hopper
}  // namespace jmarlin
