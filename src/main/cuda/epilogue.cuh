// From fp32 sums to stored results: times the column's factor, plus bias, rounded once.
#pragma once

#include "reduce.cuh"

namespace jmarlin {

// The eight columns 8r .. 8r + 7 of one lane.
struct ColumnValues {
    F32x4 low;
    F32x4 high;

    JMARLIN_DEVICE static ColumnValues load(u64 address) {
        return {ld_global_f32x4(address), ld_global_f32x4(address + 16)};
    }
};

// The factors of this lane's columns in a strip that begins at first_column; padded columns have some too.
JMARLIN_DEVICE ColumnValues load_factors(const GemmArgs& args, s32 first_column) {
    return ColumnValues::load(args.factors + 4 * (static_cast<u64>(first_column) + lane_index() / 4 * 8));
}

// Eight neighbouring results of one row; `columns` of them exist.
template <class T>
JMARLIN_DEVICE void store_row(u64 address, const Vec16& results, s32 columns, bool aligned) {
    if (aligned && columns >= 8) {
        st_global_16(address, results);
        return;
    }
    const u32 pairs[4] = {results.x, results.y, results.z, results.w};
#pragma unroll
    for (int s = 0; s < 4; ++s) {
        if (2 * s < columns) st_global_2(address + 4 * s, pairs[s] & 0xffff);
        if (2 * s + 1 < columns) st_global_2(address + 4 * s + 2, pairs[s] >> 16);
    }
}

// Stores one warp's 64 columns from `first_column` and rows from `first_row`, those that exist.
template <class T, int kBatchTiles>
JMARLIN_DEVICE void store_tile(const Accumulators<kBatchTiles>& acc, const GemmArgs& args, s32 first_row, s32 first_column,
                               const ColumnValues& factors) {
    const u32 lane = lane_index();
    const s32 column = first_column + static_cast<s32>(lane / 4 * 8);
    const s32 columns = args.n - column;
    if (columns <= 0) return;

    ColumnValues bias{};
    if (args.bias != 0) bias = ColumnValues::load(args.bias + 4 * static_cast<u64>(column));

    const u64 row_bytes = 2 * static_cast<u64>(args.ldc);
    const bool aligned = (args.c | row_bytes) % 16 == 0;
#pragma unroll
    for (int i = 0; i < kBatchTiles; ++i) {
#pragma unroll
        for (int p = 0; p < 2; ++p) {
            const s32 row = first_row + static_cast<s32>(8 * i + lane % 4 * 2 + p);
            if (row >= args.m) continue;
            const float(&v)[4][4] = acc.v[i];
            const Vec16 results{pack2<T>(v[0][p] * factors.low.x + bias.low.x, v[0][2 + p] * factors.low.y + bias.low.y),
                                pack2<T>(v[1][p] * factors.low.z + bias.low.z, v[1][2 + p] * factors.low.w + bias.low.w),
                                pack2<T>(v[2][p] * factors.high.x + bias.high.x, v[2][2 + p] * factors.high.y + bias.high.y),
                                pack2<T>(v[3][p] * factors.high.z + bias.high.z, v[3][2 + p] * factors.high.w + bias.high.w)};
            store_row<T>(args.c + row * row_bytes + 2 * static_cast<u64>(column), results, columns, aligned);
        }
    }
}

}  // namespace jmarlin
