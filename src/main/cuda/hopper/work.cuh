// Which part of the product a block works on. A tile is kNeighbours * kN columns by kM rows of A; tiles count m first: those
// that read the same weights are neighbours.
#pragma once

#include "ring.cuh"
#include "stripe.cuh"

namespace jmarlin {
namespace hopper {

// Small batches: token i lies in row 8i of the tile. The swizzle leaves these rows as they are, so plain bulk copies feed
// the product; the rows between hold garbage, which stays in columns of the result that nobody reads.
// NOTES: bulk copies cannot zero-fill, so a k that is not whole blocks takes the other way.
template <class Shape>
JMARLIN_DEVICE bool spread_rows(const GemmArgs& args) {
    return Shape::kCanSpread && args.m <= Shape::kM / 8 && args.k % Shape::Form::kBlockK == 0;
}

// Split along k: cluster c takes tiles c, c + clusters, ... Of each its blocks take whole stages in rank order:
//
//            k ------------------------------>
//   tile 0  | rank 0  | rank 1  | rank 2  | rank 3  |   cluster 0
//   tile 1  | rank 0  | rank 1  | rank 2  | rank 3  |   cluster 1
template <class Shape>
struct SplitTiles {
    s32 tile;
    s32 begin;      // k-blocks [begin, end) of every tile
    s32 end;
    s32 tiles;
    s32 clusters;

    JMARLIN_DEVICE explicit SplitTiles(const GemmArgs& args) {
        s32 rank = s32(k_rank<Shape>());
        s32 stages = (args.k_blocks + Shape::kDepth - 1) / Shape::kDepth;
        tile = s32(block_index()) / Shape::kCluster;
        tiles = args.n_tiles * args.m_tiles;
        clusters = s32(grid_size()) / Shape::kCluster;
        begin = rank * stages / Shape::kSplit * Shape::kDepth;
        end = smaller((rank + 1) * stages / Shape::kSplit * Shape::kDepth, args.k_blocks);
    }

    JMARLIN_DEVICE bool more() const { return tile < tiles; }
    JMARLIN_DEVICE bool last() const { return tile + clusters >= tiles; }
    JMARLIN_DEVICE void next() { tile += clusters; }
};

// The striped schedule of stripe.cuh: a stripe for every cluster, whose blocks walk it side by side.
template <class Shape>
struct StripeOfTiles {
    Stripe stripe;
    s32 tile;
    s32 begin;
    s32 end;

    JMARLIN_DEVICE explicit StripeOfTiles(const GemmArgs& args) : stripe(args, cluster_index()) { look(); }

    JMARLIN_DEVICE static u32 cluster_index() { return block_index() / Shape::kCluster; }

    JMARLIN_DEVICE bool more() const { return !stripe.finished(); }
    JMARLIN_DEVICE bool last() const { return stripe.left <= end - begin; }
    JMARLIN_DEVICE void next() {
        stripe.next_portion();
        look();
    }

private:
    JMARLIN_DEVICE void look() {
        tile = stripe.tile;
        begin = stripe.begin;
        end = stripe.end();
    }
};

template <class Shape, bool kStriped>
struct WorkOf { using Type = SplitTiles<Shape>; };
template <class Shape>
struct WorkOf<Shape, true> { using Type = StripeOfTiles<Shape>; };

template <class Shape>
using Work = typename WorkOf<Shape, Shape::kStriped>::Type;

// Where a block's part of a tile lies in C.
template <class Shape>
struct Place {
    s32 column;     // first column
    s32 row;        // first row
    s32 rows;       // that exist

    JMARLIN_DEVICE Place(const GemmArgs& args, s32 tile) {
        const s32 n_tile = quotient(tile, args.m_tiles_inverse);
        column = (n_tile * Shape::kNeighbours + s32(n_rank<Shape>())) * Shape::kN;
        row = (tile - n_tile * args.m_tiles) * Shape::kM;
        rows = smaller(args.m - row, Shape::kM);
    }
};

}  // namespace hopper
}  // namespace jmarlin
