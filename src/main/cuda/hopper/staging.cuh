// From the accumulators through shared memory to rows of eight columns.
#pragma once

#include "consumer.cuh"
#include "epilogue.cuh"

namespace jmarlin {
namespace hopper {

// Staged sums are float[token][kN + 4]. Within the 64 columns of a strip, column n = 8r + 2s + h lies at
//
//   16 (s ^ strip % 2) + 2r + h
//
// so that the 8-byte stores of a warp (one s, all r, four tokens) and the 8-byte loads of a reader (one r, s = 0..3 in turn)
// both touch every bank equally often.
template <class Shape>
JMARLIN_DEVICE u32 staging_offset(u32 token, u32 strip, u32 s, u32 r) {
    return token * Shape::kStagingStride + (strip * 64 + 16 * (s ^ (strip % 2)) + 2 * r) * 4;
}

// One warpgroup's sums of tokens [first, first + kStagingRows), as far as there are `tokens`. Lane (r, t) holds rows 8j + 2t + i of the
// tile. `first` must be known to the compiler: it selects registers.
template <class Shape>
JMARLIN_DEVICE void stage_sums(const Consumer<Shape>& consumer, u32 staging, int first, s32 tokens, bool spread) {
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
            s32 left = tokens - first - s32(t) * 2;
            place += t * 2 * Shape::kStagingStride;
#pragma unroll
            for (int j = 0; j < Shape::kStagingRows / 8; ++j) {
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    int sum = (first / 8 + j) * 4 + i;
                    if (j * 8 + i < left) st_shared_f32x2(place + (j * 8 + i) * Shape::kStagingStride, {sums[sum], sums[sum + 2]});
                }
            }
        }
    }
}

// What becomes of the sums of eight columns.
struct ColumnEpilogue {
    ColumnValues factors;
    ColumnValues bias;

    JMARLIN_DEVICE static ColumnEpilogue load(const GemmArgs& args, s32 column) {
        u64 offset = u64(column) * 4;
        ColumnEpilogue epilogue{ColumnValues::load(args.factors + offset), {}};
        if (args.bias != 0) epilogue.bias = ColumnValues::load(args.bias + offset);
        return epilogue;
    }

    template <class T>
    JMARLIN_DEVICE Vec16 results(const float (&sum)[8]) const {
        return {pack2<T>(sum[0] * factors.low.x + bias.low.x, sum[1] * factors.low.y + bias.low.y),
                pack2<T>(sum[2] * factors.low.z + bias.low.z, sum[3] * factors.low.w + bias.low.w),
                pack2<T>(sum[4] * factors.high.x + bias.high.x, sum[5] * factors.high.y + bias.high.y),
                pack2<T>(sum[6] * factors.high.z + bias.high.z, sum[7] * factors.high.w + bias.high.w)};
    }
};

template <class T>
JMARLIN_DEVICE void store_columns(const GemmArgs& args, s32 row, s32 column, const Vec16& results) {
    u64 address = args.c + (u64(row) * u64(args.ldc) + u64(column)) * 2;
    store_row<T>(address, results, args.n - column, address % 16 == 0);
}

// NOTES: keep it in a loop that is not unrolled, see finish_row.
template <class T>
JMARLIN_DEVICE void finish_columns(const GemmArgs& args, s32 row, s32 column, const float (&sum)[8]) {
    const ColumnEpilogue epilogue = ColumnEpilogue::load(args, column);
    if (args.epilogue.steps == 0) store_columns<T>(args, row, column, epilogue.results<T>(sum));
    else finish_row<T>(args, row, column, sum, epilogue.factors, epilogue.bias);
}

}  // namespace hopper
}  // namespace jmarlin
