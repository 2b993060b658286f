// Addresses of lanes, for all instructions that have some.
#pragma once

#include "state.hpp"

namespace jmarlin::machine {

// What createpolicy returns; cp.async and bulk copies take nothing else. No address or count looks like them.
constexpr u32 kPolicyEvictFirst = 0x7e5f0001u;
constexpr u32 kPolicyEvictNormal = 0x7e5f0002u;
constexpr u32 kPolicyEvictLast = 0x7e5f0003u;

/** The addresses that an operand names, by lane. */
void addresses(const Warp& warp, const Instruction& at, const Operand& operand, u32 lanes, u64* out);

/** Checks accesses to the shared memory of a block, aligned to their size, and gives the offsets in it. Counts them. */
void shared_offsets(const Warp& warp, const Instruction& at, u32 lanes, const Block& owner, const u64* address, u32 bytes, u32* offsets);

// counters.cpp: what the accesses of a warp cost, passes through the banks of shared memory and sectors of global memory. The
// sectors of a copy's source count with the request that its destination made.
void count_shared(const Instruction& at, u32 lanes, const u64* address, u32 bytes);
void count_global(const Instruction& at, u32 lanes, const u64* address, u32 bytes, bool is_request = true);

/** Fails if the operand is none of the policies above. */
void check_policy(const Warp& warp, const Instruction& at, const Operand& operand, u32 lanes);

/** The block of the cluster whose shared memory a shared::cluster address names (9.7.9.23, mapa). */
Block& block_of_address(const Warp& warp, const Instruction& at, u32 lanes, u32 address);

}  // namespace jmarlin::machine
