// mbarrier objects (Parallel Thread Execution ISA 9.0, 9.7.13.15). An object is followed beside the memory that it lies in: the bytes
// themselves mean nothing. A wait says no once before it puts its lanes to sleep: a kernel that does not ask again goes on too early.
#include "mbarriers.hpp"

#include <algorithm>
#include <unordered_map>

#include "accesses.hpp"
#include "lanewise.hpp"
#include "races.hpp"

namespace jmarlin::machine {

namespace {

std::vector<std::unordered_map<u32, Mbarrier>> mbarriers;   // by block, then address

std::string name_of(const Mbarrier& barrier) {
    return "the mbarrier at byte " + std::to_string(barrier.address - kSharedBase) + " of block " + std::to_string(barrier.owner->index);
}

void complete_phase_if_due(Mbarrier& barrier, const Instruction& at) {
    if (barrier.pending == 0 && barrier.bytes < 0)
        report(ErrorKind::kMbarrier, at, nullptr, "phase " + std::to_string(barrier.phase) + " of " + name_of(barrier) + " has all its arrivals, but " +
               std::to_string(-barrier.bytes) + " bytes more landed than were announced; " + at_text(at));
    if (barrier.pending != 0 || barrier.bytes != 0) return;
    ++barrier.phase;
    barrier.pending = barrier.count;
    barrier.neighbours_bytes = 0;
    if (machine.options.races) {
        join(barrier.completed, barrier.arriving);
        add_phases(barrier.completed, barrier.number, barrier.phase);
        barrier.arriving = {};
    }
    for (Warp* each : barrier.waiting) wake(*each);
    barrier.waiting.clear();
}

Next initialise(Warp& w, const Instruction& i, u32 lanes) {
    u64 address[kWarpSize];
    u32 offsets[kWarpSize];
    addresses(w, i, i.operands[0], lanes, address);
    shared_offsets(w, i, lanes, *w.block, address, 8, offsets);
    if (machine.options.races) race_shared_write(w, lanes, offsets, 8, i);
    need_written(w, i, lanes, written_32(w, i.operands[1]), "count");
    for (u32 lane : Lanes{lanes}) {
        u32 count = source_32(w, i.operands[1])[lane];
        if (count == 0 || count > u32(kLargestTransaction)) fail(ErrorKind::kBadArgument, w, lane, i, "count " + std::to_string(count));
        Mbarrier fresh{};
        fresh.owner = w.block;
        fresh.address = static_cast<u32>(address[lane]);
        fresh.number = machine.clusters[w.block->index / machine.cluster_size].mbarriers_made++;
        fresh.initialiser = w.block->index * machine.threads + w.index * kWarpSize + lane;
        fresh.count = fresh.pending = count;
        mbarriers[w.block->index][fresh.address] = fresh;
        w.block->mbarriers_begin = std::min(w.block->mbarriers_begin, offsets[lane]);
        w.block->mbarriers_end = std::max(w.block->mbarriers_end, offsets[lane] + 8);
    }
    return Next::kGo;
}

Next invalidate(Warp& w, const Instruction& i, u32 lanes) {
    u64 address[kWarpSize];
    addresses(w, i, i.operands[0], lanes, address);
    for (u32 lane : Lanes{lanes}) {
        find_mbarrier(w, lane, i, static_cast<u32>(address[lane]));
        mbarriers[w.block->index].erase(static_cast<u32>(address[lane]));
    }
    return Next::kGo;
}

enum Arrival : u32 { kArrives = 1, kExpects = 2 };

/** mbarrier.arrive{.expect_tx} and mbarrier.expect_tx. */
Next arrive(Warp& w, const Instruction& i, u32 lanes) {
    u32 skip = i.operands[0].kind == 'D';   // the state, a sink
    u64 address[kWarpSize];
    addresses(w, i, i.operands[skip], lanes, address);
    bool arrives = i.opcode->detail & kArrives;
    const u32* operand = i.count > skip + 1 ? source_32(w, i.operands[skip + 1]) : nullptr;
    if (operand) need_written(w, i, lanes, written_32(w, i.operands[skip + 1]), "count");
    for (u32 lane : Lanes{lanes}) {
        Mbarrier& barrier = find_mbarrier(w, lane, i, static_cast<u32>(address[lane]));
        s32 expected = i.opcode->detail & kExpects ? static_cast<s32>(operand[lane]) : 0;
        u32 count = operand && !(i.opcode->detail & kExpects) ? operand[lane] : 1;
        if (arrives && barrier.pending < count)
            fail(ErrorKind::kMbarrier, w, lane, i, "all " + std::to_string(barrier.count) + " arrivals of phase " + std::to_string(barrier.phase) + " of " +
                 name_of(barrier) + " were there already");
        if (expected < 0 || s64{barrier.bytes} + expected > kLargestTransaction)
            fail(ErrorKind::kMbarrier, w, lane, i, std::to_string(s64{barrier.bytes} + expected) + " expected bytes");
        barrier.bytes += expected;
        if (!arrives) continue;
        if (machine.options.races) {
            if (barrier.owner != w.block) note_remote_use(w, lane, *barrier.owner, i);
            publish(barrier.arriving, w, lane, *barrier.owner);
        }
        barrier.pending -= count;
        complete_phase_if_due(barrier, i);
    }
    if (skip) {
        u64 states[kWarpSize] = {};
        store_64(w, i.operands[0], lanes, states, 0);   // nobody reads it here; who does gets a value that nobody wrote
    }
    return Next::kGo;
}

enum Waiting : u32 { kTries, kTests };

/** mbarrier.{try_wait, test_wait}.parity p, [address], parity: whether the phase of that parity is over. */
Next wait(Warp& w, const Instruction& i, u32 lanes) {
    u64 address[kWarpSize];
    addresses(w, i, i.operands[1], lanes, address);
    need_written(w, i, lanes, written_32(w, i.operands[2]), "parity");
    const u32* parity = source_32(w, i.operands[2]);
    u32 over = 0;
    Mbarrier* last = nullptr;
    for (u32 lane : Lanes{lanes}) {
        last = &find_mbarrier(w, lane, i, static_cast<u32>(address[lane]));
        if (last->phase % 2 != (parity[lane] & 1)) over |= 1u << lane;
    }
    u32 not_yet = lanes & ~over;
    if (not_yet && i.opcode->detail == kTries && (not_yet & ~w.tried) == 0) {
        for (u32 lane : Lanes{not_yet}) {
            Mbarrier& barrier = find_mbarrier(w, lane, i, static_cast<u32>(address[lane]));
            if (barrier.waiting.empty() || barrier.waiting.back() != &w) barrier.waiting.push_back(&w);
        }
        if (over == 0) return Next::kSleep;
    }
    w.tried = (w.tried | not_yet) & ~over;
    if (machine.options.races && over) {
        // Lanes mostly wait for the same one.
        for (u32 left = over; left;) {
            u32 same = 0;
            for (u32 lane : Lanes{left})
                if (address[lane] == address[first_lane(left)]) same |= 1u << lane;
            learn(find_mbarrier(w, first_lane(left), i, static_cast<u32>(address[first_lane(left)])).completed, w, same);
            left &= ~same;
        }
    }
    store_p(w, i.operands[0], lanes, over, kAllLanes);
    return not_yet ? Next::kYield : Next::kGo;
}

}  // namespace

void begin_mbarriers() { mbarriers.assign(machine.grid, {}); }

Mbarrier* mbarrier_at(const Block& block, u32 address) {
    auto found = mbarriers[block.index].find(address);
    return found == mbarriers[block.index].end() ? nullptr : &found->second;
}

Mbarrier& find_mbarrier(Warp& w, u32 lane, const Instruction& at, u32 address) {
    Block& owner = block_of_address(w, at, 1u << lane, address);
    u64 in_block[kWarpSize];
    u32 offsets[kWarpSize];
    in_block[lane] = address & ((1u << kRankShift) - 1);
    shared_offsets(w, at, 1u << lane, owner, in_block, 8, offsets);
    Mbarrier* barrier = mbarrier_at(owner, static_cast<u32>(in_block[lane]));
    if (!barrier)
        fail(ErrorKind::kMbarrier, w, lane, at, "there is no mbarrier at byte " + std::to_string(in_block[lane] - kSharedBase) + " of block " + std::to_string(owner.index));
    if (&owner == w.block) {
        // The initialisation came first: ordered like any write, or by fence.mbarrier_init and a relaxed cluster barrier.
        if (machine.options.races && !barrier->shown_by_barrier) race_shared_read(w, 1u << lane, offsets, 8, at);
        return *barrier;
    }
    if (!barrier->shown)
        report(ErrorKind::kMbarrier, w, lane, at, nullptr, "uses " + name_of(*barrier) + ", which no fence.mbarrier_init followed");
    else if (machine.options.races && !barrier->shown_by_barrier && !ordered(w, lane, barrier->initialiser, barrier->shown_clock))
        report(ErrorKind::kRace, w, lane, at, nullptr, "uses " + name_of(*barrier) + ", but nothing orders its initialisation and fence.mbarrier_init before");
    return *barrier;
}

void check_no_mbarrier(const Warp& w, u32 lane, const Instruction& at, const Block& owner, u32 offset, u32 bytes) {
    for (u32 b = offset & ~7u; b < offset + bytes; b += 8)
        if (mbarrier_at(owner, b + kSharedBase))
            report(ErrorKind::kMbarrier, w, lane, at, nullptr, "touches the mbarrier at byte " + std::to_string(b) + " of block " + std::to_string(owner.index) +
                   ", which only mbarrier operations may");
}

void complete_bytes(Mbarrier& barrier, u32 bytes, bool from_neighbour, const Instruction& at) {
    // A block's own copies follow their announcement; a neighbour's may be here first, and be announced to it later.
    s32 announced = barrier.bytes + barrier.neighbours_bytes;
    if (!from_neighbour && announced < s32(bytes)) {
        report(ErrorKind::kMbarrier, at, nullptr, "a copy of " + std::to_string(bytes) + " bytes lands on " + name_of(barrier) + ", which expects " +
               std::to_string(announced) + "; " + at_text(at));
        return;
    }
    if (barrier.bytes - s32(bytes) < -kLargestTransaction) {
        report(ErrorKind::kMbarrier, at, nullptr, "a copy of " + std::to_string(bytes) + " bytes is more than " + name_of(barrier) + " can count, where " +
               std::to_string(-barrier.bytes) + " bytes landed before they were announced; " + at_text(at));
        return;
    }
    barrier.bytes -= s32(bytes);
    if (from_neighbour) barrier.neighbours_bytes += s32(bytes);
    complete_phase_if_due(barrier, at);
}

void show_mbarriers(Warp& w, u32 lanes, bool to_cluster) {
    u32 first = w.block->index * machine.threads + w.index * kWarpSize;
    for (auto& entry : mbarriers[w.block->index]) {
        Mbarrier& barrier = entry.second;
        u32 lane = barrier.initialiser - first;
        if (lane >= kWarpSize || !(lanes >> lane & 1)) continue;
        barrier.visible = true;
        if (!to_cluster || barrier.shown) continue;
        barrier.shown = true;
        barrier.shown_clock = w.clock;
    }
    if (machine.options.races && to_cluster) ++w.clock;
}

void show_mbarriers_to_cluster(u32 cluster) {
    for (u32 b = 0; b < machine.cluster_size; ++b)
        for (auto& entry : mbarriers[cluster * machine.cluster_size + b]) entry.second.shown_by_barrier = entry.second.shown;
}

void add_mbarriers(OpcodeTable& table) {
    for (const char* space : {".shared::cta", ".shared"}) {
        auto add = [&](const char* before, const char* signature, Handler run, u32 detail) {
            table.emplace(std::string(before) + space + ".b64", instruction(signature, run, detail));
        };
        add("mbarrier.init", "ar", initialise, 0);
        add("mbarrier.inval", "a", invalidate, 0);
        for (const char* order : {"", ".release.cta", ".release.cluster"}) {
            add((std::string("mbarrier.arrive") + order).c_str(), "Da", arrive, kArrives);
            add((std::string("mbarrier.arrive") + order).c_str(), "Dar", arrive, kArrives);
            add((std::string("mbarrier.arrive.expect_tx") + order).c_str(), "Dar", arrive, kArrives | kExpects);
        }
        for (const char* order : {"", ".acquire.cta", ".acquire.cluster"}) {
            add((std::string("mbarrier.try_wait.parity") + order).c_str(), "Par", wait, kTries);
            add((std::string("mbarrier.test_wait.parity") + order).c_str(), "Par", wait, kTests);
        }
        add("mbarrier.expect_tx.relaxed.cta", "ar", arrive, kExpects);
    }
    table.emplace("mbarrier.arrive.shared::cluster.b64", instruction("Da", arrive, kArrives));
    table.emplace("mbarrier.arrive.shared::cluster.b64", instruction("Dar", arrive, kArrives));
    table.emplace("mbarrier.arrive.expect_tx.shared::cluster.b64", instruction("Dar", arrive, kArrives | kExpects));
}

}  // namespace jmarlin::machine
