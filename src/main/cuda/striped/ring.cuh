// The ring of shared-memory slots between the copies and the arithmetic.
//
//   one turn:   copies of the stage that is `stages` - 1 ahead, into the slot that the turn before left: at once, or
//               among the products of the oldest stage's first three k16 steps, whose last loads those are
//               commit; the slot read last becomes vacant, the next one the oldest
//               wait for the own copies of the oldest stage; load its codes, which the lane copied itself
//               block_sync: now everyone's copies have landed, and everyone has left the vacant slot
//               load what the oldest stage's first step needs
//               products of the last k16 step of the stage before, from registers: they cover wait, barrier and loads
//
// A turn commits one group of copies even if nothing is left to copy, so "the oldest stage has landed" is always "at
// most stages - 2 groups are under way".
#pragma once

#include "shape.cuh"

namespace jmarlin {

template <class Shape>
struct Ring {
    u32 begin;
    u32 end;
    u32 oldest;  // slot of the stage to multiply next
    u32 vacant;  // slot to refill

    JMARLIN_DEVICE Ring(u32 address, s32 stages)
        : begin(address), end(address + stages * Shape::kSlotBytes), oldest(address), vacant(end - Shape::kSlotBytes) {
        if (Shape::kBatchRows < 64) keep(end);  // NOTES: the largest tile has no register for it: on sm_120 it would spill
    }

    JMARLIN_DEVICE void turn() {
        vacant = oldest;
        oldest += Shape::kSlotBytes;
        if (oldest == end) oldest = begin;
        keep(oldest);  // now, not behind the wait that follows
    }
};

// NOTES: the wait count is part of the instruction, the number of stages is not. The usual numbers are compared for first:
// the switch is a table of branches, three times as long.
template <class Shape>
JMARLIN_DEVICE void wait_for_oldest_stage(s32 stages) {
    if (stages == Shape::kStagesIn227) return cp_async_wait<Shape::kStagesIn227 - 2>();
    if (stages == Shape::kStagesIn163) return cp_async_wait<Shape::kStagesIn163 - 2>();
    if (stages == Shape::kStagesIn99) return cp_async_wait<Shape::kStagesIn99 - 2>();
    switch (stages) {
        case 2: return cp_async_wait<0>();
        case 3: return cp_async_wait<1>();
        case 4: return cp_async_wait<2>();
        case 5: return cp_async_wait<3>();
        case 6: return cp_async_wait<4>();
        case 7: return cp_async_wait<5>();
        default: return cp_async_wait<6>();
    }
}

}  // namespace jmarlin
