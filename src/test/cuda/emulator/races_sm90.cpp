#include "races_sm90.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace jmarlin::emulator {

namespace {

/** The last reader of a word from outside its block. */
struct RemoteReader {
    u32 reader;   // global index
    u32 clock;
    u16 site;
};

/** Bytes that a bulk copy reads, or read: over for those who know so many phases of the mbarrier at its destination. */
struct SourceRead {
    u32 begin, end;
    u32 number;
    u32 phases;   // kInFlight until the copy lands
    Site site;
    const Thread* issuer;
    const Block* to;
};

/** The last time that a thread touched another block's shared memory. */
struct RemoteUse {
    u32 clock;
    Site site;
};

std::unordered_map<u64, RemoteReader> remote_readers;             // by block and word
std::vector<std::vector<SourceRead>> source_reads;                // by block
std::vector<std::unordered_map<u32, RemoteUse>> remote_uses;      // by the block that was touched, then thread of the grid

u64 remote_key(const Block& block, u32 word) { return u64{block.index} << 32 | word; }

/** Whether any thread of the block does: it has not exited before what that thread knows of. */
template <class Knows>
bool some_thread(const Block& block, Knows knows) {
    const Thread* threads = block.warps[0].lanes;
    return std::any_of(threads, threads + machine.threads, knows);
}

std::string copy_text(const SourceRead& read) {
    return "the bulk copy issued at " + site_text(read.site) + " (" + thread_text(*read.issuer) + ") to block " +
           std::to_string(read.to->index);
}

}  // namespace

void begin_races_sm90() {
    remote_readers.clear();
    source_reads.assign(machine.grid, {});
    remote_uses.assign(machine.grid, {});
}

void end_races_sm90() {
    for (const Block& block : machine.blocks) {
        for (const auto& use : remote_uses[block.index])
            if (!some_thread(block, [&](const Thread& t) { return ordered(t, use.first, use.second.clock); }))
                report_once(ErrorKind::kRace, 0, use.second.site,
                            "race: block " + std::to_string(block.index) + " may have exited before " +
                            thread_text(machine.thread_pool[use.first]) + " touches its shared memory at " + site_text(use.second.site));
        for (const SourceRead& read : source_reads[block.index])
            for (const Block* end : {&block, read.to})
                if (!some_thread(*end, [&](const Thread& t) { return phases_known(t, read.number, read.phases); }))
                    report_once(ErrorKind::kRace, static_cast<u16>(end == read.to), read.site,
                                "race: block " + std::to_string(end->index) + " may have exited before " + copy_text(read) + " was over");
    }
}

void fence_proxy() { current->proxy_fence = current->warp->clock++; }

void check_proxy(const Block& block, u32 offset, u32 bytes, const char* operation, Site site) {
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) {
        const SharedWord& word = block.words[i];
        if (word.by != Writer::kThread || word.write_clock <= first_clock || word.write_clock == SharedWord::kInFlight) continue;
        const Thread& writer = block.warps[0].lanes[word.writer];
        if (writer.proxy_fence < word.write_clock)
            report_once(ErrorKind::kProxy, word.write_site, site, std::string(operation) + " at " + site_text(site) + " meets " +
                        place(true, i * 4) + ", written at " + site_text(word.write_site) + " (" + thread_text(writer) +
                        ") with no fence_proxy_async of that thread since");
    }
}

void issue_bulk_copy(Block& to, u32 offset, u32 bytes, Site site) {
    Writer by = &to == current->block ? Writer::kOwnCopy : Writer::kNeighboursCopy;
    write_words(to, offset, bytes, SharedWord::kInFlight, by, site);
}

void land_bulk_copy(Block& to, u32 offset, u32 bytes, u32 number, u32 phases) {
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) {
        SharedWord& word = to.words[i];
        if (word.by == Writer::kThread) continue;   // overwritten in flight, and reported
        word.write_clock = phases;
        word.writer = static_cast<u16>(number);
    }
}

void begin_source_read(u32 offset, u32 bytes, const Block& to, u32 number, Site site) {
    // The issuer need not be known to those who overwrite the source: for them the copy itself counts, below.
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i)
        check_write_seen(*current, false, *current->block, current->block->words[i], site, i * 4);
    std::vector<SourceRead>& reads = source_reads[current->block->index];
    SourceRead read{offset, offset + bytes, number, SharedWord::kInFlight, site, current, &to};
    // Whoever knows of the later copy knows of an earlier one of the same bytes that counted on the same mbarrier.
    for (SourceRead& each : reads)
        if (each.phases != SharedWord::kInFlight && each.begin == read.begin && each.end == read.end && each.number == number) {
            each = read;
            return;
        }
    reads.push_back(read);
}

void end_source_read(Block& from, u32 offset, u32 bytes, const Block& to, u32 number, u32 phases) {
    for (SourceRead& each : source_reads[from.index])
        if (each.phases == SharedWord::kInFlight && each.begin == offset && each.end == offset + bytes && each.number == number &&
            each.to == &to) {
            each.phases = phases;
            return;
        }
}

void check_source_reads(const Block& owner, u32 offset, u32 bytes, Site site) {
    for (const SourceRead& read : source_reads[owner.index]) {
        if (read.end <= offset || offset + bytes <= read.begin) continue;
        bool in_flight = read.phases == SharedWord::kInFlight;
        if (!in_flight && phases_known(*current, read.number, read.phases)) continue;
        report_once(in_flight ? ErrorKind::kAsyncCopy : ErrorKind::kRace, site_id(read.site), site,
                    place(true, std::max(offset, read.begin)) + " is written at " + site_text(site) + " (" + thread_text(*current) + ") " +
                    (in_flight ? "while " + copy_text(read) + " still reads it"
                               : "after " + copy_text(read) + " read it, but nothing tells this thread that the copy is over: a race"));
    }
}

void check_remote_readers(const Block& owner, u32 word, Site site) {
    if (remote_readers.empty()) return;
    auto found = remote_readers.find(remote_key(owner, word));
    if (found != remote_readers.end() && !ordered(*current, found->second.reader, found->second.clock))
        report_race(*current, true, site, found->second.reader, false, found->second.site, true, word * 4);
}

void race_remote_read(Block& owner, u32 offset, u32 bytes, Site site) {
    const Thread& thread = *current;
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) {
        check_write_seen(thread, false, owner, owner.words[i], site, i * 4);
        remote_readers[remote_key(owner, i)] = {thread.global_index, thread.warp->clock, site_id(site)};
    }
    remote_uses[owner.index][thread.global_index] = {thread.warp->clock, site};
}

}  // namespace jmarlin::emulator
