// Running a kernel on the CPU, for tests: buffers, a launch, and what was found.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "types.hpp"

namespace jmarlin::emulator {

/** The order in which warps run. A kernel's result may not depend on it. */
enum class Schedule {
    kGreedy,      // a warp runs until it must wait; lowest block and warp first
    kReversed,    // the same from the last warp and lane down
    kRoundRobin,  // the next warp after every collective
    kRandom       // any warp, by Options::seed
};

struct Options {
    Schedule schedule = Schedule::kGreedy;
    u64 seed = 1;
    u32 cluster = 1;        // blocks per cluster, what __cluster_dims__ says on the entry point; divides the grid
    bool races = false;     // report accesses that nothing orders
    bool counters = false;  // count bank conflicts and sectors per line of the kernel
    bool reads = false;     // list the reads of global memory that go to shared memory
    u32 device = 0;         // whose memory the kernel may touch
};

enum class ErrorKind {
    kRace,              // two accesses, at least one a write, that no barrier or atomic orders
    kOutOfBounds,       // outside shared memory, outside every buffer, or in a freed one
    kMisaligned,
    kReadOnly,          // a store into an input
    kNotCoherent,       // ld.global.nc of something this launch wrote
    kUninitialised,     // a load of output or workspace that nobody wrote
    kDivergence,        // lanes of a warp in different collectives, or some of them gone
    kDeadlock,
    kAsyncCopy,         // a copy in flight was overwritten, read or never waited for, or counts wrongly on its mbarrier
    kProxy,             // a plain write that wgmma or the copy engine meets with no fence_proxy_async after it
    kWgmma,             // registers of a wgmma in flight were touched, or it lacks its fence or its wait
    kStackOverflow,
    kBadArgument
};

const char* error_kind_name(ErrorKind kind);

struct Error {
    ErrorKind kind;
    std::string text;
};

/** Accesses of one line of a kernel, summed over warps. A request is one instruction of one warp. */
struct SiteCounters {
    std::string site;        // "striped.cuh:120"
    std::string operation;   // "ld_shared_16"
    u64 requests = 0;
    u64 transactions = 0;    // shared memory: passes through the 32 banks
    u64 excess = 0;          // of these, passes that a conflict-free order would not need
    u64 sectors = 0;         // global memory: 32-byte sectors touched
    u64 bytes = 0;           // asked for by all lanes
};

/** Bytes of global memory that a block asked for. */
struct Range {
    u32 block;
    u64 address;
    u64 bytes;
};

struct Result {
    bool completed = false;  // every thread ran to its end
    std::vector<Error> errors;
    std::vector<SiteCounters> counters;
    std::vector<Range> prefetches;  // into the L2 cache, in the order of the calls
    std::vector<Range> reads;       // by asynchronous copies, in the order of the calls; if Options::reads
    u64 suppressed = 0;      // errors beyond the first hundred

    bool ok() const { return completed && errors.empty(); }
    bool has(ErrorKind kind) const;
    /** Sum of excess transactions over the sites whose operation starts with the prefix. */
    u64 excess(const std::string& operation_prefix = "") const;
    u64 requests(const std::string& operation_prefix = "") const;
    /** All errors, a line each. */
    std::string text() const;
};

/** What a kernel may do with a buffer. */
enum class Role {
    kInput,    // only read
    kOutput,   // written before it is read; starts as 0xff bytes, which is NaN in every float format
    kInOut     // starts as zeros, or as what the host wrote
};

/** Device memory: host memory that ends at an unmapped page, known to the bounds check. */
class Buffer {
public:
    Buffer(std::size_t bytes, Role role);
    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    u64 address() const { return address_; }
    std::size_t size() const { return bytes_; }
    template <class T> T* as() const { return reinterpret_cast<T*>(address_); }

    /** Puts the initial bytes back: 0xff for an output, 0 otherwise. */
    void reset();

private:
    u64 address_;
    std::size_t bytes_;
    Role role_;
};

/** Runs entry(kernel, args) once per thread of the grid. */
Result launch_raw(void (*entry)(void*, const void*), void* kernel, const void* args, u32 grid, u32 threads,
                  u32 shared_bytes, const Options& options);

/** Runs kernel(args) on grid blocks of threads threads (a multiple of 32) with shared_bytes of shared memory. */
template <class Args>
Result launch(void (*kernel)(Args), u32 grid, u32 threads, u32 shared_bytes, const Args& args, const Options& options = {}) {
    auto entry = [](void* k, const void* a) {
        reinterpret_cast<void (*)(Args)>(k)(*static_cast<const Args*>(a));
    };
    return launch_raw(entry, reinterpret_cast<void*>(kernel), &args, grid, threads, shared_bytes, options);
}

}  // namespace jmarlin::emulator
