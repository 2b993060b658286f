// The mbarriers of a launch, for the operations that use them.
#pragma once

#include "clocks.hpp"

namespace jmarlin::machine {

constexpr s32 kLargestTransaction = (1 << 20) - 1;   // what the tx-count of an mbarrier can hold, either sign (9.7.13.15.1)

struct Mbarrier {
    Block* owner;
    u32 address;                    // in its owner's shared memory
    u32 number;                     // in its cluster
    u32 initialiser;                // global index of the thread
    u32 count;
    u32 pending;                    // arrivals still missing in this phase
    s32 bytes = 0;                  // expected and not yet landed; below 0 when a neighbour's come before they are announced
    s32 neighbours_bytes = 0;       // landed in this phase from other blocks
    u32 phase = 0;                  // phases completed
    bool visible = false;           // to the copy engine
    bool shown = false;             // to the cluster, once the others have seen the clock
    bool shown_by_barrier = false;  // a relaxed cluster barrier came after that
    u32 shown_clock = 0;
    Knowledge arriving{}, completed{};
    std::vector<Warp*> waiting{};
};

void begin_mbarriers();

/** The mbarrier at a shared::cluster address that lanes of a warp use; ends the launch if there is none. */
Mbarrier& find_mbarrier(Warp& warp, u32 lane, const Instruction& at, u32 address);

/** The same by its block and offset, for a copy that lands. Null if there is none. */
Mbarrier* mbarrier_at(const Block& block, u32 address);

/** Anything but an mbarrier operation touches these bytes: no mbarrier may lie there (9.7.13.15.2). */
void check_no_mbarrier(const Warp& warp, u32 lane, const Instruction& at, const Block& owner, u32 offset, u32 bytes);
inline bool may_hold_mbarriers(const Block& block, u32 offset, u32 bytes) {
    return offset < block.mbarriers_end && offset + bytes > block.mbarriers_begin;
}

/** Bytes counted on the mbarrier have landed. */
void complete_bytes(Mbarrier& barrier, u32 bytes, bool from_neighbour, const Instruction& at);

/** A fence of lanes makes the mbarriers that they initialised visible to the copy engine, or to the cluster too. */
void show_mbarriers(Warp& warp, u32 lanes, bool to_cluster);
void show_mbarriers_to_cluster(u32 cluster);

}  // namespace jmarlin::machine
