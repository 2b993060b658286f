// The ring of shared-memory slots between the copies and the arithmetic.
//
//   one turn:   wait for the own copies of the oldest stage
//               block_sync: now everyone's copies have landed, and everyone has left the slot of the turn before
//               refill that slot; commit
//               multiply the oldest stage
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
        : begin(address), end(address + stages * Shape::kSlotBytes), oldest(address), vacant(end - Shape::kSlotBytes) {}

    JMARLIN_DEVICE void turn() {
        vacant = oldest;
        oldest += Shape::kSlotBytes;
        if (oldest == end) oldest = begin;
    }
};

// The wait count is part of the instruction, the number of stages is not.
JMARLIN_DEVICE void wait_for_oldest_stage(s32 stages) {
    switch (stages) {
        case 2: cp_async_wait<0>(); break;
        case 3: cp_async_wait<1>(); break;
        case 4: cp_async_wait<2>(); break;
        case 5: cp_async_wait<3>(); break;
        case 6: cp_async_wait<4>(); break;
        case 7: cp_async_wait<5>(); break;
        default: cp_async_wait<6>(); break;
    }
}

}  // namespace jmarlin
