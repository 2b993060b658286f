// What sm_90 adds to the race detector: the copy engine, its proxy, and the other blocks of the cluster.
#pragma once

#include "races.hpp"

namespace jmarlin::emulator {

void begin_races_sm90();

/** At the end of a launch: no block may have been free to exit while others could still touch its shared memory. */
void end_races_sm90();

/** fence.proxy.async of the running thread. */
void fence_proxy();

/** wgmma or the copy engine is about to touch these bytes of the block: plain writes to them must have been fenced. */
void check_proxy(const Block& block, u32 offset, u32 bytes, const char* operation, Site site);

/** A bulk copy that the running thread issues into these bytes: a write that nobody has seen before it landed. */
void issue_bulk_copy(Block& to, u32 offset, u32 bytes, Site site);

/** It has landed, as those know to whom the mbarrier says that so many of its phases are over. */
void land_bulk_copy(Block& to, u32 offset, u32 bytes, u32 number, u32 phases);

/** The copy engine reads these bytes of the running thread's block, from now until the copy lands. */
void begin_source_read(u32 offset, u32 bytes, const Block& to, u32 number, Site site);
void end_source_read(Block& from, u32 offset, u32 bytes, const Block& to, u32 number, u32 phases);

/** The running thread writes these bytes of the owner's: reports it if a bulk copy may still read them. */
void check_source_reads(const Block& owner, u32 offset, u32 bytes, Site site);

/** The same if a thread of another block may still read the word. */
void check_remote_readers(const Block& owner, u32 word, Site site);

/** A read of another block's shared memory, or an arrival at one of its mbarriers, by the running thread. */
void race_remote_read(Block& owner, u32 offset, u32 bytes, Site site);

}  // namespace jmarlin::emulator
