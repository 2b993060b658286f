// The race detector. Schedule-independent: two accesses race if nothing the kernel did orders them, whether or
// not this run happened to get them in the right order. Who has seen what is in clocks.hpp.
#pragma once

#include "clocks.hpp"
#include "memory.hpp"

namespace jmarlin::emulator {

/** Whose store or copy a word of shared memory holds. */
enum class Writer : u16 {
    kThread,          // a store, or a cp.async, which is its thread's too
    kOwnCopy,         // a bulk copy issued in the same block
    kNeighboursCopy   // one issued in another block of the cluster
};

/** What the race detector knows of a word of shared memory. */
struct SharedWord {
    u32 write_clock;    // kInFlight while a copy is under way; of a bulk copy that landed, the phases that tell of it
    u32 reader_warps;   // the warps that read since the last write
    u16 writer;         // thread of its block; of a bulk copy that landed, the number of its mbarrier
    u16 write_site;
    u16 read_site;
    Writer by;

    static constexpr u32 kInFlight = 0xffffffffu;
};

/** The lanes of one warp that read a word since its last write, and when. */
struct SharedReaders {
    u32 clock;
    u32 lanes;
};

void begin_races();
void end_races();

/** The thread is the running one, or a lane whose turn a collective takes. */
void race_shared_read(const Thread& thread, u32 offset, u32 bytes, Site site);
void race_shared_write(u32 offset, u32 bytes, Site site);

/** A cp.async into these bytes begins: a write that nobody has seen before complete_shared_copy. */
void issue_shared_copy(u32 offset, u32 bytes, Site site);
void complete_shared_copy(u32 offset, u32 bytes);

void race_global_read(Allocation& allocation, u64 address, u32 bytes, Site site, bool coherent);
void race_global_write(Allocation& allocation, u64 address, u32 bytes, Site site, bool atomic);

// ---- For races_sm90.cpp ----

/** The running thread writes words of a block: stored at its clock, or with kInFlight about to be copied. */
void write_words(Block& owner, u32 offset, u32 bytes, u32 clock, Writer by, Site site);

/** Reports a word of the owner's whose last write the thread has not seen. */
void check_write_seen(const Thread& thread, bool write, const Block& owner, const SharedWord& word, Site site, u64 where);

/** Reports an error once for two sites. */
void report_once(ErrorKind kind, u16 earlier_site, Site site, const std::string& text);
void report_race(const Thread& now, bool write, Site site, u32 earlier, bool earlier_write, u16 earlier_site, bool shared, u64 where);

/** "shared memory byte 16" */
std::string place(bool shared, u64 where);

}  // namespace jmarlin::emulator
