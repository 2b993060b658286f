// A consumer warpgroup: multiplies one or two strips of 64 columns by the batch tile.
#pragma once

#include "descriptor.cuh"
#include "work.cuh"

namespace jmarlin {
namespace hopper {

// What sparse weights have besides: a lane's metadata.
// NOTES: no members in the others' types, which would change their machine code.
template <bool kSparse>
struct Metadata {
    struct Place {};
    struct OfStage {};
    struct OfBlock {};
    struct OfHalf {};
};

template <>
struct Metadata<true> {
    struct Place { u32 metadata_at; };      // in slot 0, behind the codes of all sub-blocks
    struct OfStage { u32 metadata; };       // where they lie
    struct OfBlock { Vec8 metadata; };     // of both halves
    struct OfHalf { u32 metadata; };        // of two fragments
};

// Two fragments of the weights: half a k-block of one strip, what one commit group multiplies. A fragment is 16 k or, of sparse weights,
// the half that is stored of 32.
template <bool kSparse>
struct Fragments : Metadata<kSparse>::OfHalf {
    u32 a[2][4];
};

// What a lane reads of one strip and k-block: the codes of four fragments, one after the other, and the scales and offsets of its two
// columns, 8r + 2s (low half) and 8r + 2s + 1 (high half), in each scale row.
template <class Shape>
struct Packed : Metadata<Shape::Form::kSparse>::OfBlock {
    using Form = typename Shape::Form;
    Vec16 codes[Form::kWords];
    u32 scale[Shape::kBlockRows];
    u32 offset[Shape::kBlockRows];

    // Of a fragment.
    struct Words { u32 of[Form::kWords]; };
    JMARLIN_DEVICE Words words(int fragment) const {
        if constexpr (Form::kWords == 1) return {{word(fragment)}};
        else return {{word(2 * fragment), word(2 * fragment + 1)}};
    }

private:
    JMARLIN_DEVICE u32 word(int i) const {
        const Vec16& v = codes[i / 4];
        return i % 4 == 0 ? v.x : i % 4 == 1 ? v.y : i % 4 == 2 ? v.z : v.w;
    }
};

// Where a lane finds its part of a stage in shared memory.
template <bool kSparse>
struct Stage : Metadata<kSparse>::OfStage {
    u32 codes;
    u32 scales;
    u64 activations;    // descriptor of the first k-block
    s32 into_group;     // the k-blocks of the first scale row's group that come before the stage
};

template <class Shape>
struct Consumer : Metadata<Shape::Form::kSparse>::Place {
    using T = typename Shape::Element;
    using Form = typename Shape::Form;
    using Stage = hopper::Stage<Form::kSparse>;
    using Fragments = hopper::Fragments<Form::kSparse>;
    static constexpr int kStrips = Shape::kStripsPerWarpgroup;
    static constexpr u32 kBlockDescriptor = Shape::kSlices * Shape::kActivationBytes / 16;  // from one k-block's activations to the next
    static constexpr u32 kStepDescriptor = Form::kBlockK / 4 * 2 / 16;                      // from one fragment's to the next
    static constexpr u32 kHalfDescriptor = Form::kSparse ? Shape::kActivationBytes / 16 : 2 * kStepDescriptor;

    const GemmArgs& args;
    const Ring<Shape>& ring;
    u32 strip;              // first strip of this warpgroup in the tile
    u32 codes_at;           // this lane's codes in slot 0: its strip, sub-block s = warp of the warpgroup, lane
    u32 scales_at;          // and its two scales: column 8r + 2s
    u32 activations_at;     // the descriptor's low word for slot 0
    s32 group_mask;         // of the k-blocks of a group
    u32 to_neighbour;       // from a place in shared memory to the same one of the neighbour
    Cursor drain;
    float sums[kStrips][Shape::kM / 2];

