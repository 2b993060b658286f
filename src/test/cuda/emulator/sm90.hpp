// What sm_90 adds to the machine: mbarriers, the copy engine, named barriers, clusters, warpgroup products.
#pragma once

#include "machine.hpp"

namespace jmarlin::emulator {

void begin_sm90();
void end_sm90();

// ---- barriers.cpp ----

void collective_named_barrier(u32 id, u32 threads, Site site);
void collective_cluster_sync(Site site);
u32 cluster_rank();

/** An address of another block's shared memory: its rank + 1 above the 24 bits of the address. */
u32 cluster_address(u32 address, u32 rank, Site site);

/** A place in the shared memory of a block of the cluster. */
struct Mapped {
    Block* owner;
    u32 address;   // there
};

/** Checks an access through such an address: its bounds, and that the block is still there. */
Mapped cluster_access(u32 mapped_address, u32 bytes, u32 alignment, const char* operation, Site site);

/** Checks a read and returns where its bytes are. */
const u8* cluster_read(u32 mapped_address, u32 bytes, const char* operation, Site site);

// ---- mbarriers.cpp ----

void begin_mbarriers();

void mbarrier_init(u32 barrier, u32 count, Site site);
void mbarrier_arrive(u32 barrier, u32 expected_bytes, Site site);
void mbarrier_wait(u32 barrier, u32 parity, Site site);
void mbarrier_arrive_cluster(u32 mapped_barrier, Site site);

/** fence.mbarrier_init, fence.proxy.async: the copy engine, the former also the cluster, may use the running thread's mbarriers. */
void show_mbarriers(bool to_cluster);

// ---- bulk_copies.cpp ----

void begin_bulk_copies();
void end_bulk_copies();

void bulk_copy(u32 destination, u64 source, u32 bytes, u32 barrier, u64 policy, Site site);
void bulk_copy_to_cluster(u32 mapped_destination, u32 source, u32 bytes, u32 mapped_barrier, Site site);
void bulk_prefetch(u64 source, u32 bytes, Site site);

/** The fence orders the running thread's plain writes before the async proxy's work. */
void proxy_fence();

/** Lets one bulk copy land: the oldest, the youngest or any, by the schedule. False if none is under way. */
bool deliver_bulk_copy();

// ---- wgmma.cpp ----

void begin_wgmma();
void check_wgmma_at_exit(Thread& thread);

void collective_wgmma_fence(Site site);
void collective_wgmma(float* d, u32 count, const u32* a, u64 descriptor, bool half, Site site);
void collective_wgmma_commit(Site site);
void collective_wgmma_wait(u32 pending_groups, Site site);

/** Address of the 16-byte chunk that holds k = 8 * chunk .. of row `row` of the described tile. */
u32 described_address(u64 descriptor, u32 row, u32 chunk);

}  // namespace jmarlin::emulator
