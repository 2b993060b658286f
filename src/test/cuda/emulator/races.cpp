#include "races.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>
#include <tuple>
#include <unordered_map>

namespace jmarlin::emulator {

/** Clocks of threads of several blocks: [block][thread], empty for a block of which nothing is known. */
struct Clocks : std::vector<std::vector<u32>> {
    using std::vector<std::vector<u32>>::vector;
};

struct View {
    u32 references = 0;
    std::vector<u32> own;                    // [thread] of the same block
    std::shared_ptr<const Clocks> foreign;   // the other blocks
};

namespace {

u32 first_clock = 0;   // stamps up to here are from earlier launches
std::vector<View*> all_views, free_views;
std::unordered_map<u64, Clocks> atomics;
std::set<std::tuple<ErrorKind, u16, u16>> reported;

/** The last reader of a word from outside its block, by block and word. */
struct RemoteReader {
    u32 reader;   // global index
    u32 clock;
    u16 site;
};
std::unordered_map<u64, RemoteReader> remote_readers;

u64 remote_key(const Block& block, u32 word) { return u64{block.index} << 32 | word; }
std::vector<std::vector<SharedWord>> word_pool;
std::vector<std::vector<SharedReaders>> reader_pool;

void join(std::vector<u32>& into, const std::vector<u32>& from) {
    if (into.size() < from.size()) into.resize(from.size(), 0);
    for (std::size_t i = 0; i < from.size(); ++i) into[i] = std::max(into[i], from[i]);
}

std::shared_ptr<const Clocks> join(const std::shared_ptr<const Clocks>& a, const std::shared_ptr<const Clocks>& b) {
    if (a == b || !b) return a;
    if (!a) return b;
    auto sum = std::make_shared<Clocks>(*a);
    for (std::size_t block = 0; block < sum->size(); ++block) join((*sum)[block], (*b)[block]);
    return sum;
}

View* new_view() {
    View* view;
    if (free_views.empty()) {
        view = new View();
        all_views.push_back(view);
    } else {
        view = free_views.back();
        free_views.pop_back();
    }
    view->references = 0;
    view->own.assign(machine.threads, 0);
    view->foreign = nullptr;
    return view;
}

void set_view(Thread& thread, View* view) {
    if (--thread.view->references == 0) free_views.push_back(thread.view);
    ++view->references;
    thread.view = view;
}

/** Gives the threads one view that knows all that each of them knew and did. */
void synchronise(Thread* threads, u32 count) {
    View* sum = new_view();
    const View* last = nullptr;
    for (u32 i = 0; i < count; ++i) {
        const View* view = threads[i].view;
        if (view == last) continue;
        last = view;
        for (std::size_t u = 0; u < sum->own.size(); ++u) sum->own[u] = std::max(sum->own[u], view->own[u]);
        sum->foreign = join(sum->foreign, view->foreign);
    }
    for (u32 i = 0; i < count; ++i) sum->own[threads[i].index] = threads[i].warp->clock;
    for (u32 i = 0; i < count; i += kWarpSize) ++threads[i].warp->clock;
    for (u32 i = 0; i < count; ++i) set_view(threads[i], sum);
}

bool ordered(const Thread& thread, u32 global_index, u32 clock) {
    if (clock <= first_clock || global_index == thread.global_index) return true;
    u32 block = global_index / machine.threads;
    u32 index = global_index % machine.threads;
    if (block == thread.block->index) return thread.view->own[index] >= clock;
    const auto& foreign = thread.view->foreign;
    return foreign && !(*foreign)[block].empty() && (*foreign)[block][index] >= clock;
}

const Thread& thread_of(u32 global_index) { return machine.thread_pool[global_index]; }

void report_once(ErrorKind kind, u16 earlier_site, Site site, const std::string& text) {
    if (reported.insert(std::make_tuple(kind, earlier_site, site_id(site))).second) report(kind, text);
}

std::string place(bool shared, u64 where) {
    return (shared ? "shared memory byte " : "global memory byte ") + std::to_string(where);
}

void report_race(const Thread& now, bool write, Site site, u32 earlier, bool earlier_write, u16 earlier_site, bool shared,
        u64 where) {
    report_once(ErrorKind::kRace, earlier_site, site,
                "race on " + place(shared, where) + ": " + (write ? "written" : "read") + " at " + site_text(site) + " (" +
                thread_text(now) +
                ") after it was " + (earlier_write ? "written" : "read") + " at " + site_text(earlier_site) + " (" +
                thread_text(thread_of(earlier)) + ") with nothing to order the two");
}

void report_in_flight(const Thread& now, bool write, Site site, const SharedWord& word, u64 where) {
    report_once(ErrorKind::kAsyncCopy, word.write_site, site,
                place(true, where) + " is " + (write ? "written" : "read") + " at " + site_text(site) + " (" + thread_text(now) +
                ") while the copy issued at " + site_text(word.write_site) + " by thread " + std::to_string(word.writer) +
                " of the block is in flight");
}

void check_shared_write(const Thread& thread, SharedWord& word, SharedReaders* readers, Site site, u64 where) {
    u32 block_base = thread.block->index * machine.threads;
    if (word.write_clock == SharedWord::kInFlight)
        report_in_flight(thread, true, site, word, where);
    else if (!ordered(thread, block_base + word.writer, word.write_clock))
        report_race(thread, true, site, block_base + word.writer, true, word.write_site, true, where);
    for (u32 warps = word.reader_warps; warps; warps &= warps - 1) {
        u32 w = static_cast<u32>(__builtin_ctz(warps));
        if (readers[w].clock <= first_clock) continue;
        for (u32 lanes = readers[w].lanes; lanes; lanes &= lanes - 1) {
            u32 reader = block_base + w * kWarpSize + static_cast<u32>(__builtin_ctz(lanes));
            if (!ordered(thread, reader, readers[w].clock)) {
                report_race(thread, true, site, reader, false, word.read_site, true, where);
                break;
            }
        }
    }
    if (!remote_readers.empty()) {
        auto remote = remote_readers.find(remote_key(*thread.block, static_cast<u32>(where / 4)));
        if (remote != remote_readers.end() && !ordered(thread, remote->second.reader, remote->second.clock))
            report_race(thread, true, site, remote->second.reader, false, remote->second.site, true, where);
    }
    word.reader_warps = 0;
    word.asynchronous = 0;
    word.writer = static_cast<u16>(thread.index);
    word.write_site = site_id(site);
}

}  // namespace

void begin_races() {
    u32 words = (machine.shared_bytes + 3) / 4;
    if (word_pool.size() < machine.grid) {
        word_pool.resize(machine.grid);
        reader_pool.resize(machine.grid);
    }
    for (View* view : all_views) view->references = 0;
    free_views = all_views;
    atomics.clear();
    reported.clear();
    remote_readers.clear();
    for (Block& block : machine.blocks) {
        auto& block_words = word_pool[block.index];
        auto& readers = reader_pool[block.index];
        if (block_words.size() < words) block_words.resize(words);
        if (readers.size() < words * machine.warps_per_block) readers.resize(words * machine.warps_per_block);
        for (u32 w = 0; w < words; ++w)
            if (block_words[w].write_clock == SharedWord::kInFlight) block_words[w].write_clock = 0;
        block.words = block_words.data();
        block.readers = readers.data();
        View* nothing = new_view();
        for (u32 t = 0; t < machine.threads; ++t) {
            block.warps[0].lanes[t].view = nothing;
            ++nothing->references;
        }
    }
    for (Warp& warp : machine.warps) warp.clock = first_clock + 1;
}

void end_races() {
    u32 last = first_clock;
    for (const Warp& warp : machine.warps) last = std::max(last, warp.clock);
    first_clock = last + 1;
}

void synchronise_warp(Warp& warp) { synchronise(warp.lanes, kWarpSize); }

void synchronise_block(Block& block) {
    // Threads that have exited take part: what they did before is ordered, and they do nothing more.
    synchronise(block.warps[0].lanes, machine.threads);
}

void synchronise_warps(const std::vector<Warp*>& warps) {
    View* sum = new_view();
    for (Warp* warp : warps) {
        for (u32 lane = 0; lane < kWarpSize; ++lane) {
            const View* view = warp->lanes[lane].view;
            if (lane > 0 && view == warp->lanes[lane - 1].view) continue;
            join(sum->own, view->own);
            sum->foreign = join(sum->foreign, view->foreign);
        }
    }
    for (Warp* warp : warps)
        for (u32 lane = 0; lane < kWarpSize; ++lane) sum->own[warp->lanes[lane].index] = warp->clock;
    for (Warp* warp : warps) {
        ++warp->clock;
        for (u32 lane = 0; lane < kWarpSize; ++lane) set_view(warp->lanes[lane], sum);
    }
}

void synchronise_cluster(Block* blocks, u32 count) {
    auto all = std::make_shared<Clocks>(machine.grid);
    for (u32 b = 0; b < count; ++b) {
        synchronise_block(blocks[b]);
        const View& view = *blocks[b].warps[0].lanes[0].view;
        join((*all)[blocks[b].index], view.own);
        if (view.foreign)
            for (u32 other = 0; other < machine.grid; ++other) join((*all)[other], (*view.foreign)[other]);
    }
    for (u32 b = 0; b < count; ++b) {
        View* view = blocks[b].warps[0].lanes[0].view;   // shared by the block
        join(view->own, (*all)[blocks[b].index]);
        view->foreign = all;
    }
}

void publish(Knowledge& knowledge, const Block& owner) {
    Thread& self = *current;
    if (self.block != &owner) {
        auto all = std::make_shared<Clocks>(machine.grid);
        if (self.view->foreign) *all = *self.view->foreign;
        join((*all)[self.block->index], self.view->own);
        (*all)[self.block->index][self.index] = self.warp->clock++;
        join(knowledge.own, (*all)[owner.index]);
        knowledge.foreign = join(knowledge.foreign, all);
        return;
    }
    join(knowledge.own, self.view->own);
    knowledge.own[self.index] = self.warp->clock++;
    knowledge.foreign = join(knowledge.foreign, self.view->foreign);
}

void learn(const Knowledge& knowledge) {
    View* view = new_view();
    view->own = current->view->own;
    join(view->own, knowledge.own);
    view->foreign = join(current->view->foreign, knowledge.foreign);
    set_view(*current, view);
}

void join(Knowledge& into, const Knowledge& from) {
    join(into.own, from.own);
    into.foreign = join(into.foreign, from.foreign);
}

void fence_proxy() { current->proxy_fence = current->warp->clock++; }

void complete_bulk_copy(Thread& issuer, u32 offset, u32 bytes, Knowledge& knowledge) {
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) {
        issuer.block->words[i].write_clock = issuer.warp->clock;
        issuer.block->words[i].asynchronous = 1;
    }
    if (knowledge.own.size() < machine.threads) knowledge.own.resize(machine.threads, 0);
    knowledge.own[issuer.index] = issuer.warp->clock++;
}

