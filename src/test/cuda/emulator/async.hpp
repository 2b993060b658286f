// Asynchronous copies of the running thread.
#pragma once

#include "machine.hpp"

namespace jmarlin::emulator {

// The values createpolicy returns here: any two that are not an address or a small number.
constexpr u64 kPolicyEvictFirst = 0x12f0000000000001ull;
constexpr u64 kPolicyEvictNormal = 0x16f0000000000002ull;

/** Ends the launch unless the policy came from one of the policy functions. */
void check_policy(u64 policy, Site site);

/** cp.async of 16 bytes, the last 16 - valid_bytes of them zero. */
void async_issue(u32 destination, u64 source, u32 valid_bytes, Site site);

/** cp.async.commit_group */
void async_commit();

/** cp.async.wait_group: delivers all groups but the youngest pending_groups. */
void async_wait(u32 pending_groups);

}  // namespace jmarlin::emulator
