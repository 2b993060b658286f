#include "memory.hpp"

#include <algorithm>
#include <mutex>
#include <sys/mman.h>

namespace jmarlin::machine {

namespace {

constexpr std::size_t kPage = 4096;

std::mutex allocations_lock;
std::map<u64, Allocation> allocations;   // by first address
std::map<u64, u64> freed;                // first address to end: addresses are never used twice

/** The launch's own view of them: sorted, and the one found last. */
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

std::size_t mark_bytes(const Allocation& a) { return (a.end - a.begin) / 8 + 3; }

template <class T>
T* map_zeros(std::size_t bytes) {
    void* region = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) throw std::bad_alloc();
    return static_cast<T*>(region);
}

/** What there is around an address that no buffer of this launch holds. */
std::string surroundings(u64 address, u64 bytes) {
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

}  // namespace

u64 allocate(std::size_t bytes, Role role, u32 device) {
    std::lock_guard<std::mutex> hold(allocations_lock);
    static Arena arena;
    if (bytes > arena.end - arena.next) return 0;
    std::size_t mapped = (bytes + kPage - 1) / kPage * kPage;
    if (mapped + kPage > arena.end - arena.next) return 0;
    void* at = reinterpret_cast<void*>(arena.next);
    constexpr int kInPlace = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (mapped && mmap(at, mapped, PROT_READ | PROT_WRITE, kInPlace, -1, 0) == MAP_FAILED) return 0;
    u64 address = arena.next;
    arena.next += mapped + kPage;
    allocations[address] = {address, address + bytes, role, device, false, nullptr, nullptr};
    return address;
}

bool adopt(u64 address, std::size_t bytes, u32 device) {
    std::lock_guard<std::mutex> hold(allocations_lock);
    auto after = allocations.lower_bound(address);
    if (after != allocations.end() && after->first < address + bytes) return false;
    if (after != allocations.begin() && std::prev(after)->second.end > address) return false;
    allocations[address] = {address, address + bytes, Role::kInOut, device, true, nullptr, nullptr};
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
    if (allocation.marks) munmap(allocation.marks, mark_bytes(allocation));
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

Buffer::Buffer(std::size_t bytes, Role role) : address_(allocate(bytes, role, kAnyDevice)), bytes_(bytes) {
    if (!address_) throw std::bad_alloc();
    reset();
}

Buffer::~Buffer() { deallocate(address_); }

void Buffer::reset() {
    std::lock_guard<std::mutex> hold(allocations_lock);
    Allocation& allocation = allocations.at(address_);
    std::memset(as<void>(), allocation.starts_unwritten() ? 0xff : 0, bytes_);
    if (allocation.marks) munmap(allocation.marks, mark_bytes(allocation));
    allocation.marks = nullptr;
}

bool Allocation::written(u64 address, u32 bytes) const {
    if (!marks) return !starts_unwritten();
    u32 bits = marks_at(marks, address - begin, bytes);
    return starts_unwritten() ? bits == (1u << bytes) - 1 : bits == 0;
}

void Allocation::mark(u64 address, u32 bytes, bool written) {
    if (!marks) {
        if (written && !starts_unwritten()) return;
        marks = map_zeros<u8>(mark_bytes(*this));
    }
    set_marks(marks, address - begin, written == starts_unwritten() ? (1u << bytes) - 1 : 0, bytes);
}

void snapshot_allocations() {
    std::lock_guard<std::mutex> hold(allocations_lock);
    in_launch.clear();
    for (auto& entry : allocations)
        if (entry.second.device == machine.options.device || entry.second.device == kAnyDevice) in_launch.push_back(&entry.second);
    std::fill(std::begin(recent), std::end(recent), nullptr);
}

Allocation& find_allocation(u64 address, u64 bytes, const Warp& warp, u32 lane, const Instruction& at, const char* what) {
    Allocation*& cached = recent[(address >> 14) % 256];
    if (__builtin_expect(cached && address >= cached->begin && bytes <= cached->end - cached->begin && address <= cached->end - bytes, true)) return *cached;
    auto after = std::upper_bound(in_launch.begin(), in_launch.end(), address, [](u64 a, const Allocation* each) { return a < each->begin; });
    Allocation* found = after == in_launch.begin() ? nullptr : *std::prev(after);
    if (!found || address > found->end || bytes > found->end - address)
        fail(ErrorKind::kOutOfBounds, warp, lane, at, what + std::to_string(bytes) + " bytes at " + hex(address) + surroundings(address, bytes));
    if (machine.options.races && !found->words && found->role != Role::kInput)
        found->words = map_zeros<GlobalWord>(((found->end - found->begin) / GlobalWord::kBytes + 1) * sizeof(GlobalWord));
    cached = found;
    return *found;
}

}  // namespace jmarlin::machine
