// The next token of a greedy decoder: ids[i] = the first column of row i's largest logit. A row with a NaN has none: kNoToken.
//
// Bytes: 4 n a row.
#pragma once

#include "rows.cuh"

namespace jmarlin {

struct ArgmaxArgs {
    u64 logits;   // fp32[m][ld], 16-byte aligned
    u64 ids;      // u32[m]
    s64 ld;       // a multiple of 4
    s32 m;
    s32 n;
};

constexpr u32 kNoToken = 0xffffffff;

struct Largest {
    float value;
    u32 column;

    // NaN is larger than everything, so that it cannot be passed over; of equals the first column.
    JMARLIN_DEVICE void take(float v, u32 at) {
        const bool larger = value == value && !(v <= value);
        if (larger || (v == value && at < column)) value = v, column = at;
    }
};

// A block per row, grid m; shared memory of two words per warp.
JMARLIN_DEVICE void argmax(const ArgmaxArgs& args) {
    const u64 row = block_index();
    const u64 logits = args.logits + 4 * row * static_cast<u64>(args.ld);
    const u32 n = static_cast<u32>(args.n);
    Largest largest{-INFINITY, kNoToken};
    for (u32 first = 4 * thread_index(); first < n; first += 4 * kDecoderThreads) {
        if (first + 4 <= n) {
            const F32x4 quad = ld_global_f32x4(logits + 4 * static_cast<u64>(first));
            largest.take(quad.x, first), largest.take(quad.y, first + 1), largest.take(quad.z, first + 2), largest.take(quad.w, first + 3);
            continue;
        }
#pragma unroll 1
        for (u32 at = first; at < n; ++at) largest.take(ld_global_f32(logits + 4 * static_cast<u64>(at)), at);
    }
#pragma unroll
    for (u32 step = 16; step > 0; step /= 2) {
        const u32 other = lane_index() ^ step;
        largest.take(shuffle(largest.value, other), shuffle(largest.column, other));
    }
    const u32 buffer = dynamic_shared();
    if (lane_index() == 0) {
        st_shared_f32(buffer + 8 * warp_index(), largest.value);
        st_shared_4(buffer + 8 * warp_index() + 4, largest.column);
    }
    block_sync();
    if (thread_index() != 0) return;
#pragma unroll 1
    for (u32 warp = 1; warp < kDecoderWarps; ++warp) {
        largest.take(ld_shared_f32(buffer + 8 * warp), ld_shared_4(buffer + 8 * warp + 4));
    }
    st_global_4(args.ids + 4 * row, largest.value == largest.value ? largest.column : kNoToken);
}

}  // namespace jmarlin
