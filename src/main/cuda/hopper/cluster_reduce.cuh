// From the accumulators of a cluster's blocks to the rows of C.
#pragma once

#include "consumer.cuh"
#include "epilogue.cuh"

namespace jmarlin {
namespace hopper {

// A partial tile in shared memory is float[token][kN + 4]. Within the 64 columns of a strip, column n = 8r + 2s + h lies at
//
//   16 (s ^ strip % 2) + 2r + h
//
// so that the 8-byte stores of a warp (one s, all r, four tokens) and the 8-byte loads of a reader (one r, s = 0..3 in turn)
// both touch every bank equally often.
template <class Shape>
JMARLIN_DEVICE u32 staging_offset(u32 token, u32 strip, u32 s, u32 r) {
    return token * Shape::kStagingStride + (strip * 64 + 16 * (s ^ (strip % 2)) + 2 * r) * 4;
}

// One warpgroup's accumulators. Lane (r, t) holds rows 8j + 2t + i of the tile; rows of tokens beyond `tokens` are left out.
template <class Shape>
JMARLIN_DEVICE void stage_sums(const Consumer<Shape>& consumer, u32 staging, s32 tokens, bool spread) {
    u32 t = lane_index() % 4;
#pragma unroll
    for (int u = 0; u < Shape::kStripsPerWarpgroup; ++u) {
        const float (&sums)[Shape::kM / 2] = consumer.sums[u];
        u32 place = staging + staging_offset<Shape>(0, consumer.strip + u, warp_index() % 4, lane_index() / 4);
        if (spread) {       // token j is row 8j
#pragma unroll
            for (int j = 0; j < Shape::kM / 8; ++j) {
                if (t == 0 && j < tokens) st_shared_f32x2(place + j * Shape::kStagingStride, {sums[4 * j], sums[4 * j + 2]});
            }
        } else {
            s32 left = tokens - s32(t) * 2;
            place += t * 2 * Shape::kStagingStride;
#pragma unroll
            for (int j = 0; j < Shape::kM / 8; ++j) {
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    if (j * 8 + i < left) {
                        st_shared_f32x2(place + (j * 8 + i) * Shape::kStagingStride, {sums[4 * j + i], sums[4 * j + i + 2]});
                    }
                }
            }
        }
    }
}

// Eight columns of a row of C from their fp32 sums.
template <class T>
JMARLIN_DEVICE void store_columns(const GemmArgs& args, s32 row, s32 column, const float (&sum)[8]) {
    u64 offset = u64(column) * 4;
    ColumnValues factors = ColumnValues::load(args.factors + offset);
    ColumnValues bias{};
    if (args.bias != 0) bias = ColumnValues::load(args.bias + offset);
    Vec16 results{pack2<T>(sum[0] * factors.low.x + bias.low.x, sum[1] * factors.low.y + bias.low.y),
                  pack2<T>(sum[2] * factors.low.z + bias.low.z, sum[3] * factors.low.w + bias.low.w),
                  pack2<T>(sum[4] * factors.high.x + bias.high.x, sum[5] * factors.high.y + bias.high.y),
                  pack2<T>(sum[6] * factors.high.z + bias.high.z, sum[7] * factors.high.w + bias.high.w)};
    u64 address = args.c + (u64(row) * u64(args.ldc) + u64(column)) * 2;
    store_row<T>(address, results, args.n - column, address % 16 == 0);
}

// This block's share of the tile: sums the partial tiles in rank order, eight columns of a token at a time, and stores them.
template <class Shape>
JMARLIN_DEVICE void reduce_and_store(const GemmArgs& args, u32 staging, s32 n_tile, s32 m_tile, s32 tokens) {
    constexpr u32 kChunks = Shape::kN / 8;
    u32 rank = Shape::kCluster == 1 ? 0 : cluster_rank();
    u32 items = u32(tokens) * kChunks;
    u32 end = items * (rank + 1) / Shape::kCluster;
    for (u32 item = items * rank / Shape::kCluster + thread_index(); item < end; item += kConsumerThreads) {
        u32 token = item / kChunks;
        u32 chunk = item % kChunks;
        s32 column = n_tile * Shape::kN + s32(chunk) * 8;
        if (column >= args.n) continue;
        float sum[8] = {};
#pragma unroll
        for (u32 q = 0; q < Shape::kCluster; ++q) {
#pragma unroll
            for (u32 s = 0; s < 4; ++s) {
                u32 address = staging + staging_offset<Shape>(token, chunk / 8, s, chunk % 8);
                F32x2 v = Shape::kCluster == 1 ? ld_shared_f32x2(address) : ld_cluster_f32x2(cluster_address(address, q));
                sum[2 * s] += v.x;
                sum[2 * s + 1] += v.y;
            }
        }
        store_columns<typename Shape::Element>(args, m_tile * Shape::kM + s32(token), column, sum);
    }
}

}  // namespace hopper
}  // namespace jmarlin
