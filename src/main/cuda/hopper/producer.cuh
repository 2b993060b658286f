// The producer warpgroup: keeps the ring full. Each of its four warps brings its share of every stage (one thread alone would be too slow
// to ask for all of it) and keeps the addresses from stage to stage:
//
//               kN = 256                             kN = 128
//   warp 0      codes and scales of strip 0          codes of strip 0
//   warp 1      codes and scales of strip 1          codes of strip 1
//   warp 2      codes and scales of strip 2          scales of strip 0
//   warp 3      codes and scales of strip 3          scales of strip 1        and each a quarter of the activations
#pragma once

#include "cluster_reduce.cuh"
#include "prefetch.cuh"

namespace jmarlin {
namespace hopper {

// A warp's first lane asks the copy engine for codes, scales and offsets, and in spread rows for activations.
template <class Shape>
struct BulkCopies {
    static constexpr u32 kWarpsPerStrip = kProducerWarps / Shape::kStrips;
    // Spread rows: a warp takes one slice of every so many.
    static constexpr s32 kTokenStep = Shape::kCanSpread ? kProducerWarps / Shape::kStageSlices : 1;
    static constexpr u32 kFromNeighbour = Shape::kNeighbours == 1 ? 0 : Shape::kStageSlices * Shape::kWarpRows * 128;
    static_assert(kWarpsPerStrip == 1 || kWarpsPerStrip == 2, "a strip is brought by a warp, or its codes by one and scales by another");

    const GemmArgs& args;
    const Ring<Shape>& ring;
    u32 warp;
    s32 tokens;                     // in spread rows, from its first on
    u64 codes_policy;
    u64 shared_policy;              // scales and activations are read by other blocks or stages too
    bool brings_codes;
    bool brings_scales;
    u64 codes;                      // where the stage begins
    u64 scale_offset;               // of the strip's first row
    u64 row;                        // this warp's slice of its first token

    JMARLIN_DEVICE BulkCopies(const GemmArgs& args_, const Ring<Shape>& ring_, u32 warp_) : args(args_), ring(ring_), warp(warp_) {
        // With several m tiles other clusters read the same weights.
        codes_policy = args.m_tiles == 1 ? policy_evict_first() : policy_evict_normal();
        shared_policy = policy_evict_normal();
        tokens = spread_rows<Shape>(args) ? args.m - first_token() : 0;
        if (Shape::kCanSpread) keep(tokens);
    }

    // The stages that begin with k-block `first`.
    JMARLIN_DEVICE void open(const Place<Shape>& place, s32 first) {
        s32 strip = place.column / 64 + s32(strip_of_tile());
        s32 strips = (args.n + 63) / 64;
        // A strip beyond n is left as it is, which makes results that nobody reads; but metadata must be some, so it is the last one again.
        if (Shape::Form::kSparse) strip = smaller(strip, strips - 1);
        bool exists = Shape::Form::kSparse || strip < strips;
        brings_codes = exists && warp < Shape::kStrips;
        brings_scales = exists && (kWarpsPerStrip == 1 || warp >= Shape::kStrips);
        codes = args.codes + (u64(u32(strip)) * u32(args.k_blocks) + u32(first)) * Shape::Form::kBlockBytes;
        scale_offset = u64(u32(strip)) * u32(args.scale_rows) * 128;
        if (Shape::kCanSpread) row = args.a + (u64(u32(first_token())) * u64(args.lda) + u32(first * Shape::kSlices + slice()) * 64) * 2;
    }

    JMARLIN_DEVICE void advance() {
        codes += Shape::kDepth * Shape::Form::kBlockBytes;
        if (Shape::kCanSpread) row += Shape::kStageSlices * 128;
    }

