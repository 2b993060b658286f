#include "races.hpp"

#include <set>
#include <tuple>

#include "races_sm90.hpp"

namespace jmarlin::emulator {

namespace {

std::set<std::tuple<ErrorKind, u16, u16>> reported;
std::vector<std::vector<SharedWord>> word_pool;
std::vector<std::vector<SharedReaders>> reader_pool;

const Thread& thread_of(u32 global_index) { return machine.thread_pool[global_index]; }

u32 global_index(const Block& block, u32 thread) { return block.index * machine.threads + thread; }

void check_readers_seen(const Thread& thread, const Block& owner, const SharedWord& word, const SharedReaders* readers, Site site,
        u64 where) {
    for (u32 warps = word.reader_warps; warps; warps &= warps - 1) {
        u32 w = static_cast<u32>(__builtin_ctz(warps));
        if (readers[w].clock <= first_clock) continue;
        for (u32 lanes = readers[w].lanes; lanes; lanes &= lanes - 1) {
            u32 reader = global_index(owner, w * kWarpSize + static_cast<u32>(__builtin_ctz(lanes)));
            if (!ordered(thread, reader, readers[w].clock)) {
                report_race(thread, true, site, reader, false, word.read_site, true, where);
                break;
            }
        }
    }
}

bool write_seen(const Thread& thread, const Block& owner, const SharedWord& word) {
    if (word.write_clock == SharedWord::kInFlight) return false;
    if (word.by != Writer::kThread) return phases_known(thread, word.writer, word.write_clock);
    return ordered(thread, global_index(owner, word.writer), word.write_clock);
}

}  // namespace

void begin_races() {
    begin_clocks();
    begin_races_sm90();
    reported.clear();
    u32 words = (machine.shared_bytes + 3) / 4;
    if (word_pool.size() < machine.grid) {
        word_pool.resize(machine.grid);
        reader_pool.resize(machine.grid);
    }
    for (Block& block : machine.blocks) {
        auto& block_words = word_pool[block.index];
        auto& readers = reader_pool[block.index];
        if (block_words.size() < words) block_words.resize(words);
        if (readers.size() < words * machine.warps_per_block) readers.resize(words * machine.warps_per_block);
        // Stamps of threads are old by themselves; what copies left is not.
        for (u32 w = 0; w < words; ++w) {
            SharedWord& word = block_words[w];
            if (word.write_clock == SharedWord::kInFlight || word.by != Writer::kThread) word.write_clock = 0;
            word.by = Writer::kThread;
        }
        block.words = block_words.data();
        block.readers = readers.data();
    }
}

void end_races() {
    if (machine.result->completed) end_races_sm90();
    end_clocks();
}

void report_once(ErrorKind kind, u16 earlier_site, Site site, const std::string& text) {
    if (reported.insert(std::make_tuple(kind, earlier_site, site_id(site))).second) report(kind, text);
}

std::string place(bool shared, u64 where) {
    return (shared ? "shared memory byte " : "global memory byte ") + std::to_string(where);
}

void report_race(const Thread& now, bool write, Site site, u32 earlier, bool earlier_write, u16 earlier_site, bool shared, u64 where) {
    report_once(ErrorKind::kRace, earlier_site, site,
                "race on " + place(shared, where) + ": " + (write ? "written" : "read") + " at " + site_text(site) + " (" +
                thread_text(now) + ") after it was " + (earlier_write ? "written" : "read") + " at " + site_text(earlier_site) +
                " (" + thread_text(thread_of(earlier)) + ") with nothing to order the two");
}

void check_write_seen(const Thread& thread, bool write, const Block& owner, const SharedWord& word, Site site, u64 where) {
    if (write_seen(thread, owner, word)) return;
    std::string access = place(true, where) + " is " + (write ? "written" : "read") + " at " + site_text(site) + " (" +
                         thread_text(thread) + ")";
    if (word.write_clock == SharedWord::kInFlight)
        report_once(ErrorKind::kAsyncCopy, word.write_site, site,
                    access + " while the copy issued at " + site_text(word.write_site) + " by thread " + std::to_string(word.writer) +
                    (word.by == Writer::kNeighboursCopy ? " of another block of the cluster" : " of the block") + " is in flight");
    else if (word.by != Writer::kThread)
        report_once(ErrorKind::kRace, word.write_site, site,
                    "race: " + access + ", where the bulk copy issued at " + site_text(word.write_site) +
                    " has landed, but nothing tells this thread so: its mbarrier was not waited for");
    else
        report_race(thread, write, site, global_index(owner, word.writer), true, word.write_site, true, where);
}

void write_words(Block& owner, u32 offset, u32 bytes, u32 clock, Writer by, Site site) {
    const Thread& thread = *current;
    check_source_reads(owner, offset, bytes, site);
    for (u32 i = offset / 4; i < (offset + bytes + 3) / 4; ++i) {
        SharedWord& word = owner.words[i];
        check_write_seen(thread, true, owner, word, site, i * 4);
        check_readers_seen(thread, owner, word, owner.readers + i * machine.warps_per_block, site, i * 4);
        check_remote_readers(owner, i, site);
        word.reader_warps = 0;
        word.write_clock = clock;
        word.by = by;
        word.writer = static_cast<u16>(thread.index);
        word.write_site = site_id(site);
    }
}

void race_shared_read(const Thread& thread, u32 offset, u32 bytes, Site site) {
    Block& block = *thread.block;
    u32 warps = machine.warps_per_block;
    u32 warp = thread.warp->index;
    u32 bit = 1u << thread.lane;
    for (u32 i = offset / 4; i < (offset + bytes + 3) / 4; ++i) {
        SharedWord& word = block.words[i];
        check_write_seen(thread, false, block, word, site, i * 4);

        // Readers of a warp share an entry. An older one is dropped when this thread has seen it (then whoever sees
        // this read has seen that too); otherwise both are kept under the younger clock.
        SharedReaders& readers = block.readers[i * warps + warp];
        bool fresh = !(word.reader_warps >> warp & 1) || readers.clock <= first_clock;
        if (!fresh && readers.clock != thread.warp->clock) {
            fresh = true;
            for (u32 lanes = readers.lanes & ~bit; lanes; lanes &= lanes - 1)
                fresh = fresh && thread.view->own[warp * kWarpSize + static_cast<u32>(__builtin_ctz(lanes))] >= readers.clock;
        }
        readers.lanes = fresh ? bit : readers.lanes | bit;
        readers.clock = thread.warp->clock;
        word.reader_warps |= 1u << warp;
        word.read_site = site_id(site);
    }
}

void race_shared_write(u32 offset, u32 bytes, Site site) {
    write_words(*current->block, offset, bytes, current->warp->clock, Writer::kThread, site);
}

void issue_shared_copy(u32 offset, u32 bytes, Site site) {
    write_words(*current->block, offset, bytes, SharedWord::kInFlight, Writer::kThread, site);
}

void complete_shared_copy(u32 offset, u32 bytes) {
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) current->block->words[i].write_clock = current->warp->clock;
}

