// A consumer warpgroup: multiplies one or two strips of 64 columns by the batch tile.
#pragma once

#include "dequant.cuh"
#include "descriptor.cuh"
#include "work.cuh"

namespace jmarlin {
namespace hopper {

// Two k16 fragments of the weights: half a k-block of one strip, what one commit group multiplies.
struct Fragments {
    u32 a[2][4];
};

// What a lane reads of one strip and k-block: its codes (word j for k = 16j..16j+15) and the scales and zero codes of its
// two columns, 8r + 2s (low half) and 8r + 2s + 1 (high half), for each half of the block.
template <class Shape>
struct Packed {
    static constexpr int kScales = Shape::kTwoScalesPerBlock ? 2 : 1;
    Vec16 words;
    u32 scale[kScales];
    u32 zero[kScales];
};

template <class Shape>
struct Consumer {
    using T = typename Shape::Element;
    static constexpr int kStrips = Shape::kStripsPerWarpgroup;

    const GemmArgs& args;
    const Ring<Shape>& ring;
    u32 strip;          // first strip of this warpgroup in the tile
    u32 codes_at;       // this lane's codes in slot 0: its strip, sub-block s = warp of the warpgroup, lane
    u32 scales_at;      // and its two scales: column 8r + 2s
    Cursor drain;
    float sums[kStrips][Shape::kM / 2];

    JMARLIN_DEVICE Consumer(const GemmArgs& args_, const Ring<Shape>& ring_) : args(args_), ring(ring_) {
        u32 warp = warp_index() % 4;
        strip = warp_index() / 4 * kStrips;
        codes_at = ring.codes(0) + strip * Shape::kDepth * 2048 + warp * 512 + lane_index() * 16;
        scales_at = ring.scales(0) + strip * Shape::kScaleRows * 128 + lane_index() / 4 * 16 + warp * 4;
        keep(codes_at);
        keep(scales_at);
    }

    // `codes`, `scales`: codes_at and scales_at of a slot.
    static JMARLIN_DEVICE Packed<Shape> load(u32 codes, u32 scales, u32 of_warpgroup, s32 block, s32 scale_row) {
        Packed<Shape> p;
        p.words = ld_shared_16(codes + (of_warpgroup * Shape::kDepth + u32(block)) * 2048);
#pragma unroll
        for (int i = 0; i < Packed<Shape>::kScales; ++i) {
            u32 scale = scales + (of_warpgroup * Shape::kScaleRows + u32(scale_row + i)) * 128;
            p.scale[i] = ld_shared_4(scale);
            p.zero[i] = Shape::kZeroPoints ? ld_shared_4(scale + (Shape::kZerosAt - Shape::kScales)) : kSymmetricZeroCodes;
        }
        return p;
    }

    // The two words of half kHalf to weights.
    template <int kHalf>
    static JMARLIN_DEVICE void unpack(Fragments& f, const Packed<Shape>& p) {
        constexpr int row = Shape::kTwoScalesPerBlock ? kHalf : 0;
        const u32 words[2] = {kHalf == 0 ? p.words.x : p.words.z, kHalf == 0 ? p.words.y : p.words.w};
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            if constexpr (Shape::kZeroPoints) dequantize_with_zeros<T>(f.a[i], words[i], p.scale[row], p.zero[row]);
            else dequantize<T>(f.a[i], words[i], p.scale[row], mul2<T>(p.scale[row], p.zero[row]));
        }
        settle(f.a[0]);
        settle(f.a[1]);
    }

    // Starts the product of `f` with half `half` of the activation block, and ends the one before it.
    template <int kHalf>
    static JMARLIN_DEVICE void multiply(float (&d)[Shape::kM / 2], const Fragments& f, u64 activations) {
        wgmma_fence();
        wgmma_m64k16<T>(d, f.a[0], activations + 4 * kHalf);
        wgmma_m64k16<T>(d, f.a[1], activations + 4 * kHalf + 2);
        wgmma_commit();
        wgmma_wait<1>();
    }

    // NOTES: the copy engine overwrites the slot next. An arrival orders this lane's plain reads before other plain accesses, not before
    // those of the copy engine: a read that is still under way would get bytes of the coming stage.
    JMARLIN_DEVICE void release(u32 slot) const {
        fence_proxy_async();
        warp_sync();
        if (lane_index() == 0) {
            mbarrier_arrive(ring.empty(slot));
            if (Shape::kNeighbours > 1) mbarrier_arrive_cluster(at_neighbour(ring.empty(slot)));
        }
    }

    // K-blocks [begin, end) of one tile. While a group multiplies from one Fragments, the other is being unpacked.
    JMARLIN_DEVICE void accumulate(s32 begin, s32 end) {
#pragma unroll
        for (int u = 0; u < kStrips; ++u)
#pragma unroll
            for (int i = 0; i < Shape::kM / 2; ++i) sums[u][i] = 0.0f;

        Fragments even, odd;
        u32 previous = 0;
#pragma unroll 1
        for (s32 k_block = begin; k_block < end;) {
            u32 slot = drain.slot;
            bool first_stage = k_block == begin;
            s32 blocks = smaller(end - k_block, Shape::kDepth);
            s32 first_scale = k_block >> args.group_shift;
            u64 activations = swizzled_descriptor(ring.activations(slot));
            mbarrier_wait(ring.full(slot), drain.parity);
            // A strip's codes are on their way into registers while the one before is multiplied.
            u32 codes = codes_at + slot * Shape::kSlotBytes;
            u32 scales = scales_at + slot * Shape::kSlotBytes;
            keep(codes);
            keep(scales);
            Packed<Shape> p = load(codes, scales, 0, 0, 0);
#pragma unroll 1
            for (s32 block = 0; block < blocks; ++block, activations += Shape::kActivationBytes / 16) {
#pragma unroll
                for (int u = 0; u < kStrips; ++u) {
                    bool same_block = u + 1 < kStrips;
                    s32 next = same_block ? block : smaller(block + 1, blocks - 1);     // the last one once more
                    s32 scale = Shape::kTwoScalesPerBlock ? 2 * next : ((k_block + next) >> args.group_shift) - first_scale;
                    Packed<Shape> following = p;
                    if (same_block || Shape::kDepth > 1) following = load(codes, scales, same_block ? u + 1 : 0, next, scale);
                    unpack<0>(even, p);
                    multiply<0>(sums[u], even, activations);
                    unpack<1>(odd, p);
                    multiply<1>(sums[u], odd, activations);
                    p = following;
                }
                // NOTES: its last products were over earlier, but a branch between the groups makes ptxas serialize them (C7513).
                if (block == 0 && !first_stage) release(previous);
            }
            k_block += blocks;
            previous = slot;
            drain.advance(ring.slots);
        }
        wgmma_wait<0>();
        if (end > begin) release(previous);
#pragma unroll
        for (int u = 0; u < kStrips; ++u) settle(sums[u]);
    }
};

}  // namespace hopper
}  // namespace jmarlin
