// The mbarriers of a launch, for the operations that use them.
#pragma once

#include "clocks.hpp"

namespace jmarlin::emulator {

constexpr s32 kLargestTransaction = (1 << 20) - 1;   // what the tx-count of an mbarrier can hold, either sign

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
    u32 shown_clock = 0;
    Knowledge arriving{}, completed{};
    std::vector<Thread*> waiting{};
};

/** The mbarrier at an address of a block; ends the launch if there is none. */
Mbarrier& mbarrier_of(Block& block, u32 address, const char* operation, Site site);

/** The same for an operation of the running thread, which is an access to its block's shared memory. */
Mbarrier& find_mbarrier(u32 address, const char* operation, Site site);

/** The same by an address of cluster_address, for an operation that another block's mbarrier must have been shown to. */
Mbarrier& find_mapped_mbarrier(u32 mapped_address, const char* operation, Site site);

/** Bytes counted on the mbarrier have landed. */
void complete_bytes(Mbarrier& barrier, u32 bytes, bool from_neighbour, Site site);

}  // namespace jmarlin::emulator
