#include "races.hpp"

namespace jmarlin::machine {

namespace {

/** Bytes of a word that an access touches, as bits. */
u32 byte_mask(u32 offset, u32 bytes) { return bytes >= 4 ? 15u : ((1u << bytes) - 1) << offset % 4; }

bool write_seen(const Warp& warp, u32 lane, const Block& owner, const SharedWord& word) {
    if (word.write_clock == SharedWord::kInFlight) return false;
    if (word.by >= Writer::kOwnCopy) return phases_known(warp, lane, word.writer, word.write_clock);
    if (&owner == warp.block) return ordered_in_block(warp, lane, word.writer, word.write_clock);
    return ordered(warp, lane, owner.index * machine.threads + word.writer, word.write_clock);
}

__attribute__((noinline)) void check_readers_seen(const Warp& warp, u32 lane, const Block& owner, const SharedWord& word, const Instruction& at, u32 index) {
    const SharedReaders* readers = owner.readers + index * reader_entries();
    for (u64 entries = word.readers; entries; entries &= entries - 1) {
        u32 entry = static_cast<u32>(__builtin_ctzll(entries));
        u32 clock = readers[entry].clock;
        if (clock <= first_clock) continue;
        bool products = entry >= machine.warps_per_block;
        u32 first = products ? machine.threads + (entry - machine.warps_per_block) * 4 : entry * kWarpSize;
        for (u32 reader : Lanes{readers[entry].lanes}) {
            u32 entity = first + reader;
            bool seen;
            if (&owner == warp.block) {
                seen = ordered_in_block(warp, lane, entity, clock);
            } else {
                const auto& foreign = warp.view[lane]->foreign;
                seen = foreign && !(*foreign)[owner.index].empty() && (*foreign)[owner.index][entity] >= clock;
            }
            if (seen) continue;
            std::string who = products ? "products of block " + std::to_string(owner.index) + ", warp " + std::to_string((entry - machine.warps_per_block) * 4)
                                       : thread_text(owner.index * machine.threads + entity);
            report_race(warp, lane, true, at, who, false, word.read_pc, shared_place(index * 4));
            break;
        }
    }
}

/** Who read a word by plain loads must have fenced before the copy engine overwrites it (8.3, proxies). */
void check_readers_fenced(const Block& owner, const SharedWord& word, const Instruction& at, u32 index) {
    for (u32 w = 0; w < machine.warps_per_block; ++w) {
        if (!(word.readers >> w & 1)) continue;
        const SharedReaders& readers = owner.readers[index * reader_entries() + w];
        for (u32 lane : Lanes{readers.lanes})
            if (owner.warps[w].proxy_fence[lane] < readers.clock)
                return report_no_fence(at, owner.warps[w], lane, index, word.read_pc);
    }
}

}  // namespace

void report_no_fence(const Instruction& at, const Warp& reader, u32 lane, u32 word, u32 read_pc) {
    const Instruction& before = machine.instructions[read_pc];
    if (is_reported(ErrorKind::kProxy, at, &before)) return;
    report(ErrorKind::kProxy, at, &before, at_text(at) + " overwrites " + shared_place(word * 4) + ", read at " + at_text(before) + " (" +
           thread_text(reader, lane) + ") with no fence.proxy.async of that thread since");
}

std::string shared_place(u32 offset) { return "shared memory byte " + std::to_string(offset); }

void report_race(const Warp& warp, u32 lane, bool write, const Instruction& at, const std::string& earlier, bool earlier_write,
                 u32 earlier_pc, const std::string& place) {
    const Instruction& before = machine.instructions[earlier_pc];
    if (is_reported(ErrorKind::kRace, at, &before)) return;
    report(ErrorKind::kRace, warp, lane, at, &before, std::string(write ? "writes " : "reads ") + place + ", " +
           (earlier_write ? "written" : "read") + " by " + earlier + " at " + at_text(before) + ", with nothing to order the two");
}

void check_write_seen(const Warp& warp, u32 lane, bool write, const Block& owner, const SharedWord& word, const Instruction& at, u32 where) {
    if (__builtin_expect(write_seen(warp, lane, owner, word), true)) return;
    const Instruction& before = machine.instructions[word.write_pc];
    bool in_flight = word.write_clock == SharedWord::kInFlight;
    if (is_reported(in_flight ? ErrorKind::kAsyncCopy : ErrorKind::kRace, at, &before)) return;
    std::string access = std::string(write ? "writes " : "reads ") + shared_place(where);
    if (in_flight)
        report(ErrorKind::kAsyncCopy, warp, lane, at, &before, access + " while the copy at " + at_text(before) +
               (word.by == Writer::kNeighboursCopy ? ", issued in another block of the cluster," : "") + " is in flight");
    else if (word.by >= Writer::kOwnCopy)
        report(ErrorKind::kRace, warp, lane, at, &before, access + ", where the bulk copy at " + at_text(before) +
               " has landed, but nothing tells this thread so: its mbarrier was not waited for");
    else
        report_race(warp, lane, write, at, thread_text(owner.index * machine.threads + word.writer), true, word.write_pc, shared_place(where));
}

void write_word(const Warp& warp, u32 lane, Block& owner, u32 index, u32 bytes, u32 clock, Writer by, const Instruction& at) {
    SharedWord& word = owner.words[index];
    bool both_atomic = by == Writer::kAtomic && word.by == Writer::kAtomic;
    if ((word.bytes & bytes) && !both_atomic) check_write_seen(warp, lane, true, owner, word, at, index * 4);
    if (word.readers && (word.bytes >> 4 & bytes)) check_readers_seen(warp, lane, owner, word, at, index);
    if (any_remote_readers) check_remote_readers(warp, lane, owner, index, at, by);
    if (by >= Writer::kOwnCopy && word.readers) check_readers_fenced(owner, word, at, index);
    word.readers = 0;
    word.write_clock = clock;
    word.by = by;
    word.bytes = static_cast<u8>(bytes);
    word.writer = static_cast<u16>(warp.index * kWarpSize + lane);
    word.write_pc = machine.code->index(at);
}

void race_shared_read(const Warp& warp, u32 lanes, const u32* offsets, u32 bytes, const Instruction& at) {
    Block& block = *warp.block;
    u32 pc = machine.code->index(at);
    u32 entries = reader_entries();
    u64 entry = u64{1} << warp.index;
    u32 clock = warp.clock;
    for (u32 lane : Lanes{lanes}) {
        u32 offset = offsets[lane];
        const u32* seen = warp.view[lane]->own.data();
        u32 self = warp.index * kWarpSize + lane;
        u32 bit = 1u << lane;
        u32 mask = byte_mask(offset, bytes);
        for (u32 i = offset / 4; i < (offset + bytes + 3) / 4; ++i) {
            SharedWord& word = block.words[i];
            bool fine = word.by == Writer::kThread && word.write_clock != SharedWord::kInFlight &&
                        (seen[word.writer] >= word.write_clock || word.writer == self);
            if (__builtin_expect(!fine, false) && (word.bytes & mask)) check_write_seen(warp, lane, false, block, word, at, i * 4);

            // Readers of a warp share an entry. An older one is dropped when this thread has seen it (then whoever sees
            // this read has seen that too); otherwise both are kept under the younger clock.
            SharedReaders& readers = block.readers[i * entries + warp.index];
            if (!(word.readers & entry)) {
                readers = {clock, bit};
            } else if (readers.clock != clock) {
                bool drop = true;
                for (u32 other : Lanes{readers.lanes & ~bit}) drop = drop && seen[warp.index * kWarpSize + other] >= readers.clock;
                readers = {clock, drop ? bit : readers.lanes | bit};
            } else {
                readers.lanes |= bit;
            }
            word.readers |= entry;
            word.read_pc = pc;
            word.bytes |= static_cast<u8>(mask << 4);
        }
    }
}

void race_shared_write(const Warp& warp, u32 lanes, const u32* offsets, u32 bytes, const Instruction& at, Writer by) {
    for (u32 lane : Lanes{lanes}) {
        u32 offset = offsets[lane];
        if (any_source_reads) check_source_reads(warp, lane, *warp.block, offset, bytes, at);
        for (u32 i = offset / 4; i < (offset + bytes + 3) / 4; ++i)
            write_word(warp, lane, *warp.block, i, byte_mask(offset, bytes), warp.clock, by, at);
    }
}

void issue_copy(const Warp& warp, u32 lanes, const u32* offsets, u32 bytes, const Instruction& at) {
    for (u32 lane : Lanes{lanes}) {
        u32 offset = offsets[lane];
        if (any_source_reads) check_source_reads(warp, lane, *warp.block, offset, bytes, at);
        for (u32 i = offset / 4; i < (offset + bytes + 3) / 4; ++i)
            write_word(warp, lane, *warp.block, i, byte_mask(offset, bytes), SharedWord::kInFlight, Writer::kThread, at);
    }
}

void complete_copy(const Warp& warp, u32 lane, u32 offset, u32 bytes) {
    for (u32 i = offset / 4; i < (offset + bytes + 3) / 4; ++i) {
        SharedWord& word = warp.block->words[i];
        if (word.write_clock != SharedWord::kInFlight) continue;   // overwritten in flight, and reported
        word.write_clock = warp.clock;
        word.writer = static_cast<u16>(warp.index * kWarpSize + lane);
    }
}

void race_product_read(const Warp& warp, u32 offset, u32 bytes, const Instruction& at) {
    Block& block = *warp.block;
    u32 number = machine.warps_per_block + warp.index / 4;
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) {
        SharedWord& word = block.words[i];
        check_write_seen(warp, 0, false, block, word, at, i * 4);
        block.readers[i * reader_entries() + number] = {warp.clock, 1};
        word.readers |= u64{1} << number;
        word.read_pc = machine.code->index(at);
        word.bytes |= 0xf0;
    }
}

