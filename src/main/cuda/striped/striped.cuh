// The striped kernel, for sm_80 and up: C = A * W with packed weights, one persistent block per stripe of the weights.
//
// Computes the transpose, C' = W' A': the weights are the tensor core's A operand and can stay in registers, and the
// batch lies on the side whose granularity is 8. A block's life: copy ahead of the arithmetic into a ring of stages;
// per portion of its stripe multiply stage by stage, add up the warps, hand over to the tile's other blocks or store.
//
// Most stages are inner ones, for the copies and for the arithmetic: whole, and followed by another of the same tile. One
// comparison finds that out; the turn is then straight code, in which the assembler mixes copies and arithmetic.
#pragma once

#include "../prefetch.cuh"
#include "finish.cuh"
#include "multiply.cuh"
#include "ring.cuh"

namespace jmarlin {

// The finished block's share of what the next kernel reads first: all threads walk its runs, line by line.
JMARLIN_DEVICE void prefetch_next(const GemmArgs& args, u32 threads) {
    prefetch_runs(args.next, 0, 1, [&](u64 address, u32 bytes) {
        for (u32 at = thread_index() * 128; at < bytes; at += threads * 128) prefetch_l2(address + at);
    });
}

template <class Shape>
JMARLIN_DEVICE void striped_gemm(const GemmArgs args) {
    const u32 shared = dynamic_shared();
    Stripe stripe(args, block_index());
    StageCopier<Shape> copier(args, stripe);
    Ring<Shape> ring(shared + Shape::kReductionBytes, args.stages);

    u32 slot = ring.begin;
    do {
        copier.copy_next_stage(slot);
        cp_async_commit();
        slot += Shape::kSlotBytes;
    } while (slot != ring.vacant);

    BlockMultiplier<Shape> multiplier;

    // The oldest stage's codes and first operands go to registers. ring.cuh draws a turn.
    const auto enter_stage = [&] {
        wait_for_oldest_stage<Shape>(args.stages);
        multiplier.load_codes(ring.oldest);
        block_sync();
        multiplier.load_first_step(ring.oldest);
    };
    const auto enter_next_stage = [&] {
        cp_async_commit();
        ring.turn();
        enter_stage();
    };

    enter_stage();
    for (; !stripe.finished(); stripe.next_portion()) {
        const TilePlace<Shape> place(args, stripe.tile);
        s32 warp_end = place.strip_exists ? stripe.end() - static_cast<s32>(Shape::depth()) : 0;  // of stages with a block for this warp
        keep(warp_end);

        Accumulators<Shape::kBatchTiles, Shape::kSubBlocks> acc;
        clear(acc);
        for (s32 k_block = stripe.begin; k_block < stripe.end(); k_block += Shape::kDepth) {
            const bool has_block = k_block < warp_end;
            const bool inner = has_block && copier.at_inner_stage();
            if (!inner) {
                copier.copy_next_stage(ring.vacant);
                if (!has_block) {
                    enter_next_stage();
                    continue;
                }
            }
            multiplier.multiply_until_last_step(acc, ring.oldest, [&](int i) {
                copier.copy_inner_pieces_if(inner, i, ring.vacant);
            });
            copier.leave_inner_stage_if(inner);
            enter_next_stage();
            multiplier.multiply_last_step(acc);
        }

        finish_portion<Shape>(acc, args, stripe, place, shared);
    }

    prefetch_next(args, Shape::kThreads);
}

}  // namespace jmarlin
