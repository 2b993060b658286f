// The emulated machine: the blocks, warps and threads of one launch, and what they share.
// One host thread runs it. Launches of several host threads follow one another (machine_lock in emulator.cpp).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "emulator.hpp"
#include "fiber.hpp"
#include "types.hpp"

namespace jmarlin::emulator {

struct Block;
struct Warp;
struct View;
struct SharedWord;
struct SharedReaders;
class AccessLog;

/** Collective operations: what the lanes of a warp do together. */
enum class Collective : u8 {
    kNone, kWarpSync, kShuffle, kLdmatrix, kMma, kBlockSync,
    kNamedBarrier, kClusterSync, kWgmmaFence, kWgmma, kWgmmaCommit, kWgmmaWait
};

const char* collective_name(Collective collective);

/** What a lane hands to a collective; which fields count depends on the operation. */
struct Post {
    void* result;
    const void* a;
    u32 value;   // shuffle: the value; mma: b0; ldmatrix: the row's address
    u32 other;   // shuffle: the source lane; mma: b1
};

/** A cp.async whose bytes have not arrived. */
struct PendingCopy {
    u64 source;
    u32 destination;
    u32 valid_bytes;
    Site site;
};

/** The asynchronous copies of one thread: whole groups, oldest first, then the copies of the open group. */
struct AsyncCopies {
    std::vector<PendingCopy> copies;
    std::vector<u32> group_sizes;
    std::size_t first_copy = 0;
    std::size_t first_group = 0;
    u32 open = 0;

    bool empty() const { return first_copy == copies.size(); }
    void clear();
};

struct Thread {
    Fiber fiber;
    Block* block;
    Warp* warp;
    u32 index;         // in its block
    u32 lane;
    u32 global_index;  // in its grid
    View* view;        // what this thread knows of the others (clocks.hpp)
    Post post;
    AsyncCopies async;
    u32 proxy_fence;   // clock of its last fence_proxy_async (races_sm90.hpp)
    Site asleep_at;    // where it sleeps, if it is neither runnable nor in a collective
};

struct Warp {
    Block* block;
    Thread* lanes;       // 32
    u32 index;           // in its block
    u32 global_index;    // in its grid
    u32 runnable;        // lanes that can go on
    u32 arrived;         // lanes that wait in the collective below
    u32 exited;
    Collective collective;
    bool at_barrier;     // all its lanes wait for the block
    Site site;           // where the first lane arrived
    u32 clock;           // advances at every event that publishes what a lane did (clocks.hpp)
    AccessLog* log;
};

struct Block {
    Warp* warps;
    u32 index;
    u32 live_warps;
    u32 warps_at_barrier;
    u8* shared;              // kSharedBase is its first byte
    SharedWord* words;       // one per 32-bit word of shared memory, races only
    SharedReaders* readers;  // one per word and warp, races only
};

/** The address of the first byte of dynamic shared memory: not 0, as on the hardware, which keeps some for itself. */
constexpr u32 kSharedBase = 1024;

struct Machine {
    u32 grid;
    u32 threads;
    u32 warps_per_block;
    u32 shared_bytes;
    Options options;
    Result* result;

    Fiber host;
    std::vector<Thread> thread_pool;
    std::vector<Warp> warps;
    std::vector<Block> blocks;
    std::vector<u64> ready;   // a bit per warp that has a runnable lane
    u32 live_warps;
    u64 polls;                // by all threads since one of them got anywhere
    u64 random_state;
    FiberStacks stacks;

    void (*entry)(void* kernel, const void* args);
    void* kernel;
    const void* args;
};

extern Machine machine;
extern Thread* current;

// ---- scheduler.cpp ----

/** Prepares the machine for a launch, runs it to its end or its first fatal error. */
void run_machine();

/** Records an error of a thread, the running one unless said otherwise, and ends the launch. */
[[noreturn]] void fail(ErrorKind kind, const std::string& text);
[[noreturn]] void fail(const Thread& thread, ErrorKind kind, const std::string& text);

/** Records an error that the launch survives; the same text is recorded once. */
void report(ErrorKind kind, const std::string& text);

/** The running thread as text: "block 1, warp 2, lane 3". */
std::string thread_text(const Thread& thread);

/** What happens when the last lane of a warp has arrived; it may block the warp as a whole. */
using Perform = void (*)(Warp& warp);

/** The running thread has filled its post and waits until all lanes of its warp are here. */
void arrive(Collective collective, Site site, Perform perform);

/** The running thread looks at something that another may change: in a loop, the others must get their turn. */
void poll(Site site);

/** Blocks a warp as a whole, until somebody releases it. */
void block(Warp& warp);

/** Makes all lanes of a warp runnable. */
void release(Warp& warp);

/** The running lane alone cannot go on, until somebody wakes it. */
void sleep_lane(Site site);

void wake(Thread& thread);

/** A random number below the bound, from the launch's seed. */
u32 random_below(u32 bound);

/** The warp has arrived at its block's barrier. */
void enter_block_barrier(Warp& warp);

// ---- async.cpp ----

/** Called when a thread ends: copies that nobody waited for are an error. */
void check_async_at_exit(Thread& thread);

}  // namespace jmarlin::emulator
