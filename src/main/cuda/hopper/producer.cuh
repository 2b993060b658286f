// The producer warpgroup: keeps the ring full.
#pragma once

#include "cluster_reduce.cuh"
#include "prefetch.cuh"

namespace jmarlin {
namespace hopper {

// A thread asks the copy engine for the codes, scales and zero codes of a stage, and in spread rows for the activations.
template <class Shape>
struct BulkCopies {
    const GemmArgs& args;
    const Ring<Shape>& ring;
    // With several m tiles other clusters read the same weights.
    u64 weights_policy = args.m_tiles == 1 ? policy_evict_first() : policy_evict_normal();
    u64 shared_policy = policy_evict_normal();      // scales and activations are read by other blocks or stages too

    // K-blocks [first, first + blocks).
    JMARLIN_DEVICE void request(u32 slot, const Place<Shape>& place, s32 first, s32 blocks, s32 spread_tokens) {
        s32 strip = place.column / 64;
        s32 strips_left = (args.n + 63) / 64 - strip;
        s32 strips = strips_left < 0 ? 0 : smaller(strips_left, Shape::kStrips);
        s32 scale_row = Shape::kTwoScalesPerBlock ? 2 * first : first >> args.group_shift;
        s32 scale_end = Shape::kTwoScalesPerBlock ? 2 * (first + blocks) : ((first + blocks - 1) >> args.group_shift) + 1;
        u32 code_bytes = u32(blocks) * 2048;
        u32 scale_bytes = u32(scale_end - scale_row) * 128;
        u32 shared_bytes = Shape::kNeighbours == 1 ? 0 : Shape::kDepth * Shape::kOwnRows * 128;    // what the neighbour sends

        u32 full = ring.full(slot);
        mbarrier_arrive_expect_tx(full, u32(strips) * (code_bytes + scale_bytes * (Shape::kZeroPoints ? 2 : 1))
                                        + u32(spread_tokens * blocks) * 128 + shared_bytes);
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
            u32 place_of_row = ring.activations(slot) + u32(token) * 1024;
#pragma unroll 1
            for (s32 block = 0; block < blocks; ++block) {
                bulk_copy(place_of_row, row, 128, full, shared_policy);
                place_of_row += Shape::kActivationBytes;
                row += 128;
            }
        }
    }
};

// The 128 threads copy 16-byte chunks of the rows of A into the swizzled tile, and hand every stage over when its copies have
// landed, Shape::kActivationLag stages later. A warp copies kWarpRows rows that lie side by side. Two neighbours in n need the
// same rows: each reads half of them from L2 and sends it to the other, shared memory to shared memory.
//
//   block 0   | rows of block 0 |    <---- sent ----    |                 |
//   block 1   |                 |    ---- sent ---->    | rows of block 1 |
template <class Shape>
struct ActivationCopies {
    const GemmArgs& args;
    const Ring<Shape>& ring;
    u32 first_row;      // of this warp, in the tile
    Cursor published;
    s32 under_way = 0;

    JMARLIN_DEVICE ActivationCopies(const GemmArgs& args_, const Ring<Shape>& ring_, u32 thread) : args(args_), ring(ring_) {
        first_row = n_rank<Shape>() * Shape::kOwnRows + thread / 32 * Shape::kWarpRows;
    }

    // Starts the copies of k-blocks [first, first + blocks). Rows beyond m are left as they are (their products go to columns of
    // the result that nobody reads); k beyond the end is zero, because 0 * NaN is NaN.
    JMARLIN_DEVICE void start(u32 slot, const Place<Shape>& place, s32 first, s32 blocks) {
        constexpr s32 kPass = Shape::kPassRows;
        u32 chunk = lane_index() % 8;
        u32 row = first_row + lane_index() / 8 % kPass;
        s32 rows = place.rows - s32(row);
        u64 row_bytes = u64(args.lda) * 2;
#pragma unroll 1
        for (s32 block = s32(lane_index() / 8 / kPass); block < blocks; block += Shape::kPassBlocks) {
            u64 source = args.a + u64(place.row + s32(row)) * row_bytes + (u64(first + block) * 64 + chunk * 8) * 2;
            u32 target = ring.activations(slot) + u32(block) * Shape::kActivationBytes + row * 128 + (chunk ^ row % 8) * 16;
            s32 left = args.k - (first + block) * 64 - s32(chunk) * 8;
            keep(target);
            u32 valid = 2 * u32(left < 0 ? 0 : left > 8 ? 8 : left);
#pragma unroll
            for (s32 i = 0; i < Shape::kPasses; ++i) {
                // Four rows on, the swizzle differs in the highest of its three bits.
                if (i * kPass < rows) cp_async_16_zfill((target + i * kPass * 128) ^ (i % 2 * 64), source, valid);
                source += kPass * row_bytes;
            }
        }
        cp_async_commit();
        if (under_way == Shape::kActivationLag) {
            cp_async_wait<Shape::kActivationLag>();
            publish();
        } else {
            ++under_way;
        }
    }

