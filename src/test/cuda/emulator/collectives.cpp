#include "collectives.hpp"

#include <cstring>

#include "counters.hpp"
#include "half.hpp"
#include "memory.hpp"
#include "races.hpp"

namespace jmarlin::emulator {

namespace {

void perform_warp_sync(Warp& warp) {
    if (machine.options.races) synchronise_warp(warp);
}

void perform_block_sync(Warp& warp) { enter_block_barrier(warp); }

void perform_shuffle(Warp& warp) {
    for (u32 lane = 0; lane < kWarpSize; ++lane) {
        const Post& post = warp.lanes[lane].post;
        *static_cast<u32*>(post.result) = warp.lanes[post.other % kWarpSize].post.value;
    }
}

/**
 * Lane 8i + r named row r of matrix i; lane l receives word l % 4 of row l / 4 of every matrix. To the race detector
 * the reader of a word is the lane that receives it, whoever named the row.
 */
void perform_ldmatrix(Warp& warp) {
    const u8* row[kWarpSize];
    for (u32 lane = 0; lane < kWarpSize; ++lane)
        row[lane] = shared_bytes(warp.lanes[lane], warp.lanes[lane].post.value, {"ldmatrix", 16, false, warp.site});
    for (u32 lane = 0; lane < kWarpSize; ++lane) {
        Thread& thread = warp.lanes[lane];
        u32* result = static_cast<u32*>(thread.post.result);
        for (u32 i = 0; i < 4; ++i) {
            u32 source = 8 * i + lane / 4;
            std::memcpy(&result[i], row[source] + 4 * (lane % 4), 4);
            if (machine.options.races)
                race_shared_read(thread, warp.lanes[source].post.value - kSharedBase + 4 * (lane % 4), 4, warp.site);
        }
    }
}

/** Eight columns of a matrix. */
using Row = float __attribute__((vector_size(32)));

template <bool kHalf>
void widen(const u16* from, u32 count, float* to) {
#if defined(__F16C__) && defined(__AVX__)
    if (kHalf) {
        for (u32 i = 0; i < count; i += 8)
            _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
        return;
    }
#endif
    for (u32 i = 0; i < count; ++i) to[i] = kHalf ? half_to_float(from[i]) : bfloat16_to_float(from[i]);
}

/**
 * D += A * B for the m16n8k16 fragments. With r = l / 4 and t = l % 4, lane l holds
 *   a0: A[r][2t, 2t+1]      a1: A[r+8][2t, 2t+1]      a2: A[r][2t+8, 2t+9]      a3: A[r+8][2t+8, 2t+9]
 *   b0: B[2t, 2t+1][r]      b1: B[2t+8, 2t+9][r]
 *   d0, d1: D[r][2t, 2t+1]  d2, d3: D[r+8][2t, 2t+1]
 * Products are exact in fp32; they are added in the order of k.
 */
template <bool kHalf>
void perform_mma(Warp& warp) {
    u16 a[16][16], b[16][8];
    Row d[16];
    for (u32 lane = 0; lane < kWarpSize; ++lane) {
        const Post& post = warp.lanes[lane].post;
        const u32* fragment = static_cast<const u32*>(post.a);
        const float* sum = static_cast<const float*>(post.result);
        u32 r = lane / 4, t = lane % 4;
        for (u32 i = 0; i < 4; ++i) {
            std::memcpy(&a[r + 8 * (i % 2)][2 * t + 8 * (i / 2)], &fragment[i], 4);
            d[r + 8 * (i / 2)][2 * t + i % 2] = sum[i];
        }
        b[2 * t][r] = static_cast<u16>(post.value);
        b[2 * t + 1][r] = static_cast<u16>(post.value >> 16);
        b[2 * t + 8][r] = static_cast<u16>(post.other);
        b[2 * t + 9][r] = static_cast<u16>(post.other >> 16);
    }
    float left[16][16];
    Row right[16];
    widen<kHalf>(&a[0][0], 16 * 16, &left[0][0]);
    widen<kHalf>(&b[0][0], 16 * 8, reinterpret_cast<float*>(right));
    for (u32 k = 0; k < 16; ++k)
        for (u32 row = 0; row < 16; ++row) d[row] += left[row][k] * right[k];
    for (u32 lane = 0; lane < kWarpSize; ++lane) {
        float* sum = static_cast<float*>(warp.lanes[lane].post.result);
        u32 r = lane / 4, t = lane % 4;
        for (u32 i = 0; i < 4; ++i) sum[i] = d[r + 8 * (i / 2)][2 * t + i % 2];
    }
}

}  // namespace

void collective_block_sync(Site site) { arrive(Collective::kBlockSync, site, perform_block_sync); }

void collective_warp_sync(Site site) { arrive(Collective::kWarpSync, site, perform_warp_sync); }

u32 collective_shuffle(u32 value, u32 source_lane, Site site) {
    u32 result;
    current->post = {&result, nullptr, value, source_lane};
    arrive(Collective::kShuffle, site, perform_shuffle);
    return result;
}

void collective_ldmatrix(u32* result, u32 row_address, Site site) {
    current->post = {result, nullptr, row_address, 0};
    arrive(Collective::kLdmatrix, site, perform_ldmatrix);
}

void collective_mma_half(float* d, const u32* a, u32 b0, u32 b1, Site site) {
    current->post = {d, a, b0, b1};
    arrive(Collective::kMma, site, perform_mma<true>);
}

void collective_mma_bfloat16(float* d, const u32* a, u32 b0, u32 b1, Site site) {
    current->post = {d, a, b0, b1};
    arrive(Collective::kMma, site, perform_mma<false>);
}

}  // namespace jmarlin::emulator
