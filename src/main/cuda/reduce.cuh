// Adding up partial tiles: across the warps of a block that share columns, then across the blocks that share a tile.
// Both add in a fixed order, so the bits of a result do not depend on timing, and no block ever waits for another.
#pragma once

#include "stripe.cuh"

namespace jmarlin {

// One warp's partial tile, 64 columns by 8 * kBatchTiles rows. Lane l (r = l / 4, t = l % 4) holds the four sums of
// its mma per batch tile i and sub-block s: v[i][s][2h + p] is column 8r + 2s + h of row 8i + 2t + p. A warp may have half
// of the sub-blocks.
template <int kBatchTiles, int kSubBlocks = 4>
struct Accumulators {
    float v[kBatchTiles][kSubBlocks][4];
};

JMARLIN_DEVICE F32x4 get(const float (&sums)[4]) { return {sums[0], sums[1], sums[2], sums[3]}; }

JMARLIN_DEVICE void set(float (&sums)[4], const F32x4& x) { sums[0] = x.x, sums[1] = x.y, sums[2] = x.z, sums[3] = x.w; }

JMARLIN_DEVICE void add(float (&sums)[4], const F32x4& x) { sums[0] += x.x, sums[1] += x.y, sums[2] += x.z, sums[3] += x.w; }

template <int kBatchTiles, int kSubBlocks>
JMARLIN_DEVICE void clear(Accumulators<kBatchTiles, kSubBlocks>& acc) {
#pragma unroll
    for (int i = 0; i < kBatchTiles; ++i) {
#pragma unroll
        for (int s = 0; s < kSubBlocks; ++s) set(acc.v[i][s], {0.f, 0.f, 0.f, 0.f});
    }
}

template <int kBatchTiles>
JMARLIN_DEVICE void add(Accumulators<kBatchTiles>& acc, const Accumulators<kBatchTiles>& other) {
#pragma unroll
    for (int i = 0; i < kBatchTiles; ++i) {
#pragma unroll
        for (int s = 0; s < 4; ++s) add(acc.v[i][s], get(other.v[i][s]));
    }
}

// Warp w works for leader w % kLeaders. Each leader's acc becomes the sum over its warps in warp order; the others' stay
// as they were. A round takes kAtOnce batch tiles and a buffer of 2048 bytes for each of them and every warp but the
// leaders. All warps of the block call. The buffer may be reused after the next block_sync.
template <int kWarps, int kLeaders, int kAtOnce, int kBatchTiles>
JMARLIN_DEVICE void sum_across_warps(Accumulators<kBatchTiles>& acc, u32 buffer) {
    const u32 warp = warp_index();
    const u32 lane = lane_index();
#pragma unroll
    for (int first = 0; first < kBatchTiles; first += kAtOnce) {
        if (first > 0) block_sync();  // the leaders have read the previous round
        if (warp >= kLeaders) {
#pragma unroll
            for (int i = 0; i < kAtOnce * 4; ++i) {
                const u32 place = buffer + (i / 4 * (kWarps - kLeaders) + warp - kLeaders) * 2048 + i % 4 * 512 + lane * 16;
                st_shared_f32x4(place, get(acc.v[first + i / 4][i % 4]));
            }
        }
        block_sync();
        if (warp < kLeaders) {
#pragma unroll
            for (int i = 0; i < kAtOnce * 4; ++i) {
#pragma unroll
                for (int other = 0; other < kWarps - kLeaders; other += kLeaders) {
                    const u32 place = buffer + (i / 4 * (kWarps - kLeaders) + other + warp) * 2048 + i % 4 * 512 + lane * 16;
                    add(acc.v[first + i / 4][i % 4], ld_shared_f32x4(place));
                }
            }
        }
    }
}

// Bytes through which gather_rows gives one leader kTiles batch tiles, at least what finish_rows takes.
template <int kWarpsOfStrip, int kTiles>
constexpr u32 kGatheredBytes = kTiles * (kWarpsOfStrip - 1) < 2 ? 2048 : kTiles * (kWarpsOfStrip - 1) * 1024;

// From halves of the columns to halves of the rows. The warps of a strip, w % kStrips, are numbered w / kStrips; the even ones have the
// sub-blocks 0 and 1 of all rows, the odd ones 2 and 3. The first two are leaders and get all columns of half of the rows, summed up in
// the order of the numbers:
//
//                  sub-blocks 0, 1     sub-blocks 2, 3
//   first rows     0 + 2 + ...         1 + 3 + ...         to leader 0
//   other rows     0 + 2 + ...         1 + 3 + ...         to leader 1
//
// A round takes kAtOnce batch tiles of each half. All warps call; what leader w is given lies at buffer + w * kGatheredBytes and is its own
// alone until the next block_sync.
template <int kWarps, int kStrips, int kAtOnce, int kBatchTiles>
JMARLIN_DEVICE Accumulators<kBatchTiles / 2> gather_rows(const Accumulators<kBatchTiles, 2>& acc, u32 buffer) {
    constexpr int kRows = kBatchTiles / 2;
    constexpr int kNumbers = kWarps / kStrips;
    const u32 strip = warp_index() % kStrips;
    const u32 number = warp_index() / kStrips;
    const auto place = [&](u32 leader, u32 giver, int i, int s) {
        const u32 given = (giver < leader ? giver : giver - 1) * kAtOnce + i;
        return buffer + (leader * kStrips + strip) * kGatheredBytes<kNumbers, kAtOnce> + (given * 2 + s) * 512 + lane_index() * 16;
    };
    Accumulators<kRows> sums;
#pragma unroll
    for (int first = 0; first < kRows; first += kAtOnce) {
        if (first > 0) block_sync();  // the leaders have read the previous round
#pragma unroll
        for (u32 leader = 0; leader < 2; ++leader) {
            if (number == leader) continue;
#pragma unroll
            for (int i = 0; i < kAtOnce * 2; ++i) {
                st_shared_f32x4(place(leader, number, i / 2, i % 2), get(acc.v[leader * kRows + first + i / 2][i % 2]));
            }
        }
        block_sync();
        if (number >= 2) continue;
#pragma unroll
        for (int i = 0; i < kAtOnce * 2; ++i) {
            const int tile = first + i / 2;
            const int s = i % 2;
            const F32x4 own = number == 0 ? get(acc.v[tile][s]) : get(acc.v[kRows + tile][s]);
            const F32x4 other = ld_shared_f32x4(place(number, 1 - number, i / 2, s));
            set(sums.v[tile][s], number == 0 ? own : other);
            set(sums.v[tile][2 + s], number == 0 ? other : own);
#pragma unroll
            for (u32 giver = 2; giver < u32(kNumbers); ++giver) {
                add(sums.v[tile][giver % 2 * 2 + s], ld_shared_f32x4(place(number, giver, i / 2, s)));
            }
        }
    }
    return sums;
}

// Called by each of the tile's contributors, one warp per 64 columns, in halves two with half of the rows each, and `part` = that warp's
// number among them. Returns true in the warp that arrives last: its acc is then the sum of all contributors' in block order. A counter
// per warp makes the warps of a block independent of each other here.
template <int kParts, int kBatchTiles>
JMARLIN_DEVICE bool sum_across_blocks(Accumulators<kBatchTiles>& acc, const GemmArgs& args, s32 tile, u32 part) {
    constexpr u64 kPartBytes = kBatchTiles * 4 * 512;
    const u32 lane = lane_index();
    const Contributors contributors(args, tile);
    const u64 partials = args.partials + part * kPartBytes + lane * 16;
    const u64 counter = args.counters + 4 * (static_cast<u64>(tile) * kParts + part);

    // Publish: the warp's stores, then lane 0's arrival, which releases them all. The last arrival leaves the counter
    // at zero, as the next launch expects it.
    const u64 mine = partials + contributors.slot(block_index()) * (kParts * kPartBytes);
#pragma unroll
    for (int i = 0; i < kBatchTiles; ++i) {
#pragma unroll
        for (int s = 0; s < 4; ++s) st_global_f32x4(mine + (i * 4 + s) * 512, get(acc.v[i][s]));
    }
    warp_sync();
    const u32 last = static_cast<u32>(contributors.last - contributors.first);
    u32 earlier = 0;
    if (lane == 0) earlier = atomic_inc_acq_rel(counter, last);
    if (shuffle(earlier, 0) != last) return false;
    warp_sync();  // what lane 0 acquired, all lanes may read

    // NOTES: a large part is read back although it is this warp's own: beside the sum it has no room in registers.
    constexpr bool kKeepsOwn = kBatchTiles <= 2;
    const Accumulators<kBatchTiles> own = acc;
    clear(acc);
    for (s32 block = contributors.first; block <= contributors.last; ++block) {
        if (kKeepsOwn && block == static_cast<s32>(block_index())) {
            add(acc, own);
            continue;
        }
        const u64 theirs = partials + contributors.slot(block) * (kParts * kPartBytes);
#pragma unroll
        for (int i = 0; i < kBatchTiles; ++i) {
#pragma unroll
            for (int s = 0; s < 4; ++s) add(acc.v[i][s], ld_global_cg_f32x4(theirs + (i * 4 + s) * 512));
        }
    }
    return true;
}

}  // namespace jmarlin