    JMARLIN_DEVICE Consumer(const GemmArgs& args_, const Ring<Shape>& ring_) : args(args_), ring(ring_) {
        u32 warp = warp_index() % 4;
        strip = warp_index() / 4 * kStrips;
        codes_at = ring.codes(0) + strip * Shape::kDepth * Form::kBlockBytes + warp * (512 * Form::kWords) + lane_index() * 16;
        scales_at = ring.scales(0) + strip * Shape::kScaleRows * 128 + lane_index() / 4 * 16 + warp * 4;
        activations_at = u32(swizzled_descriptor(ring.activations(0)));
        group_mask = Shape::kBlockRows > 1 ? 0 : s32((1u << args.group_shift) - 1);
        keep(codes_at);
        keep(scales_at);
        keep(activations_at);
        keep(group_mask);
        if constexpr (Form::kSparse) {
            this->metadata_at = ring.codes(0) + strip * Shape::kDepth * Form::kBlockBytes + 2048 + warp * 256 + lane_index() * 8;
            keep(this->metadata_at);
        }
        if (Shape::kNeighbours > 1) {
            to_neighbour = at_neighbour(ring.barriers) - ring.barriers;
            keep(to_neighbour);
        }
    }

    // Waits for the stage that begins with `k_block`.
    JMARLIN_DEVICE Stage open(s32 k_block) const {
        u32 slot = drain.slot;
        // NOTES: kept in 32 bits. What is known of its lowest bits would turn the additions of constants into a longer way round.
        u32 activations = activations_at + slot * (Shape::kSlotBytes / 16);
        keep(activations);
        Stage stage{{}, codes_at + slot * Shape::kSlotBytes, scales_at + slot * Shape::kSlotBytes,
                    u64(kDescriptorHigh) << 32 | activations, k_block & group_mask};
        if constexpr (Form::kSparse) stage.metadata = this->metadata_at + slot * Shape::kSlotBytes;
        mbarrier_wait(ring.full(slot), drain.parity);
        keep(stage.codes);
        keep(stage.scales);
        if constexpr (Form::kSparse) keep(stage.metadata);
        return stage;
    }

    JMARLIN_DEVICE Packed<Shape> load(const Stage& stage, u32 of_warpgroup, s32 block) const {
        constexpr s32 kRows = Shape::kBlockRows;
        s32 row = kRows > 1 ? kRows * block : Shape::kShortTurns ? 0 : (stage.into_group + block) >> args.group_shift;
        u32 place = (of_warpgroup * Shape::kDepth + u32(block)) * Form::kBlockBytes;
        Packed<Shape> p;
#pragma unroll
        for (int i = 0; i < Form::kWords; ++i) p.codes[i] = ld_shared_16(stage.codes + place + i * 512);
        if constexpr (Form::kSparse) p.metadata = ld_shared_8(stage.metadata + place);
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
            u32 scale = stage.scales + (of_warpgroup * Shape::kScaleRows + u32(row + i)) * 128;
            p.scale[i] = ld_shared_4(scale);
            if (Form::kHasOffsets) p.offset[i] = ld_shared_4(scale + (Shape::kOffsetsAt - Shape::kScales));
        }
        return p;
    }

    // The codes of half kHalf to weights.
    template <int kHalf>
    static JMARLIN_DEVICE void unpack(Fragments& f, const Packed<Shape>& p) {
        constexpr int kRow = kHalf * Shape::kBlockRows / 2;
        const typename Packed<Shape>::Words words[2] = {p.words(2 * kHalf), p.words(2 * kHalf + 1)};
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const int row = Shape::kBlockRows == 4 ? kRow + i : kRow;
            Form::template dequantize<T>(f.a[i], words[i].of, p.scale[row], Form::template offset<T>(p.scale[row], p.offset[row]));
        }
        settle(f.a[0]);
        settle(f.a[1]);
        // A register of its own, as long as the product is under way: the next metadata are loaded meanwhile.
        if constexpr (Form::kSparse) f.metadata = copy_of(kHalf == 0 ? p.metadata.x : p.metadata.y);
    }