    // This warp's share of k-blocks [first, first + blocks).
    JMARLIN_DEVICE void request(u32 slot, s32 first, s32 blocks) const {
        constexpr s32 kRows = Shape::kBlockRows;
        s32 scale_row = kRows > 1 ? kRows * first : first >> args.group_shift;
        s32 scale_end = kRows > 1 ? kRows * (first + blocks) : ((first + blocks - 1) >> args.group_shift) + 1;
        u32 code_bytes = u32(blocks) * Shape::Form::kBlockBytes;
        u32 scale_bytes = u32(scale_end - scale_row) * 128;
        bool brings_rows = Shape::kCanSpread && tokens > 0 && slice() < blocks * Shape::kSlices;

        u32 full = ring.full(slot);
        constexpr u32 kOperands = Shape::Form::kHasOffsets ? 2 : 1;
        mbarrier_arrive_expect_tx(full, (brings_codes ? code_bytes : 0) + (brings_scales ? scale_bytes * kOperands : 0)
                                        + (brings_rows ? u32(tokens + kTokenStep - 1) / kTokenStep * 128 : 0) + kFromNeighbour);
        if (brings_codes) {
            u32 place = ring.codes(slot) + strip_of_tile() * (Shape::kDepth * Shape::Form::kBlockBytes);
            bulk_copy(place, codes, code_bytes, full, codes_policy);
        }
        if (brings_scales) {
            u64 offset = scale_offset + u64(u32(scale_row)) * 128;
            u32 place = strip_of_tile() * (Shape::kScaleRows * 128);
            bulk_copy(ring.scales(slot) + place, args.scales + offset, scale_bytes, full, shared_policy);
            if (Shape::Form::kHasOffsets) bulk_copy(ring.offsets(slot) + place, args.zeros + offset, scale_bytes, full, shared_policy);
        }
        if (brings_rows) {
            u64 source = row;
            u32 place = ring.activations(slot) + u32(slice()) * Shape::kActivationBytes + u32(first_token()) * 1024;
#pragma unroll 1
            for (s32 left = tokens; left > 0; left -= kTokenStep) {
                bulk_copy(place, source, 128, full, shared_policy);
                place += kTokenStep * 1024;
                source += u64(args.lda) * (kTokenStep * 2);
            }
        }
    }

private:
    JMARLIN_DEVICE u32 strip_of_tile() const { return warp % Shape::kStrips; }
    JMARLIN_DEVICE s32 slice() const { return s32(warp % Shape::kStageSlices); }
    JMARLIN_DEVICE s32 first_token() const { return s32(warp / Shape::kStageSlices); }
};

// The 128 threads copy 16-byte chunks of the rows of A into the swizzled tile, and hand every stage over when its copies have
// landed, Shape::kActivationLag stages later. A warp copies kWarpRows rows that lie side by side. Two neighbours in n need the
// same rows: each reads half of them from L2 and sends it to the other, shared memory to shared memory.
//
//   block 0   | rows of block 0 |    <---- sent ----    |                 |
//   block 1   |                 |    ---- sent ---->    | rows of block 1 |
template <class Shape>
struct ActivationCopies {
    static constexpr s32 kPass = Shape::kPassRows;

    const GemmArgs& args;
    const Ring<Shape>& ring;
    u32 first_row;      // of this warp, in the tile
    u32 row;            // of this lane
    s32 slice;          // the first of a stage that this lane copies
    u32 chunk;          // of eight k
    u32 target_at;      // in slot 0
    u64 row_step;       // bytes from a row to that of the next pass
    u64 source;         // where the stage begins
    s32 rows;           // that exist, from this lane's on
    s32 last_whole;     // the last slice with which a stage may begin whose slices all exist and are whole
    Cursor published;
    s32 under_way = 0;

    JMARLIN_DEVICE ActivationCopies(const GemmArgs& args_, const Ring<Shape>& ring_, u32 warp) : args(args_), ring(ring_) {
        first_row = n_rank<Shape>() * Shape::kOwnRows + warp * Shape::kWarpRows;
        row = first_row + lane_index() / 8 % kPass;
        slice = s32(lane_index() / 8 / kPass);
        chunk = lane_index() % 8;
        target_at = ring.activations(0) + u32(slice) * Shape::kActivationBytes + row * 128 + (chunk ^ row % 8) * 16;
        row_step = u64(args.lda) * (kPass * 2);
        keep(target_at);
    }

    // The stages of k-blocks [first, end).
    JMARLIN_DEVICE void open(const Place<Shape>& place, s32 first, s32 end) {
        source = args.a + (u64(u32(place.row) + row) * u64(args.lda) + u64(u32(first * Shape::kSlices + slice)) * 64 + chunk * 8) * 2;
        rows = place.rows - s32(row);
        last_whole = smaller(end * Shape::kSlices, args.k / 64) - Shape::kStageSlices;
    }