void race_global_read(Allocation& allocation, u64 address, u32 bytes, Site site, bool coherent) {
    const Thread& thread = *current;
    u64 offset = address - allocation.begin;
    for (u64 i = offset / GlobalWord::kBytes; i < (offset + bytes) / GlobalWord::kBytes; ++i) {
        GlobalWord& word = allocation.words[i];
        u64 where = allocation.begin + i * GlobalWord::kBytes;
        if (word.writer == 0 && allocation.role == Role::kOutput)
            report_once(ErrorKind::kUninitialised, 0, site, place(false, where) + ", " + std::to_string(i * GlobalWord::kBytes) +
                        " bytes into an output, is read at " + site_text(site) + " (" + thread_text(thread) +
                        ") and nobody wrote it");
        if (word.writer != 0) {
            u32 writer = (word.writer & ~GlobalWord::kAtomic) - 1;
            if (!ordered(thread, writer, word.write_clock))
                report_race(thread, false, site, writer, true, word.write_site, false, where);
            else if (!coherent && word.write_clock > first_clock)
                report_once(ErrorKind::kNotCoherent, word.write_site, site,
                            place(false, where) + " is read past coherence (ld.global.nc) at " + site_text(site) + " (" +
                            thread_text(thread) + ") though this launch wrote it at " + site_text(word.write_site));
        }
        word.reader = thread.global_index + 1;
        word.read_clock = thread.warp->clock;
        word.read_site = site_id(site);
    }
}

void race_global_write(Allocation& allocation, u64 address, u32 bytes, Site site, bool atomic) {
    const Thread& thread = *current;
    u64 offset = address - allocation.begin;
    for (u64 i = offset / GlobalWord::kBytes; i < (offset + bytes) / GlobalWord::kBytes; ++i) {
        GlobalWord& word = allocation.words[i];
        u64 where = allocation.begin + i * GlobalWord::kBytes;
        bool both_atomic = atomic && (word.writer & GlobalWord::kAtomic);
        u32 writer = (word.writer & ~GlobalWord::kAtomic) - 1;
        if (word.writer != 0 && !both_atomic && !ordered(thread, writer, word.write_clock))
            report_race(thread, true, site, writer, true, word.write_site, false, where);
        if (word.reader != 0 && !ordered(thread, word.reader - 1, word.read_clock))
            report_race(thread, true, site, word.reader - 1, false, word.read_site, false, where);
        word.reader = 0;
        word.writer = (thread.global_index + 1) | (atomic ? GlobalWord::kAtomic : 0);
        word.write_clock = thread.warp->clock;
        word.write_site = site_id(site);
    }
}

}  // namespace jmarlin::emulator
