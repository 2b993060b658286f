// The ring of slots between the producer and the consumers.
#pragma once

#include "shape.cuh"

namespace jmarlin {
namespace hopper {

// A position in the ring. The parity is that of the rounds completed before this one: a slot is full (or empty) for the
// i-th time when the phase with parity i % 2 of its barrier is over.
struct Cursor {
    u32 slot = 0;
    u32 parity = 0;

    JMARLIN_DEVICE void advance(u32 slots) {
        if (++slot == slots) {
            slot = 0;
            parity ^= 1;
        }
    }
};

// Where things lie in shared memory.
template <class Shape>
struct Ring {
    u32 barriers;
    u32 staging;
    u32 slots;

    JMARLIN_DEVICE explicit Ring(u32 stages) {
        barriers = dynamic_shared();
        if (Shape::kShortTurns) keep(barriers);     // in a register: found anew, it costs five instructions a turn
        staging = (barriers + 256 + 1023) & ~1023u;
        slots = stages;
    }

    JMARLIN_DEVICE u32 full(u32 slot) const { return barriers + 16 * slot; }
    JMARLIN_DEVICE u32 empty(u32 slot) const { return barriers + 16 * slot + 8; }
    JMARLIN_DEVICE u32 flag() const { return barriers + Shape::kFlagAt; }
    JMARLIN_DEVICE u32 activations(u32 slot) const { return staging + Shape::kRingAt + slot * Shape::kSlotBytes; }
    JMARLIN_DEVICE u32 codes(u32 slot) const { return activations(slot) + Shape::kCodes; }
    JMARLIN_DEVICE u32 scales(u32 slot) const { return activations(slot) + Shape::kScales; }
    JMARLIN_DEVICE u32 offsets(u32 slot) const { return activations(slot) + Shape::kOffsetsAt; }
};

// The block's place along n and along k in its cluster.
template <class Shape>
JMARLIN_DEVICE u32 n_rank() { return Shape::kNeighbours == 1 ? 0 : cluster_rank() % Shape::kNeighbours; }

template <class Shape>
JMARLIN_DEVICE u32 k_rank() { return Shape::kSplit == 1 ? 0 : cluster_rank() / Shape::kNeighbours; }

// The same place in the shared memory of the neighbour in n, whose rank differs in the lowest bit.
JMARLIN_DEVICE u32 at_neighbour(u32 address) { return cluster_address(address, cluster_rank() ^ 1); }

}  // namespace hopper
}  // namespace jmarlin
