// The machine of one launch: its blocks, their warps and what these share. One host thread runs it; launches of several
// host threads follow one another (launch.cpp).
#pragma once

#include <cstring>
#include <deque>
#include <map>
#include <memory>

#include "code.hpp"

namespace jmarlin::machine {

struct Block;
struct View;
struct Knowledge;
struct SharedWord;
struct SharedReaders;

/** A cp.async of a warp whose bytes have not arrived, all of the same group of their lanes. */
struct PendingCopy {
    const Instruction* at;
    u32 lanes;
    u32 group;
    u32 bytes;
    u32 destination[kWarpSize];   // offset in shared memory
    u64 source[kWarpSize];
    u8 valid[kWarpSize];
};

/** Which dense k, 0 .. 31, the stored elements 0 .. 15 of a row of a sparse A are (sparse.hpp). */
struct Places {
    u8 k[16][16];
};

/** A wgmma of a warp, from its issue to the wait that guarantees it. */
struct Product {
    const Instruction* at;
    u64 descriptor;
    u32 group;
    bool done;
    bool scale_d;
    u32 a[4][kWarpSize];
    u32 a_written[4];             // lanes whose A was written by somebody
    Places places;                // of what A stores, if it is sparse
};

/** Lanes of a warp that are at the same instruction. */
struct Group {
    u32 pc;
    u32 lanes;
    enum { kRunning, kMeeting, kSleeping } state;
};

struct Warp {
    Block* block;
    u32 index;              // in its block
    u32 global_index;

    // Where it is.
    std::vector<Group> groups;
    u32 current;            // group
    u32 exited;
    bool blocked;           // as a whole
    const Instruction* waits;   // what it waits in while blocked or asleep
    u32 tried;              // lanes whose last mbarrier.try_wait said no
    u32 polls;              // strong accesses

    // Registers: 32 lanes each; and the lanes that hold a value that somebody wrote.
    u32* r32;
    u64* r64;
    u32* predicates;
    u32 *written_32, *written_64, *written_p;
    u8* local;              // [lane][Code::local]

    // Copies and products under way.
    std::deque<PendingCopy> copies;
    u32 committed[kWarpSize];      // groups of cp.async
    std::deque<Product> products;
    std::vector<u8> busy;          // per register: kOperand, kSum of a product under way
    u32 product_groups;            // committed
    bool fenced;                   // wgmma.fence since the last commit
    u32 registers_per_thread, wanted_registers;   // setmaxnreg; 0: as at the start
    u32 register_changes;          // of which all warps of a warpgroup must make as many
    bool arrived_at_cluster;
    u32 cluster_phase;             // when it arrived

    // What is known (clocks.hpp).
    View* view[kWarpSize];
    u32 clock;
    u32 proxy_fence[kWarpSize];
    u32 gpu_fence[kWarpSize];      // clock of the last fence of gpu scope

    bool products_under_way() const { return !products.empty(); }
};

struct NamedBarrier {
    std::vector<Warp*> warps;      // that wait
    std::vector<Warp*> arrived;    // that arrived only
    u32 threads = 0;
};

struct Block {
    u32 index;
    std::vector<Warp> warps;
    u32 live_warps;
    bool started = false;
    u8* shared = nullptr;          // kSharedBase is its first byte
    u8* written = nullptr;         // a bit per byte of it: somebody wrote it
    SharedWord* words = nullptr;   // one per 32 bits, if races are looked for
    SharedReaders* readers = nullptr;
    NamedBarrier barriers[16];
    u32 mbarriers_begin = ~0u, mbarriers_end = 0;   // offsets between which mbarriers lie
    u32 free_registers = 0;        // given back by setmaxnreg
    std::vector<Warp*> wants_registers;
    u8* registers = nullptr;
};

struct Cluster {
    u32 arrived = 0;                          // warps
    std::vector<Warp*> waiting;
    std::shared_ptr<Knowledge> gathered;      // what those that arrived have published
    std::shared_ptr<Knowledge> passed;        // that of the phase before
    u32 phase = 0;
    u32 mbarriers_made = 0;
    u32 live_blocks;
};

struct Machine {
    const Code* code;
    const Instruction* instructions;
    const Entry* entry;
    const u8* parameters;
    u32 grid, threads, warps_per_block, shared_bytes, cluster_size;
    Options options;
    Result* result;
    std::vector<Block> blocks;
    std::vector<Cluster> clusters;
    std::vector<u64> ready;        // a bit per warp that can go on
    u32 live_warps;
    u64 random_state;
    std::vector<bool> executed, checked;   // by instruction: run; what is checked once was
    std::vector<Block*> ended;     // whose pages are free once the running warp has stopped

