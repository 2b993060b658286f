// Named barriers and clusters.
#include <map>

#include "counters.hpp"
#include "races_sm90.hpp"
#include "sm90.hpp"

namespace jmarlin::emulator {

namespace {

constexpr u32 kMappedShift = 24;

struct NamedBarrier {
    std::vector<Warp*> warps;
    u32 threads = 0;
};

std::vector<std::map<u32, NamedBarrier>> named;             // by block, then number
std::vector<u32> at_cluster_barrier;                        // warps, by cluster

void release_cluster_if_complete(u32 cluster) {
    u32 first = cluster * machine.options.cluster;
    u32 live = 0;
    for (u32 b = 0; b < machine.options.cluster; ++b) live += machine.blocks[first + b].live_warps;
    if (at_cluster_barrier[cluster] != live) return;
    at_cluster_barrier[cluster] = 0;
    if (machine.options.races) synchronise_cluster(&machine.blocks[first], machine.options.cluster);
    for (u32 b = 0; b < machine.options.cluster; ++b)
        for (u32 w = 0; w < machine.warps_per_block; ++w)
            if (machine.blocks[first + b].warps[w].exited != kAllLanes) release(machine.blocks[first + b].warps[w]);
}

void perform_cluster_sync(Warp& warp) {
    block(warp);
    u32 cluster = warp.block->index / machine.options.cluster;
    ++at_cluster_barrier[cluster];
    release_cluster_if_complete(cluster);
}

void perform_named_barrier(Warp& warp) {
    const Post& post = warp.lanes[0].post;
    NamedBarrier& barrier = named[warp.block->index][post.value];
    if (barrier.warps.empty()) barrier.threads = post.other;
    if (barrier.threads != post.other)
        fail(ErrorKind::kBadArgument, "named barrier " + std::to_string(post.value) + " at " + site_text(warp.site) + " for " +
             std::to_string(post.other) + " threads, others wait in it for " + std::to_string(barrier.threads));
    barrier.warps.push_back(&warp);
    block(warp);
    if (barrier.warps.size() * kWarpSize < barrier.threads) return;
    if (machine.options.races) synchronise_warps(barrier.warps);
    for (Warp* each : barrier.warps) release(*each);
    barrier.warps.clear();
}

}  // namespace

void begin_sm90() {
    named.assign(machine.grid, {});
    at_cluster_barrier.assign(machine.grid / machine.options.cluster, 0);
    begin_mbarriers();
    begin_bulk_copies();
    begin_wgmma();
}

void end_sm90() {
    if (machine.result->completed) end_bulk_copies();
}

void collective_named_barrier(u32 id, u32 threads, Site site) {
    if (id == 0 || id > 15 || threads == 0 || threads % kWarpSize != 0 || threads > machine.threads)
        fail(ErrorKind::kBadArgument, "named_barrier_sync(" + std::to_string(id) + ", " + std::to_string(threads) + ") at " +
             site_text(site) + ": the number is 1 to 15, the threads whole warps of the block's " + std::to_string(machine.threads));
    current->post = {nullptr, nullptr, id, threads};
    arrive(Collective::kNamedBarrier, site, perform_named_barrier);
}

void collective_cluster_sync(Site site) { arrive(Collective::kClusterSync, site, perform_cluster_sync); }

u32 cluster_rank() { return current->block->index % machine.options.cluster; }

u32 cluster_address(u32 address, u32 rank, Site site) {
    if (rank >= machine.options.cluster)
        fail(ErrorKind::kBadArgument, "cluster_address at " + site_text(site) + ": rank " + std::to_string(rank) + " of a cluster of " +
             std::to_string(machine.options.cluster));
    return address | (rank + 1) << kMappedShift;
}

Mapped cluster_access(u32 mapped_address, u32 bytes, u32 alignment, const char* operation, Site site) {
    u32 rank_plus_1 = mapped_address >> kMappedShift;
    u32 address = mapped_address & ((1u << kMappedShift) - 1);
    u32 offset = address - kSharedBase;
    if (rank_plus_1 == 0 || rank_plus_1 > machine.options.cluster || address % alignment != 0 || address < kSharedBase ||
        bytes > machine.shared_bytes || offset > machine.shared_bytes - bytes)
        fail(ErrorKind::kOutOfBounds, std::string(operation) + " at " + site_text(site) + ": " + std::to_string(mapped_address) +
             " is not a mapped address of " + std::to_string(bytes) + " aligned bytes in the cluster's shared memory");
    Block& owner = machine.blocks[current->block->index / machine.options.cluster * machine.options.cluster + rank_plus_1 - 1];
    if (owner.live_warps == 0)
        fail(ErrorKind::kOutOfBounds, std::string(operation) + " at " + site_text(site) + " touches shared memory of block " +
             std::to_string(owner.index) + ", which has exited");
    return {&owner, address};
}

const u8* cluster_read(u32 mapped_address, u32 bytes, const char* operation, Site site) {
    Mapped at = cluster_access(mapped_address, bytes, bytes, operation, site);
    u32 offset = at.address - kSharedBase;
    if (machine.options.counters) current->warp->log->add(*current, operation, site, bytes, at.address, true);
    if (machine.options.races) {
        if (at.owner == current->block) race_shared_read(*current, offset, bytes, site);
        else race_remote_read(*at.owner, offset, bytes, site);
    }
    return at.owner->shared + offset;
}

}  // namespace jmarlin::emulator
