// The race detector. Schedule-independent: two accesses race if nothing the kernel did orders them, whether or
// not this run happened to get them in the right order. Who has seen what is in clocks.hpp.
#pragma once

#include "clocks.hpp"
#include "memory.hpp"

namespace jmarlin::machine {

/** Whose store or copy a word of shared memory holds. */
enum class Writer : u8 {
    kThread,          // a store, or a cp.async, which is its thread's too
    kAtomic,
    kOwnCopy,         // a bulk copy issued in the same block
    kNeighboursCopy   // one issued in another block of the cluster
};

/** What the race detector knows of a word of shared memory. */
struct SharedWord {
    u32 write_clock;    // kInFlight while a copy is under way; of a bulk copy that landed, the phases that tell of it
    u32 write_pc;
    u32 read_pc;
    u16 writer;         // thread of its block; of a bulk copy that landed, the number of its mbarrier
    Writer by;
    u8 bytes;           // bits 0-3: those written last; 4-7: those read since
    u64 readers;        // entries of SharedReaders that count: warps, then products

    static constexpr u32 kInFlight = 0xffffffffu;
};

/** The lanes of one warp that read a word since its last write, and when. Of products, lane 0 stands for all. */
struct SharedReaders {
    u32 clock;
    u32 lanes;
};

/** Entries per word: a warp each, and a warpgroup's products each. */
inline u32 reader_entries() { return machine.warps_per_block + (machine.warps_per_block + 3) / 4; }
inline u32 shared_words() { return (machine.shared_bytes + 3) / 4; }

/** Strong accesses and atomics do not race with one another (8.7.1). */
enum class Kind : u8 { kRead, kReadNc, kReadStrong, kWrite, kWriteStrong, kAtomic };

// Accesses of lanes to shared memory of their own block; offsets by lane.
void race_shared_read(const Warp& warp, u32 lanes, const u32* offsets, u32 bytes, const Instruction& at);
void race_shared_write(const Warp& warp, u32 lanes, const u32* offsets, u32 bytes, const Instruction& at, Writer by = Writer::kThread);

/** A cp.async of lanes into their block begins: a write that nobody has seen before complete_copy. */
void issue_copy(const Warp& warp, u32 lanes, const u32* offsets, u32 bytes, const Instruction& at);
void complete_copy(const Warp& warp, u32 lane, u32 offset, u32 bytes);

/** The products of a warpgroup, on behalf of its warp, read these bytes: since they were issued, until now. */
void race_product_read(const Warp& warp, u32 offset, u32 bytes, const Instruction& at);

void race_global(const Warp& warp, u32 lane, Allocation& allocation, u64 address, u32 bytes, Kind kind, const Instruction& at);

// ---- races_sm90.cpp: the copy engine, its proxy, and the other blocks of the cluster ----

void begin_races();
/** At the end of a launch: no block may have been free to exit while others could still touch its shared memory. */
void end_races();

/** wgmma or the copy engine is about to touch these bytes of the block: plain writes to them must have been fenced. */
void check_proxy(const Block& block, u32 offset, u32 bytes, const Instruction& at);

/** A bulk copy that a lane issues into these bytes: a write that nobody has seen before it landed. */
void issue_bulk_copy(const Warp& warp, u32 lane, Block& to, u32 offset, u32 bytes, const Instruction& at);
/** It has landed, as those know to whom the mbarrier says that so many of its phases are over. */
void land_bulk_copy(Block& to, u32 offset, u32 bytes, u32 number, u32 phases);

/** The copy engine reads these bytes of the lane's block, from now until the copy lands. */
void begin_source_read(const Warp& warp, u32 lane, u32 offset, u32 bytes, const Block& to, u32 number, const Instruction& at);
void end_source_read(const Block& from, u32 offset, u32 bytes, const Block& to, u32 number, u32 phases);
/** A lane writes these bytes of the owner's: reports it if a bulk copy may still read them. */
void check_source_reads(const Warp& warp, u32 lane, const Block& owner, u32 offset, u32 bytes, const Instruction& at);

/** An arrival at an mbarrier of another block: that block must not exit before. */
void note_remote_use(const Warp& warp, u32 lane, const Block& owner, const Instruction& at);
/** A read of another block's shared memory. */
void race_remote_read(const Warp& warp, u32 lane, Block& owner, u32 offset, u32 bytes, const Instruction& at);
void race_remote_write(const Warp& warp, u32 lane, Block& owner, u32 offset, u32 bytes, const Instruction& at);
void check_remote_readers(const Warp& warp, u32 lane, const Block& owner, u32 word, const Instruction& at, Writer by);
extern bool any_remote_readers, any_source_reads;

// ---- For both ----

void write_word(const Warp& warp, u32 lane, Block& owner, u32 word, u32 byte_mask, u32 clock, Writer by, const Instruction& at);
void check_write_seen(const Warp& warp, u32 lane, bool write, const Block& owner, const SharedWord& word, const Instruction& at, u32 where);
void report_race(const Warp& warp, u32 lane, bool write, const Instruction& at, const std::string& earlier, bool earlier_write,
                 u32 earlier_pc, const std::string& place);
/** The copy engine overwrites what a thread read by a plain load, with no fence.proxy.async since. */
void report_no_fence(const Instruction& at, const Warp& reader, u32 lane, u32 word, u32 read_pc);
std::string shared_place(u32 offset);

}  // namespace jmarlin::machine