    // Starts the copies of k-blocks [first, first + blocks). Rows beyond m are left as they are (their products go to columns of
    // the result that nobody reads); k beyond the end is zero, because 0 * NaN is NaN.
    JMARLIN_DEVICE void start(u32 slot, s32 first, s32 blocks) {
        if (first * Shape::kSlices <= last_whole) copy<true>(slot, first * Shape::kSlices, blocks * Shape::kSlices);
        else copy<false>(slot, first * Shape::kSlices, blocks * Shape::kSlices);
        source += Shape::kStageSlices * 128;
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
    template <bool kWhole>
    JMARLIN_DEVICE void copy(u32 slot, s32 first, s32 slices) const {
        const u32 target = target_at + slot * Shape::kSlotBytes;
        u64 from = source;
#pragma unroll (kWhole ? Shape::kPasses : 1)
        for (s32 i = 0; i < Shape::kPasses; ++i) {
            if (i * kPass < rows) {
#pragma unroll (kWhole ? Shape::kStageSlices : 1)
                for (s32 j = 0; j < Shape::kStageSlices; j += Shape::kPassSlices) {
                    s32 left = args.k - (first + slice + j) * 64 - s32(chunk) * 8;
                    u32 valid = kWhole ? 16 : 2 * u32(left < 0 ? 0 : left > 8 ? 8 : left);
                    // Four rows on, the swizzle differs in the highest of its three bits.
                    u32 to = (target ^ u32(i % 2 * 64)) + u32(j * Shape::kActivationBytes + i * kPass * 128);
                    if (kWhole || Shape::kStageSlices == 1 || slice + j < slices) cp_async_16_zfill(to, from + u64(j) * 128, valid);
                }
            }
            from += row_step;
        }
    }

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

    // NOTES: always as many slices as a slot holds, so that the neighbour knows what to expect. The neighbour's slot is free,
    // because both blocks' consumers arrive at both blocks' empty barriers.
    JMARLIN_DEVICE void send(u32 slot) {
        u32 rows = ring.activations(slot) + first_row * 128;
#pragma unroll 1
        for (int i = 0; i < Shape::kStageSlices; ++i) {
            bulk_copy_to_cluster(at_neighbour(rows), rows, Shape::kWarpRows * 128, at_neighbour(ring.full(slot)));
            rows += Shape::kActivationBytes;
        }
    }
};

// This block's share of what the next kernel reads first, on its way while this one finishes: a run per thread.
JMARLIN_DEVICE void prefetch_next(const GemmArgs& args, u32 thread) {
    prefetch_runs(args.next, thread, kProducerThreads, [](u64 address, u32 bytes) { bulk_prefetch_l2(address, bytes); });
}

// How many stages of its first portion a block requests before its consumers and its neighbours are ready: some bytes for the memory to
// bring until then. NOTES: they wait for the warps that ask, some 70 instructions a stage, so not for the whole ring.
template <class Shape>
JMARLIN_DEVICE s32 stages_ahead(const Work<Shape>& work) {
    return smaller((work.end - work.begin + Shape::kDepth - 1) / Shape::kDepth, kStagesAhead);
}

// A warp's share of them, by one lane, as soon as the mbarriers are there.
template <class Shape>
JMARLIN_DEVICE void request_ahead(const GemmArgs& args, const Ring<Shape>& ring, u32 warp) {
    const Work<Shape> work(args);
    if (!work.more()) return;
    BulkCopies<Shape> bulk(args, ring, warp);
    bulk.open(Place<Shape>(args, work.tile), work.begin);
    s32 stages = stages_ahead<Shape>(work);
#pragma unroll 1
    for (s32 i = 0; i < stages; ++i) {
        s32 first = work.begin + i * Shape::kDepth;
        bulk.request(u32(i), first, smaller(work.end - first, Shape::kDepth));
        bulk.advance();
    }
}

template <class Shape>
JMARLIN_DEVICE void produce(const GemmArgs& args, const Ring<Shape>& ring) {
    u32 thread = thread_index() - kConsumerThreads;
    u32 spread = spread_rows<Shape>(args);
    if (Shape::kCanSpread) keep(spread);
    BulkCopies<Shape> bulk(args, ring, thread / 32);
    ActivationCopies<Shape> activations(args, ring, thread / 32);
    Cursor fill;
    Work<Shape> work(args);
    s32 ahead = stages_ahead<Shape>(work);      // requested already

    for (; work.more(); work.next()) {
        const Place<Shape> place(args, work.tile);
        bulk.open(place, work.begin);
        activations.open(place, work.begin, work.end);
#pragma unroll 1
        for (s32 first = work.begin; first < work.end; first += Shape::kDepth) {
            s32 blocks = smaller(work.end - first, Shape::kDepth);
            // NOTES: what was requested ahead is not waited for. Spread rows need nobody else, so that slot may have been released already,
            // and the phase that this would wait for be one that never ends. No other stage is full without this warp's share.
            if (ahead > 0) {
                --ahead;
            } else {
                mbarrier_wait(ring.empty(fill.slot), fill.parity ^ 1);
                if (lane_index() == 0) bulk.request(fill.slot, first, blocks);
            }
            bulk.advance();
            if (!spread) activations.start(fill.slot, first, blocks);
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
