// What the small kernels share: rows of activations in pieces of eight columns, and sums over a warp or a block in a fixed order.
#pragma once

#include <cstddef>

#include "../ptx.cuh"

namespace jmarlin {

// Every kernel of the family runs in blocks of so many threads.
constexpr u32 kDecoderThreads = 256;
constexpr u32 kDecoderWarps = kDecoderThreads / 32;

// Eight neighbouring columns: 16 bytes of 16-bit numbers, widened.
struct Piece {
    float v[8];
};

template <class T>
JMARLIN_DEVICE Piece widen_piece(const Vec16& bits) {
    return {widen<T>(bits.x & 0xffff), widen<T>(bits.x >> 16), widen<T>(bits.y & 0xffff), widen<T>(bits.y >> 16),
            widen<T>(bits.z & 0xffff), widen<T>(bits.z >> 16), widen<T>(bits.w & 0xffff), widen<T>(bits.w >> 16)};
}

template <class T>
JMARLIN_DEVICE Vec16 pack_piece(const Piece& p) {
    return {pack2<T>(p.v[0], p.v[1]), pack2<T>(p.v[2], p.v[3]), pack2<T>(p.v[4], p.v[5]), pack2<T>(p.v[6], p.v[7])};
}

JMARLIN_DEVICE Piece join(const F32x4& low, const F32x4& high) { return {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}; }

// Of fp32 numbers a piece is 32 bytes.
JMARLIN_DEVICE Piece load_piece_f32(u64 address) { return join(ld_global_f32x4(address), ld_global_f32x4(address + 16)); }

JMARLIN_DEVICE Piece load_own_piece_f32(u64 address) { return join(ld_global_own_f32x4(address), ld_global_own_f32x4(address + 16)); }

JMARLIN_DEVICE void store_piece_f32(u64 address, const Piece& p) {
    st_global_f32x4(address, {p.v[0], p.v[1], p.v[2], p.v[3]});
    st_global_f32x4(address + 16, {p.v[4], p.v[5], p.v[6], p.v[7]});
}

// The sum over the lanes, the same bits in each: every step adds the same two numbers on both sides.
JMARLIN_DEVICE float warp_sum(float v) {
#pragma unroll
    for (u32 step = 16; step > 0; step /= 2) v += shuffle(v, lane_index() ^ step);
    return v;
}

JMARLIN_DEVICE float warp_max(float v) {
#pragma unroll
    for (u32 step = 16; step > 0; step /= 2) v = fmaxf(v, shuffle(v, lane_index() ^ step));
    return v;
}

// The sum over the block in warp order, the same in every thread. `buffer`: shared memory of a float per warp; it may be used again
// after the next block_sync.
JMARLIN_DEVICE float block_sum(float v, u32 buffer) {
    const float of_warp = warp_sum(v);
    if (lane_index() == 0) st_shared_f32(buffer + 4 * warp_index(), of_warp);
    block_sync();
    float sum = 0.f;
#pragma unroll
    for (u32 warp = 0; warp < kDecoderWarps; ++warp) sum += ld_shared_f32(buffer + 4 * warp);
    return sum;
}

}  // namespace jmarlin
