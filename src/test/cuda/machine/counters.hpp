// What the accesses of a warp cost: passes through the banks of shared memory, sectors of global memory.
#pragma once

#include "state.hpp"

namespace jmarlin::machine {

/** A request of lanes to shared memory; addresses by lane. */
void count_shared(const Instruction& at, u32 lanes, const u64* address, u32 bytes);

/** The sectors of a copy's source count with the request that its destination made. */
void count_global(const Instruction& at, u32 lanes, const u64* address, u32 bytes, bool is_request = true);

}  // namespace jmarlin::machine
