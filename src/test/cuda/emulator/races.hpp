// The race detector. Schedule-independent: two accesses race if nothing the kernel did orders them, whether or
// not this run happened to get them in the right order.
//
// Every warp has a clock that advances whenever one of its lanes publishes something. Every access is stamped with
// (thread, clock of its warp). A thread's view says, for every other thread, up to which clock it has seen that
// thread's accesses. An earlier access (u, c) is ordered before one of thread t if u == t or view(t)[u] >= c.
// Views are joined by warp_sync, block_sync and acquire-release atomics; they are shared between the threads that
// a barrier made equal, so a barrier costs one vector. Clocks go on from launch to launch: what is stamped at or
// before the launch's first clock is ordered before all of it, and nothing need be cleared.
#pragma once

#include "machine.hpp"
#include "memory.hpp"

namespace jmarlin::emulator {

/** What the race detector knows of a word of shared memory. */
struct SharedWord {
    u32 write_clock;    // kInFlight while a cp.async has been issued and not waited for
    u32 reader_warps;   // the warps that read since the last write
    u16 writer;         // index in the block
    u16 write_site;
    u16 read_site;
    u16 asynchronous;   // 1 if the copy engine wrote it, 0 if a thread did

    static constexpr u32 kInFlight = 0xffffffffu;
};

/** The lanes of one warp that read a word since its last write, and when. */
struct SharedReaders {
    u32 clock;
    u32 lanes;
};

struct Clocks;

/** What an mbarrier has seen of the threads that arrived at it. */
struct Knowledge {
    std::vector<u32> own;                    // [thread] of the barrier's block
    std::shared_ptr<const Clocks> foreign;
};

void begin_races();
void end_races();

/** bar.warp.sync: the lanes of a warp have seen all that each of them has. */
void synchronise_warp(Warp& warp);

/** bar.sync: the same for the threads of a block. */
void synchronise_block(Block& block);

/** The same for warps of one block, and for the blocks of a cluster. */
void synchronise_warps(const std::vector<Warp*>& warps);
void synchronise_cluster(Block* blocks, u32 count);

/** What the running thread did and knew goes into the knowledge of an mbarrier of the owner; what is in it becomes known to the running thread. */
void publish(Knowledge& knowledge, const Block& owner);
void learn(const Knowledge& knowledge);
void join(Knowledge& into, const Knowledge& from);

/** fence.proxy.async of the running thread. */
void fence_proxy();

/** A bulk copy that the thread issued has landed: known through the mbarrier that counts it. */
void complete_bulk_copy(Thread& issuer, u32 offset, u32 bytes, Knowledge& knowledge);

/** wgmma or the copy engine is about to touch these bytes of the block: plain writes to them must have been fenced. */
void check_proxy(const Block& block, u32 offset, u32 bytes, const char* operation, Site site);

/** A read of another block's shared memory by the running thread. */
void race_remote_read(Block& owner, u32 offset, u32 bytes, Site site);

/** An acquire-release atomic of the running thread. */
void synchronise_atomic(u64 address);

/** The thread is the running one, or a lane whose turn a collective takes. */
void race_shared_read(const Thread& thread, u32 offset, u32 bytes, Site site);
void race_shared_write(u32 offset, u32 bytes, Site site);

/** A cp.async into these bytes begins: a write that nobody has seen before complete_shared_copy. */
void issue_shared_copy(u32 offset, u32 bytes, Site site);
void complete_shared_copy(u32 offset, u32 bytes);

void race_global_read(Allocation& allocation, u64 address, u32 bytes, Site site, bool coherent);
void race_global_write(Allocation& allocation, u64 address, u32 bytes, Site site, bool atomic);

}  // namespace jmarlin::emulator