    Block& block_of_rank(const Block& block, u32 rank) { return blocks[block.index / cluster_size * cluster_size + rank]; }
};

extern Machine machine;

/** Ends a launch. */
struct Stop {};

// ---- errors.cpp ----

/** Records an error and ends the launch. */
[[noreturn]] void fail(ErrorKind kind, const Warp& warp, u32 lane, const Instruction& at, const std::string& text);
/** Records an error that the launch survives: once for two instructions. */
void report(ErrorKind kind, const Instruction& at, const Instruction* earlier, const std::string& text);
/** The same with the thread and the instruction put in front. */
void report(ErrorKind kind, const Warp& warp, u32 lane, const Instruction& at, const Instruction* earlier, const std::string& text);
/** Whether report() would drop it: before a long text is put together. */
bool is_reported(ErrorKind kind, const Instruction& at, const Instruction* earlier);
void record(ErrorKind kind, const std::string& text);
void forget_reports();
std::string thread_text(const Warp& warp, u32 lane);
std::string thread_text(u32 global_index);
std::string hex(u64 value);
inline std::string at_text(const Instruction& at) { return machine.code->describe(at); }

// ---- launch.cpp ----

void wake(Warp& warp);
void release(Warp& warp);
void block_exits(Block& block);
u32 random_below(u32 bound);

// ---- warp.cpp ----

/** Executes a warp until it waits, ends or has had its turn. */
void run_warp(Warp& warp, u64 turn);
/** The lanes of a warp that are alive. */
inline u32 live(const Warp& warp) { return ~warp.exited; }
std::string where_it_waits(const Warp& warp);

// ---- What other files do when things begin and end ----

void start_block(Block& block);                    // registers.cpp
void end_block(Block& block);
void warp_exits(Warp& warp);                       // barriers.cpp
void check_copies_at_exit(Warp& warp, u32 lanes);  // copies.cpp
void begin_bulk_copies();
bool land_bulk_copy();                             // false if there is none under way
void end_bulk_copies();
void begin_products();                             // wgmma.cpp
void check_products_at_exit(Warp& warp);
bool carry_out_a_product();                        // at random
void begin_counters();
void end_counters();

// ---- Registers ----

inline const u32* source_32(const Warp& w, const Operand& o) {
    return o.index >= 0 ? w.r32 + static_cast<u32>(o.index) * kWarpSize : machine.code->constants_32.data() + static_cast<u32>(~o.index) * kWarpSize;
}
inline const u64* source_64(const Warp& w, const Operand& o) {
    return o.index >= 0 ? w.r64 + static_cast<u32>(o.index) * kWarpSize : machine.code->constants_64.data() + static_cast<u32>(~o.index) * kWarpSize;
}
inline u32 source_p(const Warp& w, const Operand& o) { return o.index >= 0 ? w.predicates[o.index] : o.index == -1 ? 0 : kAllLanes; }

inline u32 written_32(const Warp& w, const Operand& o) { return o.index >= 0 ? w.written_32[o.index] : kAllLanes; }
inline u32 written_64(const Warp& w, const Operand& o) { return o.index >= 0 ? w.written_64[o.index] : kAllLanes; }
inline u32 written_p(const Warp& w, const Operand& o) { return o.index >= 0 ? w.written_p[o.index] : kAllLanes; }

inline void put(u32& into, u32 lanes, u32 value) { into = (into & ~lanes) | (value & lanes); }

inline void store_32(Warp& w, const Operand& o, u32 lanes, const u32* values, u32 written) {
    u32* at = w.r32 + static_cast<u32>(o.index) * kWarpSize;
    if (lanes == kAllLanes) std::memcpy(at, values, kWarpSize * 4);
    else for (u32 l = lanes; l; l &= l - 1) at[__builtin_ctz(l)] = values[__builtin_ctz(l)];
    put(w.written_32[o.index], lanes, written);
}
inline void store_64(Warp& w, const Operand& o, u32 lanes, const u64* values, u32 written) {
    u64* at = w.r64 + static_cast<u32>(o.index) * kWarpSize;
    if (lanes == kAllLanes) std::memcpy(at, values, kWarpSize * 8);
    else for (u32 l = lanes; l; l &= l - 1) at[__builtin_ctz(l)] = values[__builtin_ctz(l)];
    put(w.written_64[o.index], lanes, written);
}
inline void store_p(Warp& w, const Operand& o, u32 lanes, u32 value, u32 written) {
    put(w.predicates[o.index], lanes, value);
    put(w.written_p[o.index], lanes, written);
}

/** The value of an operand that all lanes must agree on; fails if they do not, or if nobody wrote it. */
u32 uniform_32(const Warp& w, const Instruction& i, const Operand& o, u32 lanes);
u64 uniform_64(const Warp& w, const Instruction& i, const Operand& o, u32 lanes);

/** Fails if a lane's operand was written by nobody: it decides something. */
void need_written(const Warp& w, const Instruction& i, u32 lanes, u32 written, const char* what);

inline u32 first_lane(u32 lanes) { return static_cast<u32>(__builtin_ctz(lanes)); }

/** for (u32 lane : Lanes{mask}) */
struct Lanes {
    u32 mask;
    struct Iterator {
        u32 left;
        u32 operator*() const { return first_lane(left); }
        Iterator& operator++() { left &= left - 1; return *this; }
        bool operator!=(const Iterator& other) const { return left != other.left; }
    };
    Iterator begin() const { return {mask}; }
    Iterator end() const { return {0}; }
};

}  // namespace jmarlin::machine
