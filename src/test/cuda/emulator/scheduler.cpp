// Which lane runs next. Fibers switch straight to one another; the host runs again only when the launch is over.
#include "machine.hpp"

#include <algorithm>

#include "counters.hpp"
#include "races.hpp"
#include "sm90.hpp"

namespace jmarlin::emulator {

Machine machine;
Thread* current = nullptr;

namespace {

void set_ready(const Warp& warp, bool ready) {
    u64 bit = u64{1} << (warp.global_index % 64);
    u64& word = machine.ready[warp.global_index / 64];
    word = ready ? word | bit : word & ~bit;
}

u64 random_number() {  // xorshift64*
    u64& x = machine.random_state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    return x * 0x2545f4914f6cdd1dull;
}

/** The first ready warp at or after position, going round. */
Warp* ready_from(u32 position) {
    u32 words = static_cast<u32>(machine.ready.size());
    u32 word = position / 64;
    u64 bits = machine.ready[word] & (~u64{0} << (position % 64));
    for (u32 i = 0; i <= words; ++i) {
        if (bits) return &machine.warps[word * 64 + static_cast<u32>(__builtin_ctzll(bits))];
        word = word + 1 == words ? 0 : word + 1;
        bits = machine.ready[word];
    }
    return nullptr;
}

Warp* last_ready() {
    for (u32 word = static_cast<u32>(machine.ready.size()); word-- > 0;)
        if (u64 bits = machine.ready[word]) return &machine.warps[word * 64 + 63 - static_cast<u32>(__builtin_clzll(bits))];
    return nullptr;
}

/** Where the policy goes on when the warp that ran last cannot, or need not. */
Warp* pick_warp(u32 ran_last) {
    u32 count = static_cast<u32>(machine.warps.size());
    switch (machine.options.schedule) {
        case Schedule::kGreedy: return ready_from(0);
        case Schedule::kReversed: return last_ready();
        case Schedule::kRoundRobin: return ready_from((ran_last + 1) % count);
        case Schedule::kRandom: return ready_from(static_cast<u32>(random_number() >> 32) % count);
    }
    return nullptr;
}

/** Whether a warp that has just finished a collective keeps running. */
bool stays() {
    switch (machine.options.schedule) {
        case Schedule::kRoundRobin: return false;
        case Schedule::kRandom: return (random_number() >> 33) % 4 != 0;
        default: return true;
    }
}

Thread* pick_lane(Warp& warp) {
    u32 runnable = warp.runnable;
    if (machine.options.schedule == Schedule::kReversed)
        return &warp.lanes[31 - static_cast<u32>(__builtin_clz(runnable))];
    if (machine.options.schedule == Schedule::kRandom) {
        u32 turn = static_cast<u32>(random_number() >> 59);
        u32 rotated = (runnable >> turn) | (runnable << ((32 - turn) % 32));
        return &warp.lanes[(static_cast<u32>(__builtin_ctz(rotated)) + turn) % 32];
    }
    return &warp.lanes[__builtin_ctz(runnable)];
}

void switch_to(Thread* next) {
    Thread* self = current;
    if (next == self) return;
    current = next;
    fiber_switch(self->fiber, next->fiber);
}

[[noreturn]] void return_to_host() {
    Thread* self = current;
    fiber_switch(self->fiber, machine.host);
    __builtin_unreachable();
}

std::string lanes_text(u32 mask) {
    if (mask == kAllLanes) return "all lanes";
    std::string text = "lanes";
    for (u32 lane = 0; lane < kWarpSize; ++lane)
        if (mask >> lane & 1) text += " " + std::to_string(lane);
    return text;
}

/** The lanes that sleep one by one, outside collectives. */
u32 asleep(const Warp& warp) {
    u32 lanes = 0;
    for (u32 lane = 0; lane < kWarpSize; ++lane)
        if (warp.lanes[lane].asleep_at.file) lanes |= 1u << lane;
    return lanes;
}

[[noreturn]] void fail_deadlock(const std::string& why) {
    std::string text = why + ":";
    u32 listed = 0;
    for (const Warp& warp : machine.warps) {
        if (warp.exited == kAllLanes || ++listed > 32) continue;
        text += " [block " + std::to_string(warp.block->index) + ", warp " + std::to_string(warp.index) + ": ";
        if (warp.at_barrier) text += "all lanes in block_sync at " + site_text(warp.site);
        else if (warp.arrived)
            text += lanes_text(warp.arrived) + " in " + collective_name(warp.collective) + " at " + site_text(warp.site);
        if (u32 lanes = asleep(warp))
            text += (warp.arrived ? ", " : "") + lanes_text(lanes) + " waiting at " +
                    site_text(warp.lanes[__builtin_ctz(lanes)].asleep_at);
        if (!warp.at_barrier && warp.runnable) text += (warp.arrived ? ", " : "") + lanes_text(warp.runnable) + " can run";
        if (warp.exited) text += ", " + lanes_text(warp.exited) + " exited";
        text += "]";
    }
    if (listed > 32) text += " and " + std::to_string(listed - 32) + " more warps";
    fail(ErrorKind::kDeadlock, text);
}

/** Continues where the policy says, after a warp blocked, ended or had its turn. */
void leave(Warp& warp) {
    // The copy engine is late, unless the policy is random: then it may be early.
    if (machine.options.schedule == Schedule::kRandom && random_below(4) == 0) deliver_bulk_copy();
    Warp* next = pick_warp(warp.global_index);
    while (!next && machine.live_warps != 0 && deliver_bulk_copy()) next = pick_warp(warp.global_index);
    if (!next) {
        if (machine.live_warps == 0) {
            machine.result->completed = true;
            return_to_host();
        }
        fail_deadlock("nothing can run");
    }
    switch_to(pick_lane(*next));
}

/** Continues with another lane of the warp, or of another if none can run. */
void give_way(Warp& warp) {
    if (warp.runnable) {
        switch_to(pick_lane(warp));
    } else {
        set_ready(warp, false);
        leave(warp);
    }
}

void release_barrier_if_complete(Block& block) {
    if (block.live_warps == 0 || block.warps_at_barrier != block.live_warps) return;
    block.warps_at_barrier = 0;
    if (machine.options.races) synchronise_block(block);
    for (u32 w = 0; w < machine.warps_per_block; ++w)
        if (block.warps[w].at_barrier) release(block.warps[w]);
}

[[noreturn]] void exit_thread() {
    Thread& self = *current;
    Warp& warp = *self.warp;
    check_async_at_exit(self);
    check_wgmma_at_exit(self);
    machine.polls = 0;
    if (warp.arrived)
        fail(ErrorKind::kDivergence,
             "lane " + std::to_string(self.lane) + " exits while " + lanes_text(warp.arrived) + " wait in " +
             collective_name(warp.collective) + " at " + site_text(warp.site));
    warp.exited |= 1u << self.lane;
    warp.runnable &= ~(1u << self.lane);
    if (warp.runnable) switch_to(pick_lane(warp));
    if (warp.exited != kAllLanes) {
        set_ready(warp, false);   // the others sleep
        leave(warp);
    }

    // Only the last lane of a warp comes here: nobody waits in a collective and nobody is runnable.
    if (machine.options.counters) warp.log->flush();
    set_ready(warp, false);
    --machine.live_warps;
    --warp.block->live_warps;
    release_barrier_if_complete(*warp.block);
    leave(warp);
    __builtin_unreachable();
}

void run_thread() {
    machine.entry(machine.kernel, machine.args);
    exit_thread();
}

}  // namespace

const char* collective_name(Collective collective) {
    switch (collective) {
        case Collective::kNone: return "nothing";
        case Collective::kWarpSync: return "warp_sync";
        case Collective::kShuffle: return "shuffle";
        case Collective::kLdmatrix: return "ldmatrix";
        case Collective::kMma: return "mma";
        case Collective::kBlockSync: return "block_sync";
        case Collective::kNamedBarrier: return "named_barrier_sync";
        case Collective::kClusterSync: return "cluster_sync";
        case Collective::kWgmmaFence: return "wgmma_fence";
        case Collective::kWgmma: return "wgmma";
        case Collective::kWgmmaCommit: return "wgmma_commit";
        case Collective::kWgmmaWait: return "wgmma_wait";
    }
    return "?";
}

std::string thread_text(const Thread& thread) {
    return "block " + std::to_string(thread.block->index) + ", warp " + std::to_string(thread.warp->index) + ", lane " +
           std::to_string(thread.lane);
}

void report(ErrorKind kind, const std::string& text) {
    constexpr std::size_t kMost = 100;
    std::vector<Error>& errors = machine.result->errors;
    for (const Error& error : errors)
        if (error.kind == kind && error.text == text) return;
    if (errors.size() < kMost) errors.push_back({kind, text});
    else ++machine.result->suppressed;
}

void fail(const Thread& thread, ErrorKind kind, const std::string& text) {
    report(kind, thread_text(thread) + ": " + text);
    return_to_host();
}

void fail(ErrorKind kind, const std::string& text) { fail(*current, kind, text); }

void block(Warp& warp) {
    warp.runnable = 0;
    set_ready(warp, false);
}

void release(Warp& warp) {
    warp.at_barrier = false;
    warp.runnable = kAllLanes;
    set_ready(warp, true);
}

u32 random_below(u32 bound) { return static_cast<u32>(random_number() >> 33) % bound; }

void sleep_lane(Site site) {
    Warp& warp = *current->warp;
    current->asleep_at = site;
    warp.runnable &= ~(1u << current->lane);
    give_way(warp);
}

void wake(Thread& thread) {
    thread.asleep_at = {nullptr, 0};
    thread.warp->runnable |= 1u << thread.lane;
    set_ready(*thread.warp, true);
}

void arrive(Collective collective, Site site, Perform perform) {
    Thread& self = *current;
    Warp& warp = *self.warp;
    u32 bit = 1u << self.lane;
    if (__builtin_expect(warp.arrived == 0, false)) {
        warp.collective = collective;
        warp.site = site;
    } else if (bool same_place = collective == Collective::kWarpSync || warp.site == site;
               __builtin_expect(warp.collective != collective || !same_place, false)) {
        fail(ErrorKind::kDivergence, std::string("in ") + collective_name(collective) + " at " + site_text(site) + " while " +
             lanes_text(warp.arrived) + " wait in " + collective_name(warp.collective) + " at " + site_text(warp.site));
    }
    if (__builtin_expect(warp.exited != 0, false))
        fail(ErrorKind::kDivergence, std::string("in ") + collective_name(collective) + " at " + site_text(site) + " after " +
             lanes_text(warp.exited) + " exited");

    warp.arrived |= bit;
    warp.runnable &= ~bit;
    if (warp.arrived != kAllLanes) {
        give_way(warp);
        return;
    }

    warp.arrived = 0;
    warp.runnable = kAllLanes;
    machine.polls = 0;
    if (machine.options.counters) warp.log->flush();
    perform(warp);
    if (!warp.runnable || !stays()) leave(warp);
}

void poll(Site site) {
    constexpr u64 kTurn = 1000, kPatience = 1000000;
    u64 polls = ++machine.polls;
    if (polls % kTurn != 0) return;
    if (deliver_bulk_copy()) machine.polls = 0;   // what it polls for may depend on a copy
    if (polls > kPatience + kTurn * machine.warps.size() * kWarpSize)
        fail_deadlock("everything that runs only polls, here " + site_text(site));
    Warp& warp = *current->warp;
    u32 behind = warp.runnable & ~((2u << current->lane) - 1);   // the other lanes of the warp, then the other warps
    u32 next = (warp.global_index + 1) % static_cast<u32>(machine.warps.size());
    switch_to(behind ? &warp.lanes[__builtin_ctz(behind)] : pick_lane(*ready_from(next)));
}

void enter_block_barrier(Warp& warp) {
    warp.at_barrier = true;
    block(warp);
    ++warp.block->warps_at_barrier;
    release_barrier_if_complete(*warp.block);
}

void run_machine() {
    Machine& m = machine;
    m.warps_per_block = m.threads / kWarpSize;
    u32 warps = m.grid * m.warps_per_block;
    m.live_warps = warps;
    m.polls = 0;
    m.random_state = m.options.seed * 0x9e3779b97f4a7c15ull | 1;
    m.blocks.resize(m.grid);
    m.warps.resize(warps);
    if (m.thread_pool.size() < warps * kWarpSize) m.thread_pool.resize(warps * kWarpSize);
    m.stacks.reserve(warps * kWarpSize);
    m.ready.assign((warps + 63) / 64, 0);

    for (u32 b = 0; b < m.grid; ++b) {
        Block& block = m.blocks[b];
        block.warps = &m.warps[b * m.warps_per_block];
        block.index = b;
        block.live_warps = m.warps_per_block;
        block.warps_at_barrier = 0;
        for (u32 w = 0; w < m.warps_per_block; ++w) {
            Warp& warp = block.warps[w];
            warp.block = &block;
            warp.index = w;
            warp.global_index = b * m.warps_per_block + w;
            warp.lanes = &m.thread_pool[warp.global_index * kWarpSize];
            warp.arrived = warp.exited = 0;
            release(warp);
            for (u32 lane = 0; lane < kWarpSize; ++lane) {
                Thread& thread = warp.lanes[lane];
                thread.block = &block;
                thread.warp = &warp;
                thread.index = w * kWarpSize + lane;
                thread.lane = lane;
                thread.global_index = warp.global_index * kWarpSize + lane;
                thread.async.clear();
                thread.asleep_at = {nullptr, 0};
                thread.proxy_fence = 0;
                fiber_prepare(thread.fiber, m.stacks.stack(thread.global_index), FiberStacks::kBytes, run_thread);
            }
        }
    }
    begin_sm90();
    if (m.options.races) begin_races();
    if (m.options.counters) begin_counters();

    current = pick_lane(*pick_warp(warps - 1));
    fiber_switch(m.host, current->fiber);
    current = nullptr;

    for (u32 i = 0; i < warps * kWarpSize; ++i)
        if (m.stacks.overflowed(i))
            report(ErrorKind::kStackOverflow, thread_text(m.thread_pool[i]) + ": the kernel needs more than " +
                   std::to_string(FiberStacks::kBytes) + " bytes of stack");
    end_sm90();
    if (m.options.races) end_races();
    if (m.options.counters) end_counters();
}

}  // namespace jmarlin::emulator
