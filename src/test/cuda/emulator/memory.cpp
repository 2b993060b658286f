#include "memory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <sys/mman.h>

#include "counters.hpp"
#include "races.hpp"

namespace jmarlin::emulator {

namespace {

constexpr std::size_t kPage = 4096;

std::mutex allocations_lock;
std::map<u64, Allocation> allocations;   // by first address
std::map<u64, u64> freed;                // first address to end: addresses are never used twice

/** The launch's own view of them: sorted, and a cache in front for the search. */
std::vector<Allocation*> in_launch;
Allocation* recent[256];

/** Address space of all device memory, so that a freed allocation stays unmapped for good. */
struct Arena {
    u64 next = 0;
    u64 end = 0;

    Arena() {
        for (std::size_t bytes = std::size_t{1} << 42; bytes >= std::size_t{1} << 32 && !next; bytes >>= 1) {
            void* region = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (region == MAP_FAILED) continue;
            next = reinterpret_cast<u64>(region);
            end = next + bytes;
        }
    }
};

std::string hex(u64 value) {
    char text[32];
    std::snprintf(text, sizeof text, "0x%llx", value);
    return text;
}

std::string describe(const char* operation, u64 address, u32 bytes, Site site) {
    return std::string(operation) + " of " + std::to_string(bytes) + " bytes at " + hex(address) + " (" + site_text(site) + ")";
}

/** What there is around an address that no buffer of this launch holds. */
std::string surroundings(u64 address, u32 bytes) {
    std::lock_guard<std::mutex> hold(allocations_lock);
    auto after = allocations.upper_bound(address);
    auto gone = freed.upper_bound(address);
    if (after != allocations.begin() && address < std::prev(after)->second.end &&
        std::prev(after)->second.device != machine.options.device) {
        return " is memory of device " + std::to_string(std::prev(after)->second.device) + ", the kernel runs on device " +
                std::to_string(machine.options.device);
    } else if (gone != freed.begin() && address < std::prev(gone)->second) {
        return " is in freed memory [" + hex(std::prev(gone)->first) + ", " + hex(std::prev(gone)->second) + ")";
    } else if (after != allocations.begin() && address < std::prev(after)->second.end + (u64{1} << 30)) {
        const Allocation& near = std::prev(after)->second;
        return " is outside the nearest buffer below, [" + hex(near.begin) + ", " + hex(near.end) + "): " +
                std::to_string(static_cast<s64>(address + bytes - near.end)) + " bytes past its end";
    }
    return " is in no buffer";
}

// fail() never returns, nor does it unwind: no lock may be held here.
[[noreturn]] void fail_unknown(u64 address, u32 bytes, const char* operation, Site site) {
    fail(ErrorKind::kOutOfBounds, describe(operation, address, bytes, site) + surroundings(address, bytes));
}

[[noreturn]] void fail_misaligned(const Thread& thread, u64 address, const Access& access) {
    fail(thread, ErrorKind::kMisaligned, describe(access.operation, address, access.bytes, access.site) +
         ": the address is not a multiple of " + std::to_string(access.bytes));
}

Allocation& checked(u64 address, const Access& access) {
    if (__builtin_expect(address % access.bytes != 0, false)) fail_misaligned(*current, address, access);
    Allocation& allocation = find_allocation(address, access.bytes, access.operation, access.site);
    if (access.write && allocation.role == Role::kInput)
        fail(ErrorKind::kReadOnly, describe(access.operation, address, access.bytes, access.site) + " writes into an input");
    if (machine.options.counters)
        current->warp->log->add(*current, access.operation, access.site, access.bytes, address, false);
    return allocation;
}

}  // namespace

u64 allocate(std::size_t bytes, Role role, u32 device) {
    std::lock_guard<std::mutex> hold(allocations_lock);
    static Arena arena;
    if (bytes > arena.end - arena.next) return 0;
    std::size_t mapped = (bytes + kPage - 1) / kPage * kPage;
    if (mapped + kPage > arena.end - arena.next) return 0;
    void* at = reinterpret_cast<void*>(arena.next);
    constexpr int kInPlace = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (mapped && mmap(at, mapped, PROT_READ | PROT_WRITE, kInPlace, -1, 0) == MAP_FAILED)
        return 0;
    u64 address = arena.next;
    arena.next += mapped + kPage;
    allocations[address] = {address, address + bytes, role, device, false, nullptr};
    return address;
}

bool adopt(u64 address, std::size_t bytes, u32 device) {
    std::lock_guard<std::mutex> hold(allocations_lock);
    auto after = allocations.lower_bound(address);
    if (after != allocations.end() && after->first < address + bytes) return false;
    if (after != allocations.begin() && std::prev(after)->second.end > address) return false;
    allocations[address] = {address, address + bytes, Role::kInOut, device, true, nullptr};
    return true;
}

bool deallocate(u64 address) {
    std::lock_guard<std::mutex> hold(allocations_lock);
    auto found = allocations.find(address);
    if (found == allocations.end()) return false;
    const Allocation& allocation = found->second;
    std::size_t bytes = allocation.end - allocation.begin;
    std::size_t mapped = (bytes + kPage - 1) / kPage * kPage;
    if (mapped && !allocation.adopted)
        mmap(reinterpret_cast<void*>(address), mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (allocation.words) munmap(allocation.words, (bytes / GlobalWord::kBytes + 1) * sizeof(GlobalWord));
    if (!allocation.adopted) freed[address] = allocation.end;
    allocations.erase(found);
    return true;
}

bool is_device_memory(u64 address, std::size_t bytes) {
    std::lock_guard<std::mutex> hold(allocations_lock);
    auto after = allocations.upper_bound(address);
    if (after == allocations.begin()) return false;
    const Allocation& allocation = std::prev(after)->second;
    return address <= allocation.end && bytes <= allocation.end - address;
}

void snapshot_allocations() {
    std::lock_guard<std::mutex> hold(allocations_lock);
    in_launch.clear();
    for (auto& entry : allocations)
        if (entry.second.device == machine.options.device || entry.second.device == kAnyDevice)
            in_launch.push_back(&entry.second);
    std::fill(std::begin(recent), std::end(recent), nullptr);
}

Allocation& find_allocation(u64 address, u32 bytes, const char* operation, Site site) {
    Allocation*& cached = recent[(address >> 14) % 256];
    if (__builtin_expect(cached && address >= cached->begin && address <= cached->end - bytes, true)) return *cached;
    auto after = std::upper_bound(in_launch.begin(), in_launch.end(), address,
                                  [](u64 a, const Allocation* allocation) { return a < allocation->begin; });
    if (after == in_launch.begin()) fail_unknown(address, bytes, operation, site);
    Allocation* allocation = *std::prev(after);
    if (address > allocation->end - bytes) fail_unknown(address, bytes, operation, site);
    if (machine.options.races && !allocation->words && allocation->role != Role::kInput) {
        std::size_t words = (allocation->end - allocation->begin) / GlobalWord::kBytes + 1;
        void* region = mmap(nullptr, words * sizeof(GlobalWord), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (region == MAP_FAILED) fail(ErrorKind::kBadArgument, "no memory for the race detector");
        allocation->words = static_cast<GlobalWord*>(region);
    }
    cached = allocation;
    return *allocation;
}

u8* global_access(u64 address, const Access& access) {
    Allocation& allocation = checked(address, access);
    if (machine.options.races && allocation.words) {
        if (access.write) race_global_write(allocation, address, access.bytes, access.site, false);
        else race_global_read(allocation, address, access.bytes, access.site, true);
    }
    return reinterpret_cast<u8*>(address);
}

u8* global_read_only_access(u64 address, const Access& access) {
    Allocation& allocation = checked(address, access);
    if (machine.options.races && allocation.words) race_global_read(allocation, address, access.bytes, access.site, false);
    return reinterpret_cast<u8*>(address);
}

u32 atomic_inc(u64 address, u32 last, Site site) {
    poll(site);
    Allocation& allocation = checked(address, {"atomic_inc_acq_rel", 4, true, site});
    if (machine.options.races && allocation.words) {
        race_global_write(allocation, address, 4, site, true);
        synchronise_atomic(address);
    }
    u32 old;
    std::memcpy(&old, reinterpret_cast<void*>(address), 4);
    u32 updated = old >= last ? 0 : old + 1;
    std::memcpy(reinterpret_cast<void*>(address), &updated, 4);
    return old;
}

void prefetch_line(u64 address, Site site) {
    find_allocation(address, 1, "prefetch_l2", site);
    machine.result->prefetches.push_back({current->block->index, address & ~u64{127}, 128});
}

u8* shared_bytes(const Thread& thread, u32 address, const Access& access) {
    u32 offset = address - kSharedBase;
    if (__builtin_expect(address % access.bytes != 0, false)) fail_misaligned(thread, address, access);
    bool inside = address >= kSharedBase && offset <= machine.shared_bytes && access.bytes <= machine.shared_bytes - offset;
    if (__builtin_expect(!inside, false))
        fail(thread, ErrorKind::kOutOfBounds,
             describe(access.operation, address, access.bytes, access.site) + " is outside shared memory [" +
             hex(kSharedBase) + ", " + hex(kSharedBase + machine.shared_bytes) + ")");
    if (machine.options.counters) thread.warp->log->add(thread, access.operation, access.site, access.bytes, address, true);
    return thread.block->shared + offset;
}

u8* shared_access(u32 address, const Access& access) {
    u8* bytes = shared_bytes(*current, address, access);
    if (machine.options.races) {
        if (access.write) race_shared_write(address - kSharedBase, access.bytes, access.site);
        else race_shared_read(*current, address - kSharedBase, access.bytes, access.site);
    }
    return bytes;
}

}  // namespace jmarlin::emulator
