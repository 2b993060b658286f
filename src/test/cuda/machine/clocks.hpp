// Who has seen what of whom: the vector clocks behind the race detector (Parallel Thread Execution ISA 9.0, chapter 8).
//
// Every warp has a clock that advances whenever one of its lanes publishes something. Every access is stamped with
// (thread, clock of its warp). A lane's view says, for every other thread, up to which clock it has seen that thread's
// accesses. An earlier access (u, c) is ordered before one of thread t if u == t or view(t)[u] >= c. Lanes are threads of
// their own: what orders the lanes of a warp is bar.warp.sync and wider barriers, not their running in step.
// Views are joined by barriers and acquire-release atomics; those that a barrier made equal are shared, so a barrier costs
// one vector. Clocks go on from launch to launch: a stamp at or before the launch's first clock is ordered before all of it.
//
// The products of a warp are a thread of their own, number threads + warp of its block: they read shared memory, and the
// wait that guarantees them tells the warp's lanes. The copy engine has no clock. That a bulk copy is over, one knows from
// the mbarrier that counted it: the copy is stamped with (mbarrier, phase), and a view says for every mbarrier of the
// cluster how many of its phases are known to be over.
#pragma once

#include "state.hpp"

namespace jmarlin::machine {

/** Clocks of threads of several blocks: [block][thread], empty for a block of which nothing is known. */
struct Clocks : std::vector<std::vector<u32>> {
    using std::vector<std::vector<u32>>::vector;
};

/** What a thread, or an mbarrier through those that arrived at it, has seen of the others. */
struct Knowledge {
    std::vector<u32> own;                    // [thread] of the same block, then [warp]'s products
    std::shared_ptr<const Clocks> foreign;   // the other blocks
    std::vector<u32> phases;                 // over, [number of the mbarrier in its cluster]
};

struct View : Knowledge {
    u32 references = 0;
};

extern u32 first_clock;   // stamps up to here are from earlier launches

void begin_clocks();
void end_clocks();
void start_clocks(Block& block);    // its warps know nothing yet

/** Lanes of warps of one block that a barrier makes equal. */
struct Party {
    Warp* warp;
    u32 lanes;
};
void synchronise(const std::vector<Party>& parties);

/** barrier.cluster: what a warp did and knew when it arrives, and what all did when it has waited. */
void publish_to_cluster(Knowledge& gathered, Warp& warp);
void learn_from_cluster(const Knowledge& passed, Warp& warp);

/** What an atomic or a strong access of a lane passes on through an address: release, acquire or both. */
void publish_at(Warp& warp, u32 lane, u64 address);
void learn_from(Warp& warp, u32 lane, u64 address);
/** A relaxed one passes on what a fence before it made ready, and a fence after it makes known what it passed on. */
void relaxed_atomic(Warp& warp, u32 lane, u64 address);
void fence(Warp& warp, u32 lane);

/** What a lane did and knew goes into the knowledge of an mbarrier of a block; of another block only what the async proxy did. */
void publish(Knowledge& knowledge, Warp& warp, u32 lane, const Block& owner);

/** What is in the knowledge becomes known to lanes. */
void learn(const Knowledge& knowledge, Warp& warp, u32 lanes);
void join(Knowledge& into, const Knowledge& from);
void add_phases(Knowledge& knowledge, u32 number, u32 phases);

/** The lanes know what the products of their warp read so far. */
void learn_products(Warp& warp);

/** Threads of the block and its warps' products. */
inline u32 entities() { return machine.threads + machine.warps_per_block; }

/** Whether a lane has seen what a thread of its own block did at a clock. */
inline bool ordered_in_block(const Warp& warp, u32 lane, u32 thread, u32 clock) {
    return clock <= first_clock || thread == warp.index * kWarpSize + lane || warp.view[lane]->own[thread] >= clock;
}

/** The same for any thread of the grid. */
inline bool ordered(const Warp& warp, u32 lane, u32 global_index, u32 clock) {
    if (clock <= first_clock) return true;
    u32 block = global_index / machine.threads;
    u32 index = global_index % machine.threads;
    if (block == warp.block->index) return ordered_in_block(warp, lane, index, clock);
    const auto& foreign = warp.view[lane]->foreign;
    return foreign && !(*foreign)[block].empty() && (*foreign)[block][index] >= clock;
}

/** Whether a lane knows that so many phases of an mbarrier of its cluster are over. */
inline bool phases_known(const Warp& warp, u32 lane, u32 number, u32 phases) {
    const std::vector<u32>& known = warp.view[lane]->phases;
    return number < known.size() && known[number] >= phases;
}

}  // namespace jmarlin::machine
