// The launch, its result, and the small things that belong to no other file.
#include "emulator.hpp"

#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>

#include "machine.hpp"
#include "memory.hpp"

namespace jmarlin::emulator {

namespace {

std::mutex machine_lock;
std::vector<std::vector<u8>> shared_pool;

std::vector<Site>& site_list() {
    static std::vector<Site> list{{"?", 0}};
    return list;
}

}  // namespace

std::string site_text(Site site) {
    const char* slash = std::strrchr(site.file, '/');
    return std::string(slash ? slash + 1 : site.file) + ":" + std::to_string(site.line);
}

u16 site_id(Site site) {
    // Only the running launch asks, so that no lock is needed.
    static struct Slot { Site site; u16 id; } table[4096] = {};
    auto hash = reinterpret_cast<std::uintptr_t>(site.file) * 31 + static_cast<std::uintptr_t>(site.line) * 0x9e37;
    for (std::size_t i = hash % 4096;; i = (i + 1) % 4096) {
        Slot& slot = table[i];
        if (slot.id != 0 && slot.site == site) return slot.id;
        if (slot.id != 0) continue;
        slot.site = site;
        slot.id = static_cast<u16>(site_list().size());
        site_list().push_back(site);
        return slot.id;
    }
}

std::string site_text(u16 id) { return id == 0 || id >= site_list().size() ? "?" : site_text(site_list()[id]); }

const char* error_kind_name(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::kRace: return "RACE";
        case ErrorKind::kOutOfBounds: return "OUT OF BOUNDS";
        case ErrorKind::kMisaligned: return "MISALIGNED";
        case ErrorKind::kReadOnly: return "READ ONLY";
        case ErrorKind::kNotCoherent: return "NOT COHERENT";
        case ErrorKind::kUninitialised: return "UNINITIALISED";
        case ErrorKind::kDivergence: return "DIVERGENCE";
        case ErrorKind::kDeadlock: return "DEADLOCK";
        case ErrorKind::kAsyncCopy: return "ASYNC COPY";
        case ErrorKind::kProxy: return "PROXY";
        case ErrorKind::kWgmma: return "WGMMA";
        case ErrorKind::kStackOverflow: return "STACK OVERFLOW";
        case ErrorKind::kBadArgument: return "BAD ARGUMENT";
    }
    return "?";
}

bool Result::has(ErrorKind kind) const {
    for (const Error& error : errors)
        if (error.kind == kind) return true;
    return false;
}

u64 Result::excess(const std::string& operation_prefix) const {
    u64 sum = 0;
    for (const SiteCounters& site : counters)
        if (site.operation.compare(0, operation_prefix.size(), operation_prefix) == 0) sum += site.excess;
    return sum;
}

u64 Result::requests(const std::string& operation_prefix) const {
    u64 sum = 0;
    for (const SiteCounters& site : counters)
        if (site.operation.compare(0, operation_prefix.size(), operation_prefix) == 0) sum += site.requests;
    return sum;
}

std::string Result::text() const {
    std::string text;
    for (const Error& error : errors) text += std::string(error_kind_name(error.kind)) + ": " + error.text + "\n";
    if (suppressed) text += std::to_string(suppressed) + " more errors\n";
    return text;
}

Buffer::Buffer(std::size_t bytes, Role role) : address_(allocate(bytes, role)), bytes_(bytes), role_(role) {
    if (address_ == 0) throw std::bad_alloc();
    reset();
}

Buffer::~Buffer() { deallocate(address_); }

void Buffer::reset() { std::memset(as<void>(), role_ == Role::kOutput ? 0xff : 0, bytes_); }

Result launch_raw(void (*entry)(void*, const void*), void* kernel, const void* args, u32 grid, u32 threads,
                  u32 shared_bytes, const Options& options) {
    std::lock_guard<std::mutex> hold(machine_lock);
    Result result;
    Machine& m = machine;
    m.result = &result;
    if (grid == 0 || threads == 0 || threads % kWarpSize != 0 || threads > 1024) {
        result.errors.push_back({ErrorKind::kBadArgument,
                                 "grid " + std::to_string(grid) + ", threads " + std::to_string(threads) +
                                 ": need at least one block of 32 to 1024 threads, a multiple of 32"});
        return result;
    }
    if (options.cluster == 0 || grid % options.cluster != 0) {
        result.errors.push_back({ErrorKind::kBadArgument, "a grid of " + std::to_string(grid) + " blocks in clusters of " +
                                 std::to_string(options.cluster)});
        return result;
    }
    m.grid = grid;
    m.threads = threads;
    m.shared_bytes = shared_bytes;
    m.options = options;
    m.entry = entry;
    m.kernel = kernel;
    m.args = args;

    // Shared memory starts as NaN: whatever a kernel reads before it wrote it shows in the result.
    m.blocks.resize(grid);
    if (shared_pool.size() < grid) shared_pool.resize(grid);
    for (u32 b = 0; b < grid; ++b) {
        shared_pool[b].assign(shared_bytes + 16, 0xff);
        m.blocks[b].shared = shared_pool[b].data();
    }
    snapshot_allocations();
    run_machine();
    return result;
}

}  // namespace jmarlin::emulator
