// Bulk copies: the destination is poisoned when one is issued. They land, and read their source, when nothing else can run;
// with the random schedule also earlier.
#include <cstring>

#include "async.hpp"
#include "mbarriers.hpp"
#include "memory.hpp"
#include "races_sm90.hpp"
#include "sm90.hpp"

namespace jmarlin::emulator {

namespace {

struct BulkCopy {
    Thread* issuer;
    Block* to;
    u32 destination;       // offset in its shared memory
    const u8* source;
    u32 bytes;
    u32 barrier;           // address in the block `to`
    Site site;

    bool from_neighbour() const { return to != issuer->block; }
    u32 source_offset() const { return static_cast<u32>(source - issuer->block->shared); }   // a neighbour's
};

std::vector<BulkCopy> bulk_copies;   // oldest first

std::size_t pick_bulk_copy() {
    switch (machine.options.schedule) {
        case Schedule::kRandom: return random_below(static_cast<u32>(bulk_copies.size()));
        case Schedule::kReversed: return bulk_copies.size() - 1;
        default: return 0;
    }
}

void check_multiple_of_16(u64 value, const char* what, const char* operation, Site site) {
    if (value % 16 != 0)
        fail(ErrorKind::kMisaligned, std::string(operation) + " at " + site_text(site) + ": " + what + " " + std::to_string(value) +
             " is not a multiple of 16");
}

void check_shared_range(u32 address, u32 bytes, const char* what, const char* operation, Site site) {
    u32 offset = address - kSharedBase;
    if (address < kSharedBase || offset > machine.shared_bytes || bytes > machine.shared_bytes - offset)
        fail(ErrorKind::kOutOfBounds, std::string(operation) + " of " + std::to_string(bytes) + " bytes at " + site_text(site) + ": " + what +
             " at shared memory byte " + std::to_string(offset) + " of " + std::to_string(machine.shared_bytes));
}

void issue(const BulkCopy& copy) {
    if (machine.options.races) issue_bulk_copy(*copy.to, copy.destination, copy.bytes, copy.site);
    std::memset(copy.to->shared + copy.destination, 0xff, copy.bytes);
    bulk_copies.push_back(copy);
}

/** Both blocks must be there until the end. */
bool ends_exist(const BulkCopy& copy) {
    for (const Block* block : {copy.issuer->block, copy.to}) {
        if (block->live_warps > 0) continue;
        report(ErrorKind::kOutOfBounds, "block " + std::to_string(block->index) + " exited while the bulk copy issued at " +
               site_text(copy.site) + " (" + thread_text(*copy.issuer) + (block == copy.to ? ") wrote" : ") read") + " its shared memory");
        return false;
    }
    return true;
}

}  // namespace

void begin_bulk_copies() { bulk_copies.clear(); }

void end_bulk_copies() {
    if (bulk_copies.empty()) return;
    report(ErrorKind::kAsyncCopy, "the kernel ended with " + std::to_string(bulk_copies.size()) + " bulk copies under way, the first issued at " +
           site_text(bulk_copies[0].site) + " (" + thread_text(*bulk_copies[0].issuer) + ")");
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
    check_shared_range(destination, bytes, "destination", "bulk_copy", site);
    u32 offset = destination - kSharedBase;
    if (machine.options.races) {
        if (allocation.words) race_global_read(allocation, source, bytes, site, true);
        check_proxy(*current->block, offset, bytes, "bulk_copy", site);
    }
    issue({current, current->block, offset, reinterpret_cast<const u8*>(source), bytes, barrier, site});
    if (machine.options.reads) machine.result->reads.push_back({current->block->index, source, bytes});
}

void bulk_copy_to_cluster(u32 mapped_destination, u32 source, u32 bytes, u32 mapped_barrier, Site site) {
    constexpr const char* kName = "bulk_copy_to_cluster";
    check_multiple_of_16(source, "source", kName, site);
    check_multiple_of_16(bytes, "size", kName, site);
    if (bytes == 0) fail(ErrorKind::kBadArgument, "bulk_copy_to_cluster at " + site_text(site) + " of 0 bytes");
    check_shared_range(source, bytes, "source", kName, site);
    Mapped to = cluster_access(mapped_destination, bytes, 16, kName, site);
    Mbarrier& barrier = find_mapped_mbarrier(mapped_barrier, kName, site);
    if (barrier.owner != to.owner || to.owner == current->block)
        fail(ErrorKind::kBadArgument, "bulk_copy_to_cluster at " + site_text(site) + " by block " + std::to_string(current->block->index) +
             " into block " + std::to_string(to.owner->index) + " counts on an mbarrier of block " +
             std::to_string(barrier.owner->index) + ": both must belong to the same other block");
    u32 from = source - kSharedBase;
    u32 offset = to.address - kSharedBase;
    if (machine.options.races) {
        check_proxy(*current->block, from, bytes, kName, site);
        check_proxy(*to.owner, offset, bytes, kName, site);
        begin_source_read(from, bytes, *to.owner, barrier.number, site);
    }
    issue({current, to.owner, offset, current->block->shared + from, bytes, barrier.address, site});
}

void proxy_fence() {
    show_mbarriers(false);
    if (machine.options.races) fence_proxy();
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
    if (!ends_exist(copy)) return true;
    std::memcpy(copy.to->shared + copy.destination, copy.source, copy.bytes);
    Mbarrier& barrier = mbarrier_of(*copy.to, copy.barrier, "bulk copy", copy.site);
    if (machine.options.races) {
        land_bulk_copy(*copy.to, copy.destination, copy.bytes, barrier.number, barrier.phase + 1);
        if (copy.from_neighbour())
            end_source_read(*copy.issuer->block, copy.source_offset(), copy.bytes, *copy.to, barrier.number, barrier.phase + 1);
    }
    complete_bytes(barrier, copy.bytes, copy.from_neighbour(), copy.site);
    return true;
}

}  // namespace jmarlin::emulator
