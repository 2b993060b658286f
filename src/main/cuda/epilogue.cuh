// From fp32 sums to stored results: times the column's factor, plus bias; where the launch asks for more (EpilogueArgs), all of it in
// fp32; rounded once. Only sums that are complete come here.
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

// ---- more than factors and bias ----

// g / (1 + e^-g) * u. NOTES: e^-g overflows for g below -88, and silu(g) becomes -0.
JMARLIN_DEVICE float silu_mul(float gate, float up) {
    constexpr float kLog2E = 1.44269504f;
    return gate * reciprocal(1.0f + power_of_two(-kLog2E * gate)) * up;
}

// Adds up to eight neighbouring elements of a residual, T or fp32; `count` of them exist.
template <class T>
JMARLIN_DEVICE void add_residual(float (&y)[8], u64 address, s32 count, bool wide) {
#pragma unroll
    for (int q = 0; q < 8; q += 4) {
        const u64 four = address + (wide ? 4 : 2) * q;
        if (four % (wide ? 16 : 8) == 0 && q + 4 <= count) {
            if (wide) {
                const F32x4 r = ld_global_written_f32x4(four);
                y[q] += r.x, y[q + 1] += r.y, y[q + 2] += r.z, y[q + 3] += r.w;
            } else {
                const Vec8 r = ld_global_written_8(four);
                y[q] += widen<T>(r.x & 0xffff), y[q + 1] += widen<T>(r.x >> 16);
                y[q + 2] += widen<T>(r.y & 0xffff), y[q + 3] += widen<T>(r.y >> 16);
            }
            continue;
        }
#pragma unroll
        for (int i = q; i < q + 4; ++i) {
            if (i >= count) continue;
            y[i] += wide ? ld_global_written_f32(address + 4 * i) : widen<T>(ld_global_written_2(address + 2 * i));
        }
    }
}

// Stores up to eight neighbouring results, as T or fp32; `count` of them exist.
template <class T>
JMARLIN_DEVICE void store_results(const float (&y)[8], u64 address, s32 count, bool wide) {
    if (!wide) {
        const Vec16 results{pack2<T>(y[0], y[1]), pack2<T>(y[2], y[3]), pack2<T>(y[4], y[5]), pack2<T>(y[6], y[7])};
        if (count == 4 && address % 8 == 0) st_global_8(address, {results.x, results.y});
        else store_row<T>(address, results, count, address % 16 == 0);
        return;
    }
#pragma unroll
    for (int q = 0; q < 8; q += 4) {
        if (address % 16 == 0 && q + 4 <= count) {
            st_global_f32x4(address + 4 * q, {y[q], y[q + 1], y[q + 2], y[q + 3]});
            continue;
        }
#pragma unroll
        for (int i = q; i < q + 4; ++i) {
            if (i < count) st_global_f32(address + 4 * i, y[i]);
        }
    }
}

// The sums of eight columns of a row, from `column` on, to what the epilogue makes of them. Args: GemmArgs or FinishArgs.
// NOTES: some 400 instructions; callers keep it in a loop that is not unrolled.
template <class T, class Args>
JMARLIN_DEVICE void finish_row(const Args& args, s32 row, s32 column, const float (&sums)[8], const ColumnValues& factors,
                               const ColumnValues& bias) {
    const EpilogueArgs& epilogue = args.epilogue;
    const bool wide = (epilogue.steps & kFloatOutput) != 0;
    float scale = 1.0f;
    if (epilogue.steps & kScaleRows) scale = ld_global_f32(epilogue.row_factors + 4 * static_cast<u64>(row));
    float y[8] = {sums[0] * (factors.low.x * scale) + bias.low.x,   sums[1] * (factors.low.y * scale) + bias.low.y,
                  sums[2] * (factors.low.z * scale) + bias.low.z,   sums[3] * (factors.low.w * scale) + bias.low.w,
                  sums[4] * (factors.high.x * scale) + bias.high.x, sums[5] * (factors.high.y * scale) + bias.high.y,
                  sums[6] * (factors.high.z * scale) + bias.high.z, sums[7] * (factors.high.w * scale) + bias.high.w};
    s32 count = smaller(args.n - column, 8);
    if (epilogue.steps & kSiluMul) {
#pragma unroll
        for (int i = 0; i < 4; ++i) y[i] = silu_mul(y[2 * i], y[2 * i + 1]);
        column /= 2;
        count /= 2;
    }
    const u64 bytes = wide ? 4 : 2;
    if (epilogue.steps & kAddResidual) {
        const u64 at = static_cast<u64>(row) * static_cast<u64>(epilogue.ldr) + static_cast<u64>(column);
        add_residual<T>(y, epilogue.residual + at * bytes, count, wide);
    }
    const u64 at = static_cast<u64>(row) * static_cast<u64>(args.ldc) + static_cast<u64>(column);
    store_results<T>(y, args.c + at * bytes, count, wide);
}

// ---- a warp's tile ----

// A row at a time, in a loop: registers have no index, so the sums of a batch tile go through `buffer`, 2048 bytes of this warp alone,
// every lane's to itself.
template <class T, int kBatchTiles>
JMARLIN_DEVICE void finish_rows(const Accumulators<kBatchTiles>& acc, const GemmArgs& args, s32 first_row, s32 column,
                                const ColumnValues& factors, u32 buffer) {
    const u32 lane = lane_index();
    const u32 mine = buffer + lane * 16;
#pragma unroll 1
    for (s32 row_of_tile = 0; row_of_tile < 2 * kBatchTiles; ++row_of_tile) {
        const s32 tile = row_of_tile / 2;
        const bool odd = row_of_tile % 2 != 0;
#pragma unroll
        for (int i = 0; i < kBatchTiles; ++i) {
            if (i != tile || odd) continue;
#pragma unroll
            for (int s = 0; s < 4; ++s) st_shared_f32x4(mine + s * 512, get(acc.v[i][s]));
        }
        const s32 row = first_row + 8 * tile + static_cast<s32>(lane % 4 * 2) + (odd ? 1 : 0);
        if (row >= args.m) continue;
        float sums[8];
#pragma unroll
        for (int s = 0; s < 4; ++s) {
            const F32x4 v = ld_shared_f32x4(mine + s * 512);
            sums[2 * s] = odd ? v.y : v.x;
            sums[2 * s + 1] = odd ? v.w : v.z;
        }
        ColumnValues bias{};
        if (args.bias != 0) bias = ColumnValues::load(args.bias + 4 * static_cast<u64>(column));
        finish_row<T>(args, row, column, sums, factors, bias);
    }
}

// Stores one warp's 64 columns from `first_column` and rows from `first_row`, those that exist.
template <class T, int kBatchTiles>
JMARLIN_DEVICE void store_tile(const Accumulators<kBatchTiles>& acc, const GemmArgs& args, s32 first_row, s32 first_column,
                               const ColumnValues& factors, u32 buffer) {
    const u32 lane = lane_index();
    const s32 column = first_column + static_cast<s32>(lane / 4 * 8);
    const s32 columns = args.n - column;
    if (columns <= 0) return;
    if (args.epilogue.steps != 0) {
        finish_rows<T>(acc, args, first_row, column, factors, buffer);
        return;
    }

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
