// mbarriers and the bulk copies they count, named barriers, clusters.
#include <cstring>
#include <map>
#include <unordered_map>

#include "async.hpp"
#include "counters.hpp"
#include "memory.hpp"
#include "races.hpp"
#include "sm90.hpp"

namespace jmarlin::emulator {

namespace {

constexpr s32 kLargestTransaction = (1 << 20) - 1;   // what the tx-count of an mbarrier can hold
constexpr u32 kMappedShift = 24;

struct Mbarrier {
    Block* owner;
    u32 count;
    u32 pending;                    // arrivals still missing in this phase
    s32 bytes;                      // expected and not yet landed; below 0 when those of another block come early
    u32 phase;                      // phases completed
    bool visible;                   // to the copy engine
    u32 initialiser;                // thread of the block
    Knowledge arriving, completed;
    std::vector<Thread*> waiting;
};

struct BulkCopy {
    Thread* issuer;
    Block* to;
    u32 destination;
    const u8* source;
    u32 bytes;
    u32 barrier;
    Site site;
};

struct NamedBarrier {
    std::vector<Warp*> warps;
    u32 threads = 0;
};

std::vector<std::unordered_map<u32, Mbarrier>> mbarriers;   // by block, then address
std::vector<std::map<u32, NamedBarrier>> named;             // by block, then number
std::vector<u32> at_cluster_barrier;                        // warps, by cluster
std::vector<BulkCopy> bulk_copies;                          // oldest first

Mbarrier& find_mbarrier(u32 address, const char* operation, Site site) {
    shared_access(address, {operation, 8, false, site});    // bounds, alignment, and that the initialisation came first
    auto& of_block = mbarriers[current->block->index];
    auto found = of_block.find(address);
    if (found == of_block.end())
        fail(ErrorKind::kBadArgument, std::string(operation) + " at " + site_text(site) + ": there is no mbarrier at shared memory byte " +
             std::to_string(address - kSharedBase));
    return found->second;
}

void complete_phase_if_due(Mbarrier& barrier) {
    if (barrier.pending == 0 && barrier.bytes < 0)
        report(ErrorKind::kAsyncCopy, "more bytes landed on an mbarrier in phase " + std::to_string(barrier.phase) + " than were announced: " +
               std::to_string(-barrier.bytes) + " too many, and all arrivals are there");
    if (barrier.pending != 0 || barrier.bytes != 0) return;
    ++barrier.phase;
    barrier.pending = barrier.count;
    if (machine.options.races) {
        join(barrier.completed, barrier.arriving);
        barrier.arriving = {};
    }
    for (Thread* thread : barrier.waiting) wake(*thread);
    barrier.waiting.clear();
}

/** A byte of another block's shared memory, or the own. */
struct Mapped {
    Block* owner;
    u32 address, offset;
};

Mapped resolve(u32 mapped_address, u32 bytes, u32 alignment, const char* operation, Site site) {
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
    return {&owner, address, offset};
}

Mbarrier& find_mapped_mbarrier(u32 mapped_address, const char* operation, Site site) {
    Mapped at = resolve(mapped_address, 8, 8, operation, site);
    auto& of_block = mbarriers[at.owner->index];
    auto found = of_block.find(at.address);
    if (found == of_block.end() || !found->second.visible)
        fail(ErrorKind::kBadArgument, std::string(operation) + " at " + site_text(site) + ": there is no mbarrier, or none that a " +
             "fence_mbarrier_init followed, at shared memory byte " + std::to_string(at.offset) + " of block " + std::to_string(at.owner->index));
    return found->second;
}

void arrive_at(Mbarrier& b, u32 expected_bytes, Site site) {
    if (b.pending == 0)
        fail(ErrorKind::kBadArgument, "mbarrier_arrive at " + site_text(site) + ": all " + std::to_string(b.count) +
             " arrivals of phase " + std::to_string(b.phase) + " were there already");
    b.bytes += static_cast<s32>(expected_bytes);
    if (b.bytes > kLargestTransaction)
        fail(ErrorKind::kBadArgument, "mbarrier_arrive at " + site_text(site) + ": " + std::to_string(b.bytes) + " expected bytes");
    if (machine.options.races) publish(b.arriving, *b.owner);
    --b.pending;
    complete_phase_if_due(b);
}

std::size_t pick_bulk_copy() {
    switch (machine.options.schedule) {
        case Schedule::kRandom: return random_below(static_cast<u32>(bulk_copies.size()));
        case Schedule::kReversed: return bulk_copies.size() - 1;
        default: return 0;
    }
}

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

void check_multiple_of_16(u64 value, const char* what, const char* operation, Site site) {
    if (value % 16 != 0)
        fail(ErrorKind::kMisaligned, std::string(operation) + " at " + site_text(site) + ": " + what + " " + std::to_string(value) +
             " is not a multiple of 16");
}

}  // namespace

void begin_sm90() {
    mbarriers.assign(machine.grid, {});
    named.assign(machine.grid, {});
    at_cluster_barrier.assign(machine.grid / machine.options.cluster, 0);
    bulk_copies.clear();
    begin_wgmma();
}

void end_sm90() {
    if (!machine.result->completed || bulk_copies.empty()) return;
    report(ErrorKind::kAsyncCopy, "the kernel ended with " + std::to_string(bulk_copies.size()) + " bulk copies under way, the first issued at " +
           site_text(bulk_copies[0].site) + " (" + thread_text(*bulk_copies[0].issuer) + ")");
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

const u8* cluster_access(u32 mapped_address, u32 bytes, const char* operation, Site site) {
    u32 rank_plus_1 = mapped_address >> kMappedShift;
    u32 address = mapped_address & ((1u << kMappedShift) - 1);
    u32 offset = address - kSharedBase;
    if (rank_plus_1 == 0 || rank_plus_1 > machine.options.cluster || address % bytes != 0 || address < kSharedBase ||
        offset > machine.shared_bytes - bytes)
        fail(ErrorKind::kOutOfBounds, std::string(operation) + " at " + site_text(site) + ": " + std::to_string(mapped_address) +
             " is not a mapped address of " + std::to_string(bytes) + " aligned bytes in the cluster's shared memory");
    Block& owner = machine.blocks[current->block->index / machine.options.cluster * machine.options.cluster + rank_plus_1 - 1];
    if (owner.live_warps == 0)
        fail(ErrorKind::kOutOfBounds, std::string(operation) + " at " + site_text(site) + " reads shared memory of block " +
             std::to_string(owner.index) + ", which has exited");
    if (machine.options.counters) current->warp->log->add(*current, operation, site, bytes, address, true);
    if (machine.options.races) {
        if (&owner == current->block) race_shared_read(*current, offset, bytes, site);
        else race_remote_read(owner, offset, bytes, site);
    }
    return owner.shared + offset;
}

void mbarrier_init(u32 barrier, u32 count, Site site) {
    shared_access(barrier, {"mbarrier_init", 8, true, site});
    if (count == 0 || count > u32(kLargestTransaction))
        fail(ErrorKind::kBadArgument, "mbarrier_init at " + site_text(site) + ": count " + std::to_string(count));
    mbarriers[current->block->index][barrier] = {current->block, count, count, 0, 0, false, current->index, {}, {}, {}};
}

void mbarrier_arrive(u32 barrier, u32 expected_bytes, Site site) {
    arrive_at(find_mbarrier(barrier, "mbarrier_arrive", site), expected_bytes, site);
}

void mbarrier_arrive_cluster(u32 mapped_barrier, Site site) {
    arrive_at(find_mapped_mbarrier(mapped_barrier, "mbarrier_arrive_cluster", site), 0, site);
}

void mbarrier_wait(u32 barrier, u32 parity, Site site) {
    Mbarrier& b = find_mbarrier(barrier, "mbarrier_wait", site);
    while (b.phase % 2 == parity) {
        b.waiting.push_back(current);
        sleep_lane(site);
    }
    if (machine.options.races) learn(b.completed);
}

void mbarrier_wait_cluster(u32 barrier, u32 parity, Site site) { mbarrier_wait(barrier, parity, site); }

void show_mbarriers() {
    for (auto& entry : mbarriers[current->block->index])
        if (entry.second.initialiser == current->index) entry.second.visible = true;
}

void proxy_fence() {
    show_mbarriers();
    if (machine.options.races) fence_proxy();
}

void bulk_copy(u32 destination, u64 source, u32 bytes, u32 barrier, u64 policy, Site site) {
    check_policy(policy, site);
    check_multiple_of_16(destination, "destination", "bulk_copy", site);
    check_multiple_of_16(source, "source", "bulk_copy", site);
    check_multiple_of_16(bytes, "size", "bulk_copy", site);
    if (bytes == 0) fail(ErrorKind::kBadArgument, "bulk_copy at " + site_text(site) + " of 0 bytes");
    Mbarrier& b = find_mbarrier(barrier, "bulk_copy", site);
    if (!b.visible)
        report(ErrorKind::kProxy, "bulk_copy at " + site_text(site) + " uses an mbarrier that no fence_mbarrier_init followed");
    Allocation& allocation = find_allocation(source, bytes, "source of bulk_copy", site);
    u32 offset = destination - kSharedBase;
    if (destination < kSharedBase || offset > machine.shared_bytes || bytes > machine.shared_bytes - offset)
        fail(ErrorKind::kOutOfBounds, "bulk_copy of " + std::to_string(bytes) + " bytes at " + site_text(site) + " to shared memory byte " +
             std::to_string(offset) + " of " + std::to_string(machine.shared_bytes));
    if (machine.options.races) {
        if (allocation.words) race_global_read(allocation, source, bytes, site, true);
        check_proxy(*current->block, offset, bytes, "bulk_copy", site);
        issue_shared_copy(offset, bytes, site);
    }
    std::memset(current->block->shared + offset, 0xff, bytes);
    bulk_copies.push_back({current, current->block, offset, reinterpret_cast<const u8*>(source), bytes, barrier, site});
    if (machine.options.reads) machine.result->reads.push_back({current->block->index, source, bytes});
}

void bulk_copy_to_cluster(u32 mapped_destination, u32 source, u32 bytes, u32 mapped_barrier, Site site) {
    constexpr const char* kName = "bulk_copy_to_cluster";
    check_multiple_of_16(source, "source", kName, site);
    check_multiple_of_16(bytes, "size", kName, site);
    if (bytes == 0) fail(ErrorKind::kBadArgument, "bulk_copy_to_cluster at " + site_text(site) + " of 0 bytes");
    u32 source_offset = source - kSharedBase;
    if (source < kSharedBase || source_offset > machine.shared_bytes || bytes > machine.shared_bytes - source_offset)
        fail(ErrorKind::kOutOfBounds, "bulk_copy_to_cluster of " + std::to_string(bytes) + " bytes at " + site_text(site) +
             " from shared memory byte " + std::to_string(source_offset) + " of " + std::to_string(machine.shared_bytes));
    Mapped at = resolve(mapped_destination, bytes, 16, kName, site);
    Mbarrier& b = find_mapped_mbarrier(mapped_barrier, kName, site);
    if (b.owner != at.owner || at.owner == current->block)
        fail(ErrorKind::kBadArgument, "bulk_copy_to_cluster at " + site_text(site) + " by block " + std::to_string(current->block->index) +
             " into block " + std::to_string(at.owner->index) + " counts on an mbarrier of block " + std::to_string(b.owner->index) +
             ": both must belong to the same other block");
    if (machine.options.races) {
        race_shared_read(*current, source_offset, bytes, site);
        check_proxy(*current->block, source_offset, bytes, kName, site);
    }
    std::memset(at.owner->shared + at.offset, 0xff, bytes);
    bulk_copies.push_back({current, at.owner, at.offset, current->block->shared + source_offset, bytes,
                           mapped_barrier & ((1u << kMappedShift) - 1), site});
}

void bulk_prefetch(u64 source, u32 bytes, Site site) {
    check_multiple_of_16(source, "source", "bulk_prefetch_l2", site);
    check_multiple_of_16(bytes, "size", "bulk_prefetch_l2", site);
    find_allocation(source, bytes, "bulk_prefetch_l2", site);
    machine.result->prefetches.push_back({current->block->index, source, bytes});
}

bool deliver_bulk_copy() {
    if (bulk_copies.empty()) return false;
    std::size_t picked = pick_bulk_copy();
    BulkCopy copy = bulk_copies[picked];
    bulk_copies.erase(bulk_copies.begin() + static_cast<std::ptrdiff_t>(picked));
    if (copy.to->live_warps == 0) {
        report(ErrorKind::kOutOfBounds, "the bulk copy issued at " + site_text(copy.site) + " lands in block " + std::to_string(copy.to->index) +
               ", which has exited");
        return true;
    }
    bool remote = copy.to != copy.issuer->block;
    std::memcpy(copy.to->shared + copy.destination, copy.source, copy.bytes);
    Mbarrier& barrier = mbarriers[copy.to->index][copy.barrier];
    if (machine.options.races && !remote) complete_bulk_copy(*copy.issuer, copy.destination, copy.bytes, barrier.arriving);
    if (!remote && barrier.bytes < static_cast<s32>(copy.bytes)) {
        report(ErrorKind::kAsyncCopy, "a bulk copy of " + std::to_string(copy.bytes) + " bytes issued at " + site_text(copy.site) +
               " lands on an mbarrier that expects " + std::to_string(barrier.bytes));
        return true;
    }
    barrier.bytes -= static_cast<s32>(copy.bytes);
    complete_phase_if_due(barrier);
    return true;
}

}  // namespace jmarlin::emulator
