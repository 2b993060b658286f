// What the accesses of a warp cost: passes through the banks of shared memory, sectors of global memory.
#pragma once

#include "machine.hpp"

namespace jmarlin::emulator {

/**
 * The accesses that the lanes of one warp made since they last met in a collective. Lanes run one after the other;
 * the log puts the n-th access of every lane to the same line side by side, as the warp would issue it.
 */
class AccessLog {
public:
    void add(const Thread& thread, const char* operation, Site site, u32 bytes, u64 address, bool shared);

    /** Counts what is in the log and empties it. */
    void flush();

private:
    struct Request {
        const char* operation;
        Site site;
        u32 bytes;
        bool shared;
        u32 lanes;
        u64 address[kWarpSize];
    };

    std::vector<Request> requests_;
    std::size_t used_ = 0;
    std::size_t cursor_[kWarpSize] = {};
};

void begin_counters();
void end_counters();

}  // namespace jmarlin::emulator
