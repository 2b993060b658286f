// Adds the bias to fp32 sums and rounds once, as the other kernels' epilogue: C = round(sums + bias). cuBLAS knows no fp32 bias.
#pragma once

#include "../epilogue.cuh"

namespace jmarlin {

// The one argument of the entry points, by value; its Java twin is cuda.BiasArgs.
struct BiasArgs {
    u64 sums;       // fp32[m][lds], 16-byte aligned
    u64 bias;       // fp32[n rounded up to 64], 16-byte aligned
    u64 c;          // T[m][ldc], 2-byte aligned

    s64 lds;        // n rounded up to 8
    s64 ldc;

    s32 m;
    s32 n;
};

// A thread takes 8 columns of a row at a time; neighbouring threads neighbouring columns.
template <class T>
JMARLIN_DEVICE void add_bias(const BiasArgs& args, u32 threads) {
    const u32 pieces = static_cast<u32>(args.n + 7) / 8;
    const u64 work = static_cast<u64>(args.m) * pieces;
    const u64 row_bytes = 2 * static_cast<u64>(args.ldc);
    const bool aligned = (args.c | row_bytes) % 16 == 0;
    const u64 step = static_cast<u64>(grid_size()) * threads;
    for (u64 piece = static_cast<u64>(block_index()) * threads + thread_index(); piece < work; piece += step) {
        const u64 row = piece / pieces;
        const u64 column = piece % pieces * 8;
        const auto sums = ColumnValues::load(args.sums + 4 * (row * static_cast<u64>(args.lds) + column));
        const auto bias = ColumnValues::load(args.bias + 4 * column);
        const Vec16 results{pack2<T>(sums.low.x + bias.low.x, sums.low.y + bias.low.y),
                            pack2<T>(sums.low.z + bias.low.z, sums.low.w + bias.low.w),
                            pack2<T>(sums.high.x + bias.high.x, sums.high.y + bias.high.y),
                            pack2<T>(sums.high.z + bias.high.z, sums.high.w + bias.high.w)};
        store_row<T>(args.c + row * row_bytes + 2 * column, results, args.n - static_cast<s32>(column), aligned);
    }
}

}  // namespace jmarlin