void check_proxy(const Block& block, u32 offset, u32 bytes, const char* operation, Site site) {
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) {
        const SharedWord& word = block.words[i];
        if (word.asynchronous || word.write_clock <= first_clock || word.write_clock == SharedWord::kInFlight) continue;
        const Thread& writer = block.warps[0].lanes[word.writer];
        if (writer.proxy_fence < word.write_clock)
            report_once(ErrorKind::kProxy, word.write_site, site, std::string(operation) + " at " + site_text(site) + " meets " +
                        place(true, i * 4) + ", written at " + site_text(word.write_site) + " (" + thread_text(writer) +
                        ") with no fence_proxy_async of that thread since");
    }
}

void race_remote_read(Block& owner, u32 offset, u32 bytes, Site site) {
    const Thread& thread = *current;
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) {
        const SharedWord& word = owner.words[i];
        u32 writer = owner.index * machine.threads + word.writer;
        if (word.write_clock == SharedWord::kInFlight || !ordered(thread, writer, word.write_clock))
            report_race(thread, false, site, writer, true, word.write_site, true, i * 4);
        remote_readers[remote_key(owner, i)] = {thread.global_index, thread.warp->clock, site_id(site)};
    }
}

void synchronise_atomic(u64 address) {
    Thread& self = *current;
    Clocks& published = atomics[address];
    published.resize(machine.grid);
    u32 own = self.block->index;

    View* view = new_view();
    view->own = self.view->own;
    join(view->own, published[own]);
    view->own.resize(machine.threads, 0);
    auto others = std::make_shared<Clocks>(published);
    (*others)[own].clear();
    view->foreign = join(self.view->foreign, others);

    join(published[own], view->own);
    published[own][self.index] = self.warp->clock;
    for (u32 b = 0; b < machine.grid; ++b)
        if (b != own) join(published[b], (*view->foreign)[b]);
    ++self.warp->clock;
    set_view(self, view);
}

