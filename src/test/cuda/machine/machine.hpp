// A machine that executes PTX text on a CPU, for tests: a program, a launch, and what was found.
//
//   auto program = Program::parse(text, "striped.compute_80.ptx");
//   Result result = launch(*program, "striped_f16_sym_g64_m8_n64", {grid, 256, shared_bytes}, &args, sizeof args, options);
//   result.ok() || (puts(result.text().c_str()), false);
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "types.hpp"

namespace jmarlin::machine {

// ---- Programs ----

/** The text is no PTX that this machine knows: an opcode, a modifier or a directive that is in no table, with its line. */
struct ParseError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/** What a module says of one kernel. */
struct Entry {
    std::string name;
    u32 parameter_bytes;   // of all parameters, as laid out one after the other
    u32 max_threads;       // .maxntid, 1024 if not given
    u32 cluster = 1;       // .reqnctapercluster: blocks, consecutive
    u32 instructions;      // for coverage; 0 until Program::code or a launch decoded the body
};

/** A variable of the module, with its initial bytes. */
struct Global {
    std::string name;
    std::vector<u8> bytes;
};

struct Code;   // decoded instructions; code.hpp

/** One PTX text, decoded. Immutable: may be shared by threads. */
class Program {
public:
    /** Decodes the text. The bodies of entries are decoded when they are first used: a module of 192 kernels opens at once. */
    static std::shared_ptr<const Program> parse(std::string text, std::string name);
    ~Program();

    const std::string& name() const;
    /** .version times ten, 74 for 7.4, and .target without "sm_", such as "90a". */
    u32 ptx_version() const;
    const std::string& target() const;

    const std::vector<Entry>& entries() const;
    const Entry* find(const std::string& entry) const;         // null if there is none
    const Global* find_global(const std::string& name) const;

    /** The decoded instructions of an entry. Throws ParseError at the first that is in no table. */
    const Code& code(const Entry& entry) const;

    struct Impl;   // program.hpp

private:
    explicit Program(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// ---- Device memory ----

/** What a kernel may do with a buffer. */
enum class Role {
    kInput,       // only read
    kOutput,      // written before it is read, once; starts as 0xff bytes, which is NaN in every float format
    kWorkspace,   // the same, but what depends on a value that nobody wrote may pass through it, and it is written again and again
    kInOut        // starts as zeros, or as what the host wrote
};

constexpr u32 kAnyDevice = ~0u;

/** Reserves zeroed device memory, ending at an unmapped page, at an address that was never used before; 0 if there is none. */
u64 allocate(std::size_t bytes, Role role, u32 device = 0);
/** Makes existing host memory known as device memory. False if it overlaps some that is. */
bool adopt(u64 address, std::size_t bytes, u32 device);
/** Unmaps it, or forgets it if it was adopted. False if no allocation starts at the address. */
bool deallocate(u64 address);
/** Whether these bytes lie inside one living allocation. Safe from any host thread. */
bool is_device_memory(u64 address, std::size_t bytes);

/** Device memory of a scope. */
class Buffer {
public:
    Buffer(std::size_t bytes, Role role);
    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    u64 address() const { return address_; }
    std::size_t size() const { return bytes_; }
    template <class T> T* as() const { return reinterpret_cast<T*>(address_); }
    /** Puts the initial bytes back: 0xff for an output or a workspace, 0 otherwise. */
    void reset();

private:
    u64 address_;
    std::size_t bytes_;
};

// ---- Launches ----

/** The order in which warps run. A kernel's result may not depend on it. */
enum class Schedule {
    kGreedy,      // a warp runs until it must wait; lowest block and warp first
    kReversed,    // the same from the last warp down
    kRoundRobin,  // the next warp after every few instructions
    kRandom       // any warp, by Options::seed; copies and products of the async proxy land at random too
};

/** Which instructions of a program ever ran: a bit per instruction and entry. Not thread-safe. */
class Coverage {
public:
    void add(const Entry& entry, const std::vector<bool>& executed);
    /** An empty vector if the entry never ran. */
    const std::vector<bool>& of(const std::string& entry) const;

private:
    std::vector<std::pair<std::string, std::vector<bool>>> entries_;
};

struct Shape {
    u32 grid;            // blocks
    u32 threads;         // of a block, a multiple of 32
    u32 shared_bytes;    // dynamic
};

struct Options {
    Schedule schedule = Schedule::kGreedy;
    u64 seed = 1;
    bool races = false;             // report accesses that nothing orders
    bool counters = false;          // count bank conflicts and sectors per instruction
    bool reads = false;             // list the reads of global memory that go to shared memory
    u32 device = 0;                 // whose memory the kernel may touch
    u32 clusters_at_once = 0;       // how many clusters (or blocks) are resident; 0: all
    u64 step_limit = 0;             // warp instructions after which the launch is given up as hung; 0: none
    Coverage* coverage = nullptr;
};

enum class ErrorKind {
    kRace,              // two accesses, at least one a write, that no barrier or atomic orders
    kOutOfBounds,       // outside shared memory, outside every buffer, or in a freed one
    kMisaligned,
    kReadOnly,          // a store into an input
    kNotCoherent,       // ld.global.nc of something this launch wrote
    kUninitialised,     // a value nobody wrote decides something: a branch, an address, an operand of a product, a stored result
    kDivergence,        // lanes of a warp that do not meet in an instruction that all must execute
    kDeadlock,          // with where every warp waits; also a launch that ran into its step limit
    kAsyncCopy,         // a copy in flight was overwritten, read or never waited for
    kMbarrier,          // too many arrivals, more bytes landed than announced, not initialised, not shown to who uses it
    kProxy,             // a plain write that wgmma or the copy engine meets with no fence.proxy.async after it
    kWgmma,             // registers of a wgmma in flight were touched, a wrong descriptor, or it lacks its fence or its wait
    kMetadata,          // of 2:4 sparsity: a nibble that names no two of four k in order
    kExited,            // an access, an arrival or a copy that meets a block which has exited
    kDoubleWrite,       // an element of an output written twice in a launch
    kBadArgument        // of the launch, or of an instruction: setmaxnreg's counts, a barrier's number of threads
};

/** "RACE", "OUT OF BOUNDS", "ASYNC COPY" and so on: how a finding's text begins. */
const char* error_kind_name(ErrorKind kind);

struct Error {
    ErrorKind kind;
    std::string text;   // with the line of the PTX text, its instruction and, where the text has .loc, the source line
};

/** Accesses of one instruction, summed over warps. A request is one instruction of one warp. */
struct SiteCounters {
    std::string site;        // "striped.cuh:120", "line 5121" of a text without .loc
    std::string operation;   // the opcode: "ld.shared.v4.u32"
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
    u64 steps = 0;           // warp instructions

    bool ok() const { return completed && errors.empty(); }
    bool has(ErrorKind kind) const;
    /** Sum of excess transactions over the sites whose operation starts with the prefix. */
    u64 excess(const std::string& operation_prefix = "") const;
    u64 requests(const std::string& operation_prefix = "") const;
    /** All errors, a line each. */
    std::string text() const;
};

/**
 * Runs a kernel to its end or its first error that ends it. The argument bytes are those of all parameters. Never throws for what
 * a kernel does; ParseError if the entry's text cannot be decoded. Launches of several host threads follow one another.
 */
Result launch(const Program& program, const std::string& entry, const Shape& shape, const void* arguments,
              std::size_t argument_bytes, const Options& options = {});

}  // namespace jmarlin::machine
