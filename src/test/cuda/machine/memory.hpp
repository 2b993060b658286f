// Device memory: who owns an address, what the kernel may do there, and what is known of every byte.
#pragma once

#include "state.hpp"

namespace jmarlin::machine {

/** What the race detector knows of two bytes of global memory. Threads are global indices + 1, 0 for nobody. */
struct GlobalWord {
    u32 write_clock;
    u32 writer;       // with the flags below
    u32 read_clock;
    u32 reader;       // the last one: a second concurrent reader of the same word is not remembered
    u32 write_pc;
    u32 read_pc;

    static constexpr u32 kBytes = 2;
    static constexpr u32 kAtomic = 0x80000000u;
    static constexpr u32 kLow = 0x40000000u, kHigh = 0x20000000u;   // which of the bytes
    static constexpr u32 kThread = 0x1fffffffu;
};

struct Allocation {
    u64 begin;
    u64 end;
    Role role;
    u32 device;          // whose kernels may touch it, kAnyDevice for all
    bool adopted;        // mapped by somebody else
    GlobalWord* words;   // one per two bytes, made when the race detector first needs it
    u8* marks;           // a bit per byte: of an output or workspace, that it was written; else, that what was written there nobody wrote

    /** Whether its bytes are nobody's until they are written. */
    bool starts_unwritten() const { return role == Role::kOutput || role == Role::kWorkspace; }
    /** Whether somebody wrote all these bytes, at most 16. */
    bool written(u64 address, u32 bytes) const;
    void mark(u64 address, u32 bytes, bool written);
};

/** Of a bit per byte: those of at most 16 bytes. */
inline u32 marks_at(const u8* marks, u64 offset, u32 bytes) {
    u32 bits = 0;
    std::memcpy(&bits, marks + offset / 8, 3);
    return bits >> offset % 8 & ((1u << bytes) - 1);
}

inline void set_marks(u8* marks, u64 offset, u32 bits, u32 bytes) {
    u32 all = 0;
    std::memcpy(&all, marks + offset / 8, 3);
    all = (all & ~(((1u << bytes) - 1) << offset % 8)) | bits << offset % 8;
    std::memcpy(marks + offset / 8, &all, 3);
}

/** The allocation that holds all these bytes; ends the launch if there is none. */
Allocation& find_allocation(u64 address, u64 bytes, const Warp& warp, u32 lane, const Instruction& at, const char* what = "");

/** Takes the list of allocations for the launch that begins. */
void snapshot_allocations();

}  // namespace jmarlin::machine
