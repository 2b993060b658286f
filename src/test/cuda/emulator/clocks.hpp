// Who has seen what of whom: the vector clocks behind the race detector.
//
// Every warp has a clock that advances whenever one of its lanes publishes something. Every access is stamped with
// (thread, clock of its warp). A thread's view says, for every other thread, up to which clock it has seen that
// thread's accesses. An earlier access (u, c) is ordered before one of thread t if u == t or view(t)[u] >= c.
// Views are joined by barriers and acquire-release atomics; they are shared between the threads that a barrier made
// equal, so a barrier costs one vector. Clocks go on from launch to launch: what is stamped at or before the launch's
// first clock is ordered before all of it, and nothing need be cleared.
//
// The copy engine is no thread and has no clock. That a bulk copy is over, one knows from the mbarrier that counted it: the
// copy is stamped with (mbarrier, phase), and a view says for every mbarrier how many of its phases are known to be over.
#pragma once

#include "machine.hpp"

namespace jmarlin::emulator {

/** Clocks of threads of several blocks: [block][thread], empty for a block of which nothing is known. */
struct Clocks : std::vector<std::vector<u32>> {
    using std::vector<std::vector<u32>>::vector;
};

/** What a thread, or an mbarrier through those that arrived at it, has seen of the others. */
struct Knowledge {
    std::vector<u32> own;                    // [thread] of the same block
    std::shared_ptr<const Clocks> foreign;   // the other blocks
    std::vector<u32> phases;                 // over, [number of the mbarrier in its cluster]
};

struct View : Knowledge {
    u32 references = 0;
};

extern u32 first_clock;   // stamps up to here are from earlier launches

void begin_clocks();
void end_clocks();

/** bar.warp.sync: the lanes of a warp have seen all that each of them has. */
void synchronise_warp(Warp& warp);

/** bar.sync: the same for the threads of a block. */
void synchronise_block(Block& block);

/** The same for warps of one block, and for the blocks of a cluster. */
void synchronise_warps(const std::vector<Warp*>& warps);
void synchronise_cluster(Block* blocks, u32 count);

/** An acquire-release atomic of the running thread. */
void synchronise_atomic(u64 address);

/** What the running thread did and knew goes into the knowledge of an mbarrier of this block. */
void publish(Knowledge& knowledge, const Block& owner);

/** What is in the knowledge becomes known to the running thread. */
void learn(const Knowledge& knowledge);

void join(Knowledge& into, const Knowledge& from);

/** That so many phases of the mbarrier are over goes into the knowledge. */
void add_phases(Knowledge& knowledge, u32 number, u32 phases);

/** Whether the thread has seen what another did at a clock. */
inline bool ordered(const Thread& thread, u32 global_index, u32 clock) {
    if (clock <= first_clock || global_index == thread.global_index) return true;
    u32 block = global_index / machine.threads;
    u32 index = global_index % machine.threads;
    if (block == thread.block->index) return thread.view->own[index] >= clock;
    const auto& foreign = thread.view->foreign;
    return foreign && !(*foreign)[block].empty() && (*foreign)[block][index] >= clock;
}

/** Whether the thread knows that so many phases of an mbarrier of its cluster are over. */
inline bool phases_known(const Thread& thread, u32 number, u32 phases) {
    return number < thread.view->phases.size() && thread.view->phases[number] >= phases;
}

}  // namespace jmarlin::emulator