    // Hands over what is still under way.
    JMARLIN_DEVICE void finish() {
        cp_async_wait<0>();
#pragma unroll 1
        for (; under_way > 0; --under_way) publish();
    }

private:
    // A warp's copies of a slot are complete: hand them to the tensor cores, and to the neighbour.
    JMARLIN_DEVICE void publish() {
        fence_proxy_async();
        warp_sync();
        if (lane_index() == 0) {
            if (Shape::kNeighbours > 1) send(published.slot);
            mbarrier_arrive(ring.full(published.slot));
        }
        published.advance(ring.slots);
    }

    // NOTES: always as many k-blocks as a slot holds, so that the neighbour knows what to expect. The neighbour's slot is free,
    // because both blocks' consumers arrive at both blocks' empty barriers.
    JMARLIN_DEVICE void send(u32 slot) {
        u32 rows = ring.activations(slot) + first_row * 128;
#pragma unroll 1
        for (int block = 0; block < Shape::kDepth; ++block) {
            bulk_copy_to_cluster(at_neighbour(rows), rows, Shape::kWarpRows * 128, at_neighbour(ring.full(slot)));
            rows += Shape::kActivationBytes;
        }
    }
};

// This block's share of what the next kernel reads first, on its way while this one finishes: a run per thread.
JMARLIN_DEVICE void prefetch_next(const GemmArgs& args, u32 thread) {
    prefetch_runs(args.next, thread, kProducerThreads, [](u64 address, u32 bytes) { bulk_prefetch_l2(address, bytes); });
}

// How many stages of its first portion a block requests before its warps meet: some bytes for the memory to bring until the
// producer's warps ask. NOTES: all wait for the thread that asks, 100 to 200 instructions a stage, so not for the whole ring.
template <class Shape>
JMARLIN_DEVICE s32 stages_ahead(const Work<Shape>& work) {
    return smaller((work.end - work.begin + Shape::kDepth - 1) / Shape::kDepth, kStagesAhead);
}

// The first weights, by the thread that made the mbarriers: they need nobody else.
template <class Shape>
JMARLIN_DEVICE void request_ahead(const GemmArgs& args, const Ring<Shape>& ring) {
    BulkCopies<Shape> bulk{args, ring};
    const Work<Shape> work(args);
    if (!work.more()) return;
    const Place<Shape> place(args, work.tile);
    s32 spread_tokens = spread_rows<Shape>(args) ? args.m : 0;
    s32 stages = stages_ahead<Shape>(work);
#pragma unroll 1
    for (s32 i = 0; i < stages; ++i) {
        s32 first = work.begin + i * Shape::kDepth;
        bulk.request(u32(i), place, first, smaller(work.end - first, Shape::kDepth), spread_tokens);
    }
}

template <class Shape>
JMARLIN_DEVICE void produce(const GemmArgs& args, const Ring<Shape>& ring) {
    u32 thread = thread_index() - kConsumerThreads;
    bool spread = spread_rows<Shape>(args);
    s32 spread_tokens = spread ? args.m : 0;
    BulkCopies<Shape> bulk{args, ring};
    ActivationCopies<Shape> activations(args, ring, thread);
    Cursor fill;
    Work<Shape> work(args);
    u32 requested = u32(stages_ahead<Shape>(work));
    // The warps' first threads request stages in turn: one alone would be too slow.
    u32 turn = thread / 32;
    u32 stage = 0;

    for (; work.more(); work.next()) {
        const Place<Shape> place(args, work.tile);
#pragma unroll 1
        for (s32 first = work.begin; first < work.end; first += Shape::kDepth) {
            s32 blocks = smaller(work.end - first, Shape::kDepth);
            // NOTES: what was requested ahead is not waited for. Spread rows need nobody else, so that slot may have been released already,
            // and the phase that this would wait for be one that never ends. Any other is filled by the warp that waits for it.
            bool ahead = stage < requested;
            bool own_turn = !ahead && stage % kProducerWarps == turn;
            if (own_turn || !(ahead || spread)) mbarrier_wait(ring.empty(fill.slot), fill.parity ^ 1);
            if (own_turn && lane_index() == 0) bulk.request(fill.slot, place, first, blocks, spread_tokens);
            ++stage;
            if (!spread) activations.start(fill.slot, place, first, blocks);
            fill.advance(ring.slots);
        }
        if (!spread && (!Shape::kStriped || work.last())) activations.finish();
        warp_sync();    // the first lane has been busy
        if (work.last()) prefetch_next(args, thread);
        if constexpr (!Shape::kStriped) finish_tile_as_producer<Shape>();
    }
}

}  // namespace hopper
}  // namespace jmarlin
