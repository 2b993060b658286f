// Barriers and fences (Parallel Thread Execution ISA 9.0, 9.7.13.1 bar, 9.7.13.2 bar.warp.sync, 9.7.13.4 barrier.cluster, membar and
// fence), and setmaxnreg (9.7.19.5), for which a warpgroup waits like at a barrier.
#include <algorithm>

#include "clocks.hpp"
#include "lanewise.hpp"
#include "mbarriers.hpp"
#include "products.hpp"

namespace jmarlin::machine {

namespace {

// ---- Warps and blocks ----

Next warp_barrier(Warp& w, const Instruction& i, u32 lanes) {
    u32 mask = uniform_32(w, i, i.operands[0], lanes);
    if ((lanes & ~mask) != 0) fail(ErrorKind::kDivergence, w, first_lane(lanes & ~mask), i, "a lane that its mask " + hex(mask) + " does not name");
    if ((mask & ~lanes) != 0) return Next::kMeet;
    meet_lanes(w, mask);
    return Next::kGo;
}

void open_barrier(NamedBarrier& barrier) {
    if (machine.options.races) {
        std::vector<Party> parties;
        for (Warp* each : barrier.warps) parties.push_back({each, kAllLanes});
        for (Warp* each : barrier.arrived) parties.push_back({each, kAllLanes});
        synchronise(parties);
    }
    std::vector<Warp*> released;
    released.swap(barrier.warps);
    barrier.arrived.clear();
    barrier.threads = 0;
    for (Warp* each : released) release(*each);
}

/** Without a number of threads all warps of the block that are alive take part. */
void open_if_complete(Block& block, NamedBarrier& barrier) {
    std::size_t here = barrier.warps.size() + barrier.arrived.size();
    if (here == 0) return;
    std::size_t needed = barrier.threads ? barrier.threads / kWarpSize : block.live_warps;
    if (here >= needed) open_barrier(barrier);
}

Next enter_barrier(Warp& w, const Instruction& i, u32 number, u32 threads, bool waits) {
    NamedBarrier& barrier = w.block->barriers[number];
    bool first = barrier.warps.empty() && barrier.arrived.empty();
    if (first) barrier.threads = threads;
    if (barrier.threads != threads)
        fail(ErrorKind::kBadArgument, w, 0, i, "barrier " + std::to_string(number) + " for " + std::to_string(threads) + " threads, others wait in it for " +
             std::to_string(barrier.threads));
    if (!waits) {
        barrier.arrived.push_back(&w);
        open_if_complete(*w.block, barrier);
        return Next::kGo;
    }
    w.blocked = true;    // until the last to come releases it
    barrier.warps.push_back(&w);
    open_if_complete(*w.block, barrier);
    return Next::kBlock;
}

/** bar.sync a {, b} and bar.arrive a, b. */
template <bool kWaits>
Next block_barrier(Warp& w, const Instruction& i, u32 lanes) {
    u32 number = uniform_32(w, i, i.operands[0], lanes);
    u32 threads = i.count > 1 ? uniform_32(w, i, i.operands[1], lanes) : 0;
    if (number > 15) fail(ErrorKind::kBadArgument, w, 0, i, "barrier " + std::to_string(number) + " of 16");
    if (i.count > 1 && (threads == 0 || threads % kWarpSize != 0 || threads > machine.threads))
        fail(ErrorKind::kBadArgument, w, 0, i, std::to_string(threads) + " threads are no whole warps of the block's " + std::to_string(machine.threads));
    return enter_barrier(w, i, number, threads, kWaits);
}

// ---- Clusters ----

void open_cluster_if_complete(u32 number) {
    Cluster& cluster = machine.clusters[number];
    u32 live = 0;
    for (u32 b = 0; b < machine.cluster_size; ++b) live += machine.blocks[number * machine.cluster_size + b].live_warps;
    if (cluster.arrived == 0 || cluster.arrived != live) return;
    show_mbarriers_to_cluster(number);
    cluster.passed = std::move(cluster.gathered);
    cluster.arrived = 0;
    ++cluster.phase;
    std::vector<Warp*> released;
    released.swap(cluster.waiting);
    for (Warp* each : released) {
        if (cluster.passed) learn_from_cluster(*cluster.passed, *each);
        release(*each);
    }
}

enum Arrival { kArrive, kArriveRelaxed };

Next cluster_arrive(Warp& w, const Instruction& i, u32) {
    u32 number = w.block->index / machine.cluster_size;
    Cluster& cluster = machine.clusters[number];
    if (w.arrived_at_cluster) fail(ErrorKind::kBadArgument, w, 0, i, "arrives again before it has waited");
    ++cluster.arrived;
    w.arrived_at_cluster = true;
    w.cluster_phase = cluster.phase;
    // A relaxed arrival publishes nothing but the mbarriers that fence.mbarrier_init made ready; any other what came before it.
    if (machine.options.races && i.opcode->detail == kArrive) {
        if (!cluster.gathered) cluster.gathered = std::make_shared<Knowledge>();
        publish_to_cluster(*cluster.gathered, w);
    }
    open_cluster_if_complete(number);
    return Next::kGo;
}

Next cluster_wait(Warp& w, const Instruction& i, u32) {
    Cluster& cluster = machine.clusters[w.block->index / machine.cluster_size];
    if (!w.arrived_at_cluster) fail(ErrorKind::kBadArgument, w, 0, i, "waits without having arrived");
    w.arrived_at_cluster = false;
    if (w.cluster_phase != cluster.phase) {   // all have arrived
        if (cluster.passed) learn_from_cluster(*cluster.passed, w);
        return Next::kGo;
    }
    w.blocked = true;
    cluster.waiting.push_back(&w);
    return Next::kBlock;
}

// ---- Fences ----

Next fence_gpu(Warp& w, const Instruction&, u32 lanes) {
    if (machine.options.races)
        for (u32 lane : Lanes{lanes}) fence(w, lane);
    return Next::kGo;
}

Next fence_proxy(Warp& w, const Instruction&, u32 lanes) {
    show_mbarriers(w, lanes, false);
    if (machine.options.races)
        for (u32 lane : Lanes{lanes}) w.proxy_fence[lane] = w.clock;
    if (machine.options.races) ++w.clock;
    return Next::kGo;
}

Next fence_mbarrier_init(Warp& w, const Instruction&, u32 lanes) {
    show_mbarriers(w, lanes, true);
    return Next::kGo;
}

// ---- Registers of a warpgroup: a pool that starts with what the kernel was compiled for ----

constexpr u32 kWarpgroup = 4;

/** All registers that a block starts with: 64K by its threads, in steps of eight (what ptxas gives such a kernel). */
u32 initial_registers() { return std::min(65536 / machine.threads / 8 * 8, 255u); }

void grant_registers(Block& block) {
    auto& wanting = block.wants_registers;
    for (std::size_t n = 0; n < wanting.size();) {
        Warp& w = *wanting[n];
        u32 more = (w.wanted_registers - w.registers_per_thread) * kWarpSize;
        if (more > block.free_registers) {
            ++n;
            continue;
        }
        block.free_registers -= more;
        w.registers_per_thread = w.wanted_registers;
        wanting.erase(wanting.begin() + static_cast<std::ptrdiff_t>(n));
        release(w);
    }
}

template <bool kIncrease>
Next set_registers(Warp& w, const Instruction& i, u32) {
    u32 count = static_cast<u32>(i.operands[0].offset);
    if (count < 24 || count > 256 || count % 8 != 0)
        fail(ErrorKind::kBadArgument, w, 0, i, std::to_string(count) + " registers are no multiple of 8 from 24 to 256");
    ++w.register_changes;
    if (w.registers_per_thread == 0) w.registers_per_thread = initial_registers();
    if (kIncrease ? count < w.registers_per_thread : count > w.registers_per_thread)
        fail(ErrorKind::kBadArgument, w, 0, i, "from " + std::to_string(w.registers_per_thread) + " registers to " + std::to_string(count));
    if (!kIncrease) {
        w.block->free_registers += (w.registers_per_thread - count) * kWarpSize;
        w.registers_per_thread = count;
        grant_registers(*w.block);
        return Next::kGo;
    }
    w.wanted_registers = count;
    w.block->wants_registers.push_back(&w);
    w.blocked = true;
    grant_registers(*w.block);
    return Next::kBlock;
}

}  // namespace

void meet_lanes(Warp& w, u32 lanes) {
    if (machine.options.races) synchronise({{&w, lanes}});
}

void warp_exits(Warp& w) {
    check_products_at_exit(w);
    Block& block = *w.block;
    --block.live_warps;
    --machine.live_warps;
    w.blocked = true;
    // Who has exited is no longer waited for.
    for (NamedBarrier& barrier : block.barriers) open_if_complete(block, barrier);
    open_cluster_if_complete(block.index / machine.cluster_size);
    if (w.registers_per_thread) {
        block.free_registers += w.registers_per_thread * kWarpSize;
        grant_registers(block);
    }
    if (block.live_warps > 0) return;
    for (Warp& each : block.warps)
        if (each.register_changes != block.warps[each.index / kWarpgroup * kWarpgroup].register_changes)
            record(ErrorKind::kDivergence, thread_text(each, 0) + " did not execute setmaxnreg as often as the first warp of its warpgroup");
    block_exits(block);
}

void add_barriers(OpcodeTable& table) {
    table.emplace("bar.warp.sync", instruction("r", warp_barrier));
    for (const char* name : {"bar.sync", "barrier.sync.aligned", "bar.cta.sync", "barrier.cta.sync.aligned"}) {
        table.emplace(name, aligned("r", block_barrier<true>));
        table.emplace(name, aligned("rr", block_barrier<true>));
    }
    for (const char* name : {"bar.arrive", "barrier.arrive.aligned"}) table.emplace(name, aligned("rr", block_barrier<false>));

    for (const char* name : {"barrier.cluster.arrive", "barrier.cluster.arrive.release", "barrier.cluster.arrive.aligned", "barrier.cluster.arrive.release.aligned"})
        table.emplace(name, aligned("", cluster_arrive, kArrive));
    for (const char* name : {"barrier.cluster.arrive.relaxed", "barrier.cluster.arrive.relaxed.aligned"})
        table.emplace(name, aligned("", cluster_arrive, kArriveRelaxed));
    for (const char* name : {"barrier.cluster.wait", "barrier.cluster.wait.acquire", "barrier.cluster.wait.aligned", "barrier.cluster.wait.acquire.aligned"})
        table.emplace(name, aligned("", cluster_wait));

    for (const char* name : {"membar.gl", "membar.cta", "membar.sys", "fence.acq_rel.gpu", "fence.acq_rel.cta", "fence.acq_rel.sys", "fence.acq_rel.cluster",
                             "fence.sc.gpu", "fence.sc.cta", "fence.sc.sys", "fence.sc.cluster"})
        table.emplace(name, instruction("", fence_gpu));
    for (const char* name : {"fence.proxy.async", "fence.proxy.async.shared::cta", "fence.proxy.async.global"})
        table.emplace(name, instruction("", fence_proxy));
    table.emplace("fence.mbarrier_init.release.cluster", instruction("", fence_mbarrier_init));

    table.emplace("setmaxnreg.dec.sync.aligned.u32", aligned("i", set_registers<false>));
    table.emplace("setmaxnreg.inc.sync.aligned.u32", aligned("i", set_registers<true>));
}

}  // namespace jmarlin::machine
