// A launch: the order in which warps run, which clusters are resident, and what happens when nothing can go on.
#include <algorithm>
#include <mutex>

#include "memory.hpp"
#include "races.hpp"
#include "mbarriers.hpp"

namespace jmarlin::machine {

Machine machine;

namespace {

std::mutex machine_lock;

constexpr u32 kNone = ~0u;
u32 next_cluster;        // to become resident
u32 last_warp;           // that ran

Warp& warp_of(u32 global_index) { return machine.blocks[global_index / machine.warps_per_block].warps[global_index % machine.warps_per_block]; }

void set_ready(const Warp& w, bool ready) {
    u64 bit = u64{1} << w.global_index % 64;
    u64& word = machine.ready[w.global_index / 64];
    word = ready ? word | bit : word & ~bit;
}

/** The first warp that can go on, from a number upwards, or the last below it. */
u32 next_ready(u32 from) {
    u32 words = static_cast<u32>(machine.ready.size());
    if (from >= words * 64) return kNone;
    u64 word = machine.ready[from / 64] & ~u64{0} << from % 64;
    for (u32 n = from / 64;; word = machine.ready[n]) {
        if (word) return n * 64 + static_cast<u32>(__builtin_ctzll(word));
        if (++n == words) return kNone;
    }
}

u32 last_ready(u32 below) {
    for (u32 n = (below + 63) / 64; n-- > 0;) {
        u64 word = machine.ready[n];
        if (n == below / 64) word &= (u64{1} << below % 64) - 1;
        if (word) return n * 64 + 63 - static_cast<u32>(__builtin_clzll(word));
    }
    return kNone;
}

u32 total_warps() { return machine.grid * machine.warps_per_block; }

u32 laggard;   // at random: the warp that runs only when none behind it can, and finds out what the others did without it

/** After a warp that gave up its turn by itself, the next one's is it: the first may be waiting for what others do. */
u32 pick_warp(bool yielded) {
    u32 found = kNone;
    switch (machine.options.schedule) {
        case Schedule::kGreedy:
            if (yielded) found = next_ready(last_warp + 1);
            return found != kNone ? found : next_ready(0);
        case Schedule::kReversed:
            if (yielded) found = last_ready(last_warp);
            return found != kNone ? found : last_ready(total_warps());
        case Schedule::kRoundRobin:
            found = next_ready(last_warp + 1);
            return found != kNone ? found : next_ready(0);
        case Schedule::kRandom:
            if (laggard == kNone || random_below(1000) == 0) laggard = random_below(total_warps());
            found = next_ready(random_below(total_warps()));
            if (found == kNone) found = next_ready(0);
            if (found == laggard && next_ready(found + 1) != kNone) found = next_ready(found + 1);
            return found;
    }
    return kNone;
}

/** Warp instructions until the next one's turn. */
u64 turn() {
    switch (machine.options.schedule) {
        case Schedule::kRoundRobin: return 5;
        case Schedule::kRandom: return 1 + random_below(60);
        default: return 100000;
    }
}

bool start_next_cluster() {
    if (next_cluster == machine.clusters.size()) return false;
    u32 number = machine.options.schedule == Schedule::kReversed ? static_cast<u32>(machine.clusters.size()) - 1 - next_cluster : next_cluster;
    ++next_cluster;
    for (u32 b = 0; b < machine.cluster_size; ++b)
        for (Warp& w : machine.blocks[number * machine.cluster_size + b].warps) set_ready(w, true);
    return true;
}

[[noreturn]] void fail_deadlock(const std::string& why) {
    std::string text = why;
    u32 listed = 0;
    for (Block& block : machine.blocks)
        for (Warp& w : block.warps) {
            if (w.groups.empty() || !block.started) continue;
            if (++listed <= 48) text += "\n    " + where_it_waits(w);
        }
    if (listed > 48) text += "\n    and " + std::to_string(listed - 48) + " warps more";
    record(ErrorKind::kDeadlock, text);
    throw Stop();
}

void prepare(const Program& program, const Entry& entry, const Shape& shape, const void* arguments, const Options& options, Result& result) {
    machine.code = &program.code(entry);
    machine.instructions = machine.code->instructions.data();
    machine.entry = &entry;
    machine.parameters = static_cast<const u8*>(arguments);
    machine.grid = shape.grid;
    machine.threads = shape.threads;
    machine.warps_per_block = shape.threads / kWarpSize;
    machine.shared_bytes = shape.shared_bytes + (machine.code->static_shared + 127) / 128 * 128;
    machine.cluster_size = entry.cluster;
    machine.options = options;
    machine.result = &result;
    machine.random_state = options.seed * 0x9e3779b97f4a7c15ull + 1;
    machine.live_warps = total_warps();
    machine.ready.assign(total_warps() / 64 + 1, 0);
    machine.checked.assign(machine.code->instructions.size(), false);
    machine.executed.assign(machine.code->instructions.size(), false);
    machine.clusters = std::vector<Cluster>(shape.grid / entry.cluster);
    for (Cluster& each : machine.clusters) each.live_blocks = entry.cluster;
    machine.blocks = std::vector<Block>(shape.grid);
    for (u32 b = 0; b < shape.grid; ++b) {
        Block& block = machine.blocks[b];
        block.index = b;
        block.live_warps = machine.warps_per_block;
        block.warps = std::vector<Warp>(machine.warps_per_block);
        for (u32 n = 0; n < machine.warps_per_block; ++n) {
            Warp& w = block.warps[n];
            w.block = &block;
            w.index = n;
            w.global_index = b * machine.warps_per_block + n;
            w.groups = {{0, kAllLanes, Group::kRunning}};
        }
    }
    machine.ended.clear();
    next_cluster = 0;
    last_warp = total_warps();
    laggard = kNone;
    forget_reports();
    snapshot_allocations();
    begin_counters();
    begin_mbarriers();
    begin_bulk_copies();
    begin_products();
    if (options.races) begin_races();
    u32 resident = options.clusters_at_once ? options.clusters_at_once : static_cast<u32>(machine.clusters.size());
    for (u32 n = 0; n < resident; ++n) start_next_cluster();
}

bool random_event(u32 one_in) { return machine.options.schedule == Schedule::kRandom && random_below(one_in) == 0; }

void run() {
    bool yielded = false;
    u64 turns = 0;
    while (machine.live_warps > 0) {
        if (machine.options.step_limit && machine.result->steps > machine.options.step_limit)
            fail_deadlock("given up after " + std::to_string(machine.result->steps) + " warp instructions");
        if (random_event(12) || ++turns % 4096 == 0) land_bulk_copy();   // who polls may wait for one
        if (random_event(12)) carry_out_a_product();
        u32 number = pick_warp(yielded);
        if (number == kNone) {
            if (!land_bulk_copy()) fail_deadlock("nothing can go on");
            continue;
        }
        Warp& w = warp_of(number);
        if (!w.block->started) start_block(*w.block);
        last_warp = number;
        u64 left = machine.options.step_limit ? std::min(turn(), machine.options.step_limit) : turn();
        run_warp(w, left);
        bool running = !w.blocked && std::any_of(w.groups.begin(), w.groups.end(), [](const Group& g) { return g.state == Group::kRunning; });
        set_ready(w, running);
        yielded = running;
        for (Block* block : machine.ended) end_block(*block);
        machine.ended.clear();
    }
}

void check_arguments(const Program& program, const Entry* entry, const std::string& name, const Shape& shape, std::size_t argument_bytes) {
    auto bad = [&](const std::string& what) {
        record(ErrorKind::kBadArgument, name + " of " + program.name() + ": " + what);
        throw Stop();
    };
    if (!entry) bad("there is no such entry");
    if (shape.threads == 0 || shape.threads % kWarpSize != 0 || shape.threads > entry->max_threads)
        bad(std::to_string(shape.threads) + " threads: whole warps, at most " + std::to_string(entry->max_threads));
    if (shape.grid == 0 || shape.grid % entry->cluster != 0)
        bad(std::to_string(shape.grid) + " blocks are no whole clusters of " + std::to_string(entry->cluster));
    if (argument_bytes != entry->parameter_bytes)
        bad(std::to_string(argument_bytes) + " bytes of arguments, the entry takes " + std::to_string(entry->parameter_bytes));
}

}  // namespace

void wake(Warp& w) {
    for (Group& g : w.groups)
        if (g.state == Group::kSleeping) g.state = Group::kRunning;
    set_ready(w, true);
}

void release(Warp& w) {
    w.blocked = false;
    set_ready(w, true);
}

void block_exits(Block& block) {
    Cluster& cluster = machine.clusters[block.index / machine.cluster_size];
    if (--cluster.live_blocks > 0) return;
    // Its pages go to the blocks that follow, once the whole cluster is gone.
    for (u32 b = 0; b < machine.cluster_size; ++b) machine.ended.push_back(&machine.block_of_rank(block, b));
    start_next_cluster();
}

u32 random_below(u32 bound) {
    u64& x = machine.random_state;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return static_cast<u32>((x >> 32) * bound >> 32);
}

Result launch(const Program& program, const std::string& name, const Shape& shape, const void* arguments, std::size_t argument_bytes, const Options& options) {
    std::lock_guard<std::mutex> hold(machine_lock);
    Result result;
    const Entry* entry = program.find(name);
    machine.result = &result;
    try {
        check_arguments(program, entry, name, shape, argument_bytes);
        prepare(program, *entry, shape, arguments, options, result);
        run();
        result.completed = true;
    } catch (const Stop&) {
        if (!entry || machine.blocks.empty()) return result;
    }
    if (result.completed) end_bulk_copies();
    if (options.races) end_races();
    end_counters();
    if (options.coverage) options.coverage->add(*entry, machine.executed);
    for (Block& block : machine.blocks) end_block(block);
    machine.blocks.clear();
    return result;
}

}  // namespace jmarlin::machine
