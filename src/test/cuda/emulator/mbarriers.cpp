#include "mbarriers.hpp"

#include <unordered_map>

#include "memory.hpp"
#include "races_sm90.hpp"
#include "sm90.hpp"

namespace jmarlin::emulator {

namespace {

std::vector<std::unordered_map<u32, Mbarrier>> mbarriers;   // by block, then address
std::vector<u32> made;                                      // by cluster

void complete_phase_if_due(Mbarrier& barrier) {
    if (barrier.pending == 0 && barrier.bytes < 0)
        report(ErrorKind::kAsyncCopy, "phase " + std::to_string(barrier.phase) + " of an mbarrier of block " +
               std::to_string(barrier.owner->index) + " has all its arrivals, but " + std::to_string(-barrier.bytes) +
               " bytes more landed than were announced");
    if (barrier.pending != 0 || barrier.bytes != 0) return;
    ++barrier.phase;
    barrier.pending = barrier.count;
    barrier.neighbours_bytes = 0;
    if (machine.options.races) {
        join(barrier.completed, barrier.arriving);
        add_phases(barrier.completed, barrier.number, barrier.phase);
        barrier.arriving = {};
    }
    for (Thread* thread : barrier.waiting) wake(*thread);
    barrier.waiting.clear();
}

void arrive_at(Mbarrier& barrier, u32 expected_bytes, const char* operation, Site site) {
    if (barrier.pending == 0)
        fail(ErrorKind::kBadArgument, std::string(operation) + " at " + site_text(site) + ": all " + std::to_string(barrier.count) +
             " arrivals of phase " + std::to_string(barrier.phase) + " were there already");
    if (expected_bytes > u32(kLargestTransaction) || barrier.bytes + s32(expected_bytes) > kLargestTransaction)
        fail(ErrorKind::kBadArgument, std::string(operation) + " at " + site_text(site) + ": " +
             std::to_string(s64(barrier.bytes) + expected_bytes) + " expected bytes");
    barrier.bytes += s32(expected_bytes);
    if (machine.options.races) publish(barrier.arriving, *barrier.owner);
    --barrier.pending;
    complete_phase_if_due(barrier);
}

}  // namespace

void begin_mbarriers() {
    mbarriers.assign(machine.grid, {});
    made.assign(machine.grid / machine.options.cluster, 0);
}

Mbarrier& mbarrier_of(Block& block, u32 address, const char* operation, Site site) {
    auto& of_block = mbarriers[block.index];
    auto found = of_block.find(address);
    if (found == of_block.end())
        fail(ErrorKind::kBadArgument, std::string(operation) + " at " + site_text(site) + ": there is no mbarrier at shared memory byte " +
             std::to_string(address - kSharedBase) + " of block " + std::to_string(block.index));
    return found->second;
}

Mbarrier& find_mbarrier(u32 address, const char* operation, Site site) {
    shared_access(address, {operation, 8, false, site});    // bounds, alignment, and that the initialisation came first
    return mbarrier_of(*current->block, address, operation, site);
}

Mbarrier& find_mapped_mbarrier(u32 mapped_address, const char* operation, Site site) {
    Mapped at = cluster_access(mapped_address, 8, 8, operation, site);
    Mbarrier& barrier = mbarrier_of(*at.owner, at.address, operation, site);
    if (at.owner == current->block) {
        shared_access(at.address, {operation, 8, false, site});
        return barrier;
    }
    if (!barrier.shown)
        report(ErrorKind::kProxy, std::string(operation) + " at " + site_text(site) + " (" + thread_text(*current) +
               ") uses an mbarrier of block " + std::to_string(at.owner->index) + " that no fence_mbarrier_init followed");
    else if (machine.options.races && !ordered(*current, barrier.initialiser, barrier.shown_clock))
        report(ErrorKind::kRace, std::string(operation) + " at " + site_text(site) + " (" + thread_text(*current) +
               ") uses an mbarrier of block " + std::to_string(at.owner->index) +
               ", but nothing orders its initialisation and fence_mbarrier_init before: a race");
    return barrier;
}

void complete_bytes(Mbarrier& barrier, u32 bytes, bool from_neighbour, Site site) {
    // A block's own copies follow their announcement; a neighbour's may be here first, and be announced to it later.
    s32 announced = barrier.bytes + barrier.neighbours_bytes;
    if (!from_neighbour && announced < s32(bytes)) {
        report(ErrorKind::kAsyncCopy, "a bulk copy of " + std::to_string(bytes) + " bytes issued at " + site_text(site) +
               " lands on an mbarrier that expects " + std::to_string(announced));
        return;
    }
    if (barrier.bytes - s32(bytes) < -kLargestTransaction) {
        report(ErrorKind::kAsyncCopy, "a bulk copy of " + std::to_string(bytes) + " bytes issued at " + site_text(site) +
               " is more than its mbarrier can count, where " + std::to_string(-barrier.bytes) + " bytes landed before they were announced");
        return;
    }
    barrier.bytes -= s32(bytes);
    if (from_neighbour) barrier.neighbours_bytes += s32(bytes);
    complete_phase_if_due(barrier);
}

void mbarrier_init(u32 barrier, u32 count, Site site) {
    shared_access(barrier, {"mbarrier_init", 8, true, site});
    if (count == 0 || count > u32(kLargestTransaction))
        fail(ErrorKind::kBadArgument, "mbarrier_init at " + site_text(site) + ": count " + std::to_string(count));
    Mbarrier fresh{};
    fresh.owner = current->block;
    fresh.address = barrier;
    fresh.number = made[current->block->index / machine.options.cluster]++;
    fresh.initialiser = current->global_index;
    fresh.count = fresh.pending = count;
    mbarriers[current->block->index][barrier] = fresh;
}

void mbarrier_arrive(u32 barrier, u32 expected_bytes, Site site) {
    arrive_at(find_mbarrier(barrier, "mbarrier_arrive", site), expected_bytes, "mbarrier_arrive", site);
}

void mbarrier_arrive_cluster(u32 mapped_barrier, Site site) {
    Mbarrier& barrier = find_mapped_mbarrier(mapped_barrier, "mbarrier_arrive_cluster", site);
    if (machine.options.races && barrier.owner != current->block)
        race_remote_read(*barrier.owner, barrier.address - kSharedBase, 8, site);
    arrive_at(barrier, 0, "mbarrier_arrive_cluster", site);
}

void mbarrier_wait(u32 address, u32 parity, Site site) {
    Mbarrier& barrier = find_mbarrier(address, "mbarrier_wait", site);
    while (barrier.phase % 2 == parity) {
        barrier.waiting.push_back(current);
        sleep_lane(site);
    }
    if (machine.options.races) learn(barrier.completed);
}

void show_mbarriers(bool to_cluster) {
    for (auto& entry : mbarriers[current->block->index]) {
        Mbarrier& barrier = entry.second;
        if (barrier.initialiser != current->global_index) continue;
        barrier.visible = true;
        if (!to_cluster || barrier.shown) continue;
        barrier.shown = true;
        barrier.shown_clock = current->warp->clock;
    }
    if (machine.options.races && to_cluster) ++current->warp->clock;
}

}  // namespace jmarlin::emulator