void race_shared_read(const Thread& thread, u32 offset, u32 bytes, Site site) {
    Block& block = *thread.block;
    u32 warps = machine.warps_per_block;
    u32 warp = thread.warp->index;
    u32 bit = 1u << thread.lane;
    for (u32 i = offset / 4; i < (offset + bytes + 3) / 4; ++i) {
        SharedWord& word = block.words[i];
        u32 writer = block.index * machine.threads + word.writer;
        if (__builtin_expect(word.write_clock == SharedWord::kInFlight, false))
            report_in_flight(thread, false, site, word, i * 4);
        else if (__builtin_expect(!ordered(thread, writer, word.write_clock), false))
            report_race(thread, false, site, writer, true, word.write_site, true, i * 4);

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
    Block& block = *current->block;
    for (u32 i = offset / 4; i < (offset + bytes + 3) / 4; ++i) {
        check_shared_write(*current, block.words[i], block.readers + i * machine.warps_per_block, site, i * 4);
        block.words[i].write_clock = current->warp->clock;
    }
}

void issue_shared_copy(u32 offset, u32 bytes, Site site) {
    Block& block = *current->block;
    for (u32 i = offset / 4; i < (offset + bytes) / 4; ++i) {
        check_shared_write(*current, block.words[i], block.readers + i * machine.warps_per_block, site, i * 4);
        block.words[i].write_clock = SharedWord::kInFlight;
    }
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
