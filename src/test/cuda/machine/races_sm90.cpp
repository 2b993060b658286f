// What sm_90 adds to the race detector: the copy engine, its proxy, and the other blocks of the cluster.
#include <algorithm>
#include <unordered_map>

#include "races.hpp"

namespace jmarlin::machine {

bool any_remote_readers, any_source_reads;

namespace {

/** The last reader of a word from outside its block. */
struct RemoteReader {
    u32 reader;   // global index
    u32 clock;
    u32 pc;
};

/** Bytes that a bulk copy reads, or read: over for those who know so many phases of the mbarrier at its destination. */
struct SourceRead {
    u32 begin, end;
    u32 number;
    u32 phases;   // kInFlight until the copy lands
    u32 pc;
    u32 issuer;   // global index
    const Block* to;
};

/** The last time that a thread touched another block's shared memory. */
struct RemoteUse {
    u32 clock;
    u32 pc;
};

std::unordered_map<u64, RemoteReader> remote_readers;             // by block and word
std::vector<std::vector<SourceRead>> source_reads;                // by block
std::vector<std::unordered_map<u32, RemoteUse>> remote_uses;      // by the block that was touched, then thread of the grid

u64 remote_key(const Block& block, u32 word) { return u64{block.index} << 32 | word; }

/** Whether any thread of the block does: it has not exited before what that thread knows of. */
template <class Knows>
bool some_thread(const Block& block, Knows knows) {
    for (const Warp& warp : block.warps)
        for (u32 lane = 0; lane < kWarpSize; ++lane)
            if (warp.view[lane] && knows(warp, lane)) return true;
    return false;
}

std::string copy_text(const SourceRead& read) {
    return "the copy at " + at_text(machine.instructions[read.pc]) + " (" + thread_text(read.issuer) + ") to block " + std::to_string(read.to->index);
}

}  // namespace

void begin_races() {
    begin_clocks();
    remote_readers.clear();
    source_reads.assign(machine.grid, {});
    remote_uses.assign(machine.grid, {});
    any_remote_readers = any_source_reads = false;
}

void end_races() {
    for (const Block& block : machine.blocks) {
        if (!machine.result->completed) break;
        for (const auto& use : remote_uses[block.index])
            if (!some_thread(block, [&](const Warp& w, u32 lane) { return ordered(w, lane, use.first, use.second.clock); }))
                report(ErrorKind::kExited, machine.instructions[use.second.pc], nullptr, "block " + std::to_string(block.index) + " may have exited before " +
                       thread_text(use.first) + " touches its shared memory at " + at_text(machine.instructions[use.second.pc]));
        for (const SourceRead& read : source_reads[block.index])
            for (const Block* end : {&block, read.to})
                if (!some_thread(*end, [&](const Warp& w, u32 lane) { return phases_known(w, lane, read.number, read.phases); }))
                    report(ErrorKind::kExited, machine.instructions[read.pc], nullptr, "block " + std::to_string(end->index) + " may have exited before " +
                           copy_text(read) + " was over");
    }
    end_clocks();
}

void check_proxy(const Block& block, u32 offset, u32 bytes, const Instruction& at) {
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) {
        const SharedWord& word = block.words[i];
        if (word.by > Writer::kAtomic || word.write_clock <= first_clock || word.write_clock == SharedWord::kInFlight) continue;
        const Warp& writer = block.warps[word.writer / kWarpSize];
        if (writer.proxy_fence[word.writer % kWarpSize] >= word.write_clock) continue;
        const Instruction& before = machine.instructions[word.write_pc];
        if (is_reported(ErrorKind::kProxy, at, &before)) continue;
        report(ErrorKind::kProxy, at, &before, at_text(at) + " meets " + shared_place(i * 4) + ", written at " + at_text(before) + " (" +
               thread_text(writer, word.writer % kWarpSize) + ") with no fence.proxy.async of that thread since");
    }
}

void issue_bulk_copy(const Warp& warp, u32 lane, Block& to, u32 offset, u32 bytes, const Instruction& at) {
    if (any_source_reads) check_source_reads(warp, lane, to, offset, bytes, at);
    Writer by = &to == warp.block ? Writer::kOwnCopy : Writer::kNeighboursCopy;
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) write_word(warp, lane, to, i, 15, SharedWord::kInFlight, by, at);
}