void race_global(const Warp& warp, u32 lane, Allocation& allocation, u64 address, u32 bytes, Kind kind, const Instruction& at) {
    u64 offset = address - allocation.begin;
    u32 thread = (warp.block->index * machine.threads + warp.index * kWarpSize + lane) + 1;
    u32 pc = machine.code->index(at);
    u32 touched = bytes > 1 ? GlobalWord::kLow | GlobalWord::kHigh : offset % 2 ? GlobalWord::kHigh : GlobalWord::kLow;
    bool write = kind >= Kind::kWrite;
    bool strong = kind == Kind::kReadStrong || kind == Kind::kWriteStrong || kind == Kind::kAtomic;
    auto place = [&](u64 i) { return "global memory byte " + hex(allocation.begin + i * GlobalWord::kBytes); };
    for (u64 i = offset / GlobalWord::kBytes; i < (offset + bytes + 1) / GlobalWord::kBytes; ++i) {
        GlobalWord& word = allocation.words[i];
        u32 writer = word.writer & GlobalWord::kThread;
        bool both_atomic = strong && (word.writer & GlobalWord::kAtomic);
        if (writer && (word.writer & touched) && !both_atomic) {
            if (!ordered(warp, lane, writer - 1, word.write_clock))
                report_race(warp, lane, write, at, thread_text(writer - 1), true, word.write_pc, place(i));
            else if (kind == Kind::kReadNc && word.write_clock > first_clock)
                report(ErrorKind::kNotCoherent, warp, lane, at, &machine.instructions[word.write_pc],
                       "reads " + place(i) + " past coherence, which this launch wrote at " + at_text(machine.instructions[word.write_pc]));
            else if (kind == Kind::kWrite && word.write_clock > first_clock && writer != thread && allocation.role == Role::kOutput)
                report(ErrorKind::kDoubleWrite, warp, lane, at, &machine.instructions[word.write_pc],
                       "writes " + place(i) + " of an output, written by " + thread_text(writer - 1) + " at " + at_text(machine.instructions[word.write_pc]));
        }
        u32 reader = word.reader & GlobalWord::kThread;
        if (!write) {
            if (strong) continue;   // a strong write may follow it at any time
            word.reader = thread | touched | (word.reader & (GlobalWord::kLow | GlobalWord::kHigh));
            word.read_clock = warp.clock;
            word.read_pc = pc;
            continue;
        }
        if (reader && (word.reader & touched) && !ordered(warp, lane, reader - 1, word.read_clock))
            report_race(warp, lane, true, at, thread_text(reader - 1), false, word.read_pc, place(i));
        word.reader = 0;
        word.writer = thread | touched | (strong ? GlobalWord::kAtomic : 0);
        word.write_clock = warp.clock;
        word.write_pc = pc;
    }
}

}  // namespace jmarlin::machine
