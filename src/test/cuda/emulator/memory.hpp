// Device memory and shared memory: who owns an address, and what every access goes through.
#pragma once

#include "machine.hpp"

namespace jmarlin::emulator {

/** What the race detector knows of two bytes of global memory. Threads are global indices + 1, 0 for nobody. */
struct GlobalWord {
    u32 write_clock;
    u32 writer;       // kAtomic is set if it wrote atomically
    u32 read_clock;
    u32 reader;       // the last one: a second concurrent reader of the same word is not remembered
    u16 write_site;
    u16 read_site;

    static constexpr u32 kAtomic = 0x80000000u;
    static constexpr u32 kBytes = 2;
};

struct Allocation {
    u64 begin;
    u64 end;
    Role role;
    u32 device;         // whose kernels may touch it, kAnyDevice for all
    bool adopted;       // mapped by somebody else
    GlobalWord* words;  // one per two bytes, made when the race detector first needs it
};

constexpr u32 kAnyDevice = ~0u;

/** Reserves zeroed device memory at an address that was never used before; 0 if there is none. */
u64 allocate(std::size_t bytes, Role role, u32 device = 0);

/** Makes existing host memory known as device memory. False if it overlaps some that is. */
bool adopt(u64 address, std::size_t bytes, u32 device);

/** Unmaps it, or forgets it if it was adopted. False if no allocation starts at the address. */
bool deallocate(u64 address);

/** Whether these bytes lie inside one living allocation. Safe from any host thread. */
bool is_device_memory(u64 address, std::size_t bytes);

/** One access of the running thread, as the primitives describe it. */
struct Access {
    const char* operation;
    u32 bytes;
    bool write;
    Site site;
};

/** Checks bounds and alignment of an access to shared memory by any thread; says nothing to the race detector. */
u8* shared_bytes(const Thread& thread, u32 address, const Access& access);

/** Checks an access to shared memory and returns where its bytes are. */
u8* shared_access(u32 address, const Access& access);

/** Checks an access to global memory and returns where its bytes are. */
u8* global_access(u64 address, const Access& access);

/** ld.global.nc: the same, and nobody may have written there since the launch began. */
u8* global_read_only_access(u64 address, const Access& access);

/** atom.acq_rel.gpu.add.u32: returns the old value. */
u32 atomic_inc(u64 address, u32 last, Site site);

/** prefetch.global.L2: the line of 128 bytes that holds the address. */
void prefetch_line(u64 address, Site site);

/** The allocation that holds all these bytes; ends the launch if there is none. */
Allocation& find_allocation(u64 address, u32 bytes, const char* operation, Site site);

/** Takes the list of allocations for the launch that begins. */
void snapshot_allocations();

}  // namespace jmarlin::emulator