void land_bulk_copy(Block& to, u32 offset, u32 bytes, u32 number, u32 phases) {
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) {
        SharedWord& word = to.words[i];
        if (word.by < Writer::kOwnCopy) continue;   // overwritten in flight, and reported
        word.write_clock = phases;
        word.writer = static_cast<u16>(number);
    }
}

void begin_source_read(const Warp& warp, u32 lane, u32 offset, u32 bytes, const Block& to, u32 number, const Instruction& at) {
    // The issuer need not be known to those who overwrite the source: for them the copy itself counts, below.
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) check_write_seen(warp, lane, false, *warp.block, warp.block->words[i], at, i * 4);
    any_source_reads = true;
    std::vector<SourceRead>& reads = source_reads[warp.block->index];
    SourceRead read{offset, offset + bytes, number, SharedWord::kInFlight, machine.code->index(at),
                    warp.block->index * machine.threads + warp.index * kWarpSize + lane, &to};
    // Whoever knows of the later copy knows of an earlier one of the same bytes that counted on the same mbarrier.
    for (SourceRead& each : reads)
        if (each.phases != SharedWord::kInFlight && each.begin == read.begin && each.end == read.end && each.number == number) {
            each = read;
            return;
        }
    reads.push_back(read);
}

void end_source_read(const Block& from, u32 offset, u32 bytes, const Block& to, u32 number, u32 phases) {
    for (SourceRead& each : source_reads[from.index])
        if (each.phases == SharedWord::kInFlight && each.begin == offset && each.end == offset + bytes && each.number == number && each.to == &to) {
            each.phases = phases;
            return;
        }
}

void check_source_reads(const Warp& warp, u32 lane, const Block& owner, u32 offset, u32 bytes, const Instruction& at) {
    for (const SourceRead& read : source_reads[owner.index]) {
        if (read.end <= offset || offset + bytes <= read.begin) continue;
        bool in_flight = read.phases == SharedWord::kInFlight;
        if (!in_flight && phases_known(warp, lane, read.number, read.phases)) continue;
        report(in_flight ? ErrorKind::kAsyncCopy : ErrorKind::kRace, warp, lane, at, &machine.instructions[read.pc],
               "writes " + shared_place(std::max(offset, read.begin)) + (in_flight ? " while " + copy_text(read) + " still reads it"
               : " after " + copy_text(read) + " read it, but nothing tells this thread that the copy is over"));
    }
}

void check_remote_readers(const Warp& warp, u32 lane, const Block& owner, u32 word, const Instruction& at, Writer by) {
    auto found = remote_readers.find(remote_key(owner, word));
    if (found == remote_readers.end()) return;
    u32 index = found->second.reader % machine.threads;
    const Warp& reader = machine.blocks[found->second.reader / machine.threads].warps[index / kWarpSize];
    if (by >= Writer::kOwnCopy && reader.proxy_fence[index % kWarpSize] < found->second.clock)
        report_no_fence(at, reader, index % kWarpSize, word, found->second.pc);
    if (!ordered(warp, lane, found->second.reader, found->second.clock))
        report_race(warp, lane, true, at, thread_text(found->second.reader), false, found->second.pc, shared_place(word * 4));
}

void note_remote_use(const Warp& warp, u32 lane, const Block& owner, const Instruction& at) {
    remote_uses[owner.index][warp.block->index * machine.threads + warp.index * kWarpSize + lane] = {warp.clock, machine.code->index(at)};
}

void race_remote_read(const Warp& warp, u32 lane, Block& owner, u32 offset, u32 bytes, const Instruction& at) {
    u32 thread = warp.block->index * machine.threads + warp.index * kWarpSize + lane;
    any_remote_readers = true;
    for (u32 i = offset / 4; i < (offset + bytes + 3) / 4; ++i) {
        check_write_seen(warp, lane, false, owner, owner.words[i], at, i * 4);
        remote_readers[remote_key(owner, i)] = {thread, warp.clock, machine.code->index(at)};
    }
    note_remote_use(warp, lane, owner, at);
}

void race_remote_write(const Warp& warp, u32 lane, Block& owner, u32 offset, u32 bytes, const Instruction& at) {
    fail(ErrorKind::kBadArgument, warp, lane, at, "stores of " + std::to_string(bytes) + " bytes into another block's shared memory, byte " + std::to_string(offset) +
         " of block " + std::to_string(owner.index) + ", are not followed here");
}

}  // namespace jmarlin::machine