    // Starts the product of `f` with half kHalf of the activation block, and ends the one before it.
    template <int kHalf>
    static JMARLIN_DEVICE void multiply(float (&d)[Shape::kM / 2], const Fragments& f, u64 activations) {
        wgmma_fence();
        if constexpr (Form::kSparse) {
            wgmma_sp_m64k32<T, 0>(d, f.a[0], activations + kHalf * kHalfDescriptor, f.metadata);
            wgmma_sp_m64k32<T, 1>(d, f.a[1], activations + kHalf * kHalfDescriptor + kStepDescriptor, f.metadata);
        } else {
            wgmma_m64k16<T>(d, f.a[0], activations + kHalf * kHalfDescriptor);
            wgmma_m64k16<T>(d, f.a[1], activations + kHalf * kHalfDescriptor + kStepDescriptor);
        }
        wgmma_commit();
        wgmma_wait<1>();
    }

    // The slot whose mbarrier `empty` is, if it `is_ours` to say so.
    // NOTES: the copy engine overwrites the slot next. An arrival orders this lane's plain reads before other plain accesses, not before
    // those of the copy engine: a read that is still under way would get bytes of the coming stage.
    JMARLIN_DEVICE void release(u32 empty, bool is_ours) const {
        fence_proxy_async();
        warp_sync();
        mbarrier_arrive_if(is_ours, empty);
        if (Shape::kNeighbours > 1) mbarrier_arrive_cluster_if(is_ours, empty + to_neighbour);
    }

    // K-blocks [first, first + kBlocks) of a stage. A strip's codes are on their way into registers while the one before is multiplied;
    // while a group multiplies from one Fragments, the other is being unpacked. The first product ends those of the slot before.
    template <int kBlocks>
    JMARLIN_DEVICE void multiply_blocks(Fragments& even, Fragments& odd, const Stage& stage, s32 first, u32 empty_before, bool releases) {
        Packed<Shape> p = load(stage, 0, first);
        u64 activations = stage.activations + u64(first) * kBlockDescriptor;
#pragma unroll
        for (int i = 0; i < kBlocks * kStrips; ++i) {
            constexpr int kLast = kBlocks * kStrips - 1;
            const int u = i % kStrips;
            Packed<Shape> following = p;
            if (i < kLast) following = load(stage, (i + 1) % kStrips, first + (i + 1) / kStrips);
            unpack<0>(even, p);
            multiply<0>(sums[u], even, activations + i / kStrips * kBlockDescriptor);
            if (i == 0) release(empty_before, releases);
            unpack<1>(odd, p);
            multiply<1>(sums[u], odd, activations + i / kStrips * kBlockDescriptor);
            p = following;
        }
    }

    // K-blocks [begin, end) of one tile. Whole stages are straight code; only the last of a portion may have fewer blocks.
    JMARLIN_DEVICE void accumulate(s32 begin, s32 end) {
#pragma unroll
        for (int u = 0; u < kStrips; ++u)
#pragma unroll
            for (int i = 0; i < Shape::kM / 2; ++i) sums[u][i] = 0.0f;

        Fragments even, odd;
        u32 empty = 0;      // of the slot before
        s32 k_block = begin;
        s32 last_whole = end - Shape::kDepth;
        s32 releases_after = lane_index() == 0 ? begin : end;       // lane 0, and before the first stage there is none
        keep(last_whole);
        keep(releases_after);
#pragma unroll 1
        for (; k_block <= last_whole; k_block += Shape::kDepth) {
            const Stage stage = open(k_block);
            multiply_blocks<Shape::kDepth>(even, odd, stage, 0, empty, k_block > releases_after);
            empty = ring.empty(drain.slot);
            drain.advance(ring.slots);
        }
        if (Shape::kDepth > 1 && k_block < end) {
            const Stage stage = open(k_block);
#pragma unroll 1
            for (s32 block = 0; block < end - k_block; ++block) {
                multiply_blocks<1>(even, odd, stage, block, empty, block == 0 && k_block > releases_after);
            }
            empty = ring.empty(drain.slot);
            drain.advance(ring.slots);
        }
        wgmma_wait<0>();
        release(empty, end > releases_after);
#pragma unroll
        for (int u = 0; u < kStrips; ++u) settle(sums[u]);
    }
};

}  // namespace hopper
}  // namespace jmarlin
