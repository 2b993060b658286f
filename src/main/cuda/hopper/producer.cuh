// The producer warpgroup: keeps the ring full.
#pragma once

#include "prefetch.cuh"
#include "ring.cuh"

namespace jmarlin {
namespace hopper {

// One thread asks the copy engine for the codes, scales and zero codes of a stage, and in spread rows for the activations.
template <class Shape>
struct BulkCopies {
    const GemmArgs& args;
    const Ring<Shape>& ring;
    // With several m tiles other clusters read the same weights.
    u64 weights_policy = args.m_tiles == 1 ? policy_evict_first() : policy_evict_normal();
    u64 shared_policy = policy_evict_normal();      // scales and activations are read by other blocks or stages too

    JMARLIN_DEVICE void request(u32 slot, s32 n_tile, s32 stage, s32 blocks, s32 spread_tokens) {
        s32 first = stage * Shape::kDepth;
        s32 strip = n_tile * Shape::kStrips;
        s32 strips_left = (args.n + 63) / 64 - strip;
        s32 strips = strips_left < Shape::kStrips ? strips_left : Shape::kStrips;
        s32 scale_row = Shape::kTwoScalesPerBlock ? 2 * first : first >> args.group_shift;
        s32 scale_end = Shape::kTwoScalesPerBlock ? 2 * (first + blocks) : ((first + blocks - 1) >> args.group_shift) + 1;
        u32 code_bytes = u32(blocks) * 2048;
        u32 scale_bytes = u32(scale_end - scale_row) * 128;

        u32 full = ring.full(slot);
        mbarrier_arrive_expect_tx(full, u32(strips) * (code_bytes + scale_bytes * (Shape::kZeroPoints ? 2 : 1))
                                        + u32(spread_tokens * blocks) * 128);
        u64 codes = args.codes + (u64(strip) * u64(args.k_blocks) + u64(first)) * 2048;
        u64 scale_offset = (u64(strip) * u64(args.scale_rows) + u64(scale_row)) * 128;
#pragma unroll 1
        for (s32 i = 0; i < strips; ++i) {
            bulk_copy(ring.codes(slot) + u32(i) * (Shape::kDepth * 2048), codes, code_bytes, full, weights_policy);
            u32 scale_slot = u32(i) * (Shape::kScaleRows * 128);
            bulk_copy(ring.scales(slot) + scale_slot, args.scales + scale_offset, scale_bytes, full, shared_policy);
            if (Shape::kZeroPoints) {
                bulk_copy(ring.zeros(slot) + scale_slot, args.zeros + scale_offset, scale_bytes, full, shared_policy);
            }
            codes += u64(args.k_blocks) * 2048;
            scale_offset += u64(args.scale_rows) * 128;
        }
#pragma unroll 1
        for (s32 token = 0; token < spread_tokens; ++token) {
            u64 row = args.a + (u64(token) * u64(args.lda) + u64(first) * 64) * 2;
            u32 place = ring.activations(slot) + u32(token) * 1024;
#pragma unroll 1
            for (s32 block = 0; block < blocks; ++block) {
                bulk_copy(place, row, 128, full, shared_policy);
                place += Shape::kActivationBytes;
                row += 128;
            }
        }
    }
};

// The 128 threads copy 16-byte chunks of the rows of A into the swizzled tile. Rows of tokens beyond m are left as they are
// (their products go to columns of the result that nobody reads); k beyond the end is zero, because 0 * NaN is NaN.
template <class Shape>
JMARLIN_DEVICE void copy_activations(const GemmArgs& args, const Ring<Shape>& ring, u32 slot, s32 m_tile, s32 stage,
                                     s32 blocks, u32 thread) {
    s32 tokens = args.m - m_tile * Shape::kM;
    u32 chunk = thread % 8;
    u64 column = args.a + (u64(m_tile) * Shape::kM * u64(args.lda) + u64(stage) * (Shape::kDepth * 64) + chunk * 8) * 2;
    s32 left = (args.k - stage * (Shape::kDepth * 64) - s32(chunk) * 8) * 2;      // bytes of this thread's column of chunks
#pragma unroll 1
    for (u32 line = thread / 8; line < u32(blocks) * Shape::kM; line += kProducerThreads / 8) {
        u32 row = line % Shape::kM;
        u32 block = line / Shape::kM;
        if (s32(row) < tokens) {
            s32 valid = left - s32(block) * 128;
            valid = valid < 0 ? 0 : valid > 16 ? 16 : valid;
            cp_async_16_zfill(ring.activations(slot) + line * 128 + ((chunk ^ (row % 8)) * 16),
                              column + u64(row) * u64(args.lda) * 2 + block * 128, u32(valid));
        }
    }
}

// A warp's copies of a slot are complete: hand them to the tensor cores.
template <class Shape>
JMARLIN_DEVICE void publish_activations(const Ring<Shape>& ring, u32 slot) {
    fence_proxy_async();
    warp_sync();
    if (lane_index() == 0) mbarrier_arrive(ring.full(slot));
}

// This block's share of what the next kernel reads first, on its way while this one finishes: a run per thread.
JMARLIN_DEVICE void prefetch_next(const GemmArgs& args, u32 thread) {
    prefetch_runs(args.next, thread, kProducerThreads, [](u64 address, u32 bytes) { bulk_prefetch_l2(address, bytes); });
}

template <class Shape>
JMARLIN_DEVICE void produce(const GemmArgs& args, const Ring<Shape>& ring) {
    u32 thread = thread_index() - kConsumerThreads;
    bool spread = spread_rows<Shape>(args);
    BulkCopies<Shape> bulk{args, ring};
    Cursor fill, publish;

    for (Work<Shape> work(args); work.more(); work.next()) {
        s32 n_tile = work.tile / args.m_tiles;
        s32 m_tile = work.tile % args.m_tiles;
        if (spread) {
            if (thread == 0) {
#pragma unroll 1
                for (s32 stage = work.first_stage; stage < work.end_stage; ++stage) {
                    mbarrier_wait(ring.empty(fill.slot), fill.parity ^ 1);
                    bulk.request(fill.slot, n_tile, stage, blocks_of_stage<Shape>(args, stage), args.m);
                    fill.advance(ring.slots);
                }
            }
        } else {
            s32 under_way = 0;
#pragma unroll 1
            for (s32 stage = work.first_stage; stage < work.end_stage; ++stage) {
                s32 blocks = blocks_of_stage<Shape>(args, stage);
                mbarrier_wait(ring.empty(fill.slot), fill.parity ^ 1);
                if (thread == 0) bulk.request(fill.slot, n_tile, stage, blocks, 0);
                copy_activations<Shape>(args, ring, fill.slot, m_tile, stage, blocks, thread);
                cp_async_commit();
                fill.advance(ring.slots);
                if (under_way == kActivationLag) {
                    cp_async_wait<kActivationLag>();
                    publish_activations<Shape>(ring, publish.slot);
                    publish.advance(ring.slots);
                } else {
                    ++under_way;
                }
            }
            cp_async_wait<0>();
#pragma unroll 1
            for (; under_way > 0; --under_way) {
                publish_activations<Shape>(ring, publish.slot);
                publish.advance(ring.slots);
            }
        }
        if (work.last()) prefetch_next(args, thread);
        warp_sync();
        tile_sync<Shape>();     // every partial tile is staged
        tile_sync<Shape>();     // and read: the ring is free again
    }
}

}  // namespace hopper
}  // namespace jmarlin
