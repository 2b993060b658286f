// What is left to do to the fp32 sums of a dense product: bias and epilogue, rounded once, as the other kernels do. cuBLAS knows neither.
#pragma once

#include "../epilogue.cuh"

namespace jmarlin {

// The one argument of the entry points, by value; its Java twin is cuda.FinishArgs.
struct FinishArgs {
    u64 sums;       // fp32[m][lds], 16-byte aligned
    u64 bias;       // fp32[n rounded up to 64], 16-byte aligned, or 0
    u64 c;          // as in GemmArgs
    EpilogueArgs epilogue;

    s64 lds;        // n rounded up to 8
    s64 ldc;

    s32 m;
    s32 n;
};

// A thread takes 8 columns of a row at a time; neighbouring threads neighbouring columns.
template <class T>
JMARLIN_DEVICE void finish_sums(const FinishArgs& args, u32 threads) {
    const u32 pieces = static_cast<u32>(args.n + 7) / 8;
    const u64 work = static_cast<u64>(args.m) * pieces;
    const u64 step = static_cast<u64>(grid_size()) * threads;
    const ColumnValues ones{{1, 1, 1, 1}, {1, 1, 1, 1}};    // the dense weights have their factors
#pragma unroll 1
    for (u64 piece = static_cast<u64>(block_index()) * threads + thread_index(); piece < work; piece += step) {
        const u64 row = piece / pieces;
        const u64 column = piece % pieces * 8;
        const auto v = ColumnValues::load(args.sums + 4 * (row * static_cast<u64>(args.lds) + column));
        const float sums[8] = {v.low.x, v.low.y, v.low.z, v.low.w, v.high.x, v.high.y, v.high.z, v.high.w};
        ColumnValues bias{};
        if (args.bias != 0) bias = ColumnValues::load(args.bias + 4 * column);
        finish_row<T>(args, static_cast<s32>(row), static_cast<s32>(column), sums, ones, bias);
    }
}

}  // namespace jmarlin
