// What the accesses of a warp cost: passes through the banks of shared memory, sectors of global memory.
#include <algorithm>

#include "accesses.hpp"

namespace jmarlin::machine {

namespace {

constexpr u32 kBanks = 32;
constexpr u32 kSectorBytes = 32;

std::vector<SiteCounters> totals;   // by instruction

SiteCounters& total_of(const Instruction& at) { return totals[machine.code->index(at)]; }

}  // namespace

/**
 * Shared memory serves up to 128 bytes at a time: 32 lanes of 4 bytes, 16 of 8, 8 of 16. Within such a phase a bank
 * delivers one 32-bit word per pass, to any number of lanes; so a phase takes as many passes as its busiest bank
 * holds different words.
 */
void count_shared(const Instruction& at, u32 lanes, const u64* address, u32 bytes) {
    SiteCounters& total = total_of(at);
    ++total.requests;
    total.bytes += u64{bytes} * static_cast<u32>(__builtin_popcount(lanes));
    u32 phase_lanes = std::min(kWarpSize, 128 / bytes);
    for (u32 first = 0; first < kWarpSize; first += phase_lanes) {
        u32 words_in_bank[kBanks] = {};
        u64 seen[kBanks][kWarpSize];
        u32 passes = 0;
        for (u32 lane = first; lane < first + phase_lanes; ++lane) {
            if (!(lanes >> lane & 1)) continue;
            for (u32 w = 0; w < (bytes + 3) / 4; ++w) {
                u64 word = address[lane] / 4 + w;
                u32 bank = static_cast<u32>(word % kBanks);
                u64* end = seen[bank] + words_in_bank[bank];
                if (std::find(seen[bank], end, word) == end) {
                    *end = word;
                    passes = std::max(passes, ++words_in_bank[bank]);
                }
            }
        }
        total.transactions += passes;
        if (passes > 1) total.excess += passes - 1;
    }
}

void count_global(const Instruction& at, u32 lanes, const u64* address, u32 bytes, bool is_request) {
    SiteCounters& total = total_of(at);
    total.requests += is_request;
    if (is_request) total.bytes += u64{bytes} * static_cast<u32>(__builtin_popcount(lanes));
    u64 sectors[kWarpSize];   // naturally aligned accesses of at most 16 bytes lie in one sector each
    u32 count = 0;
    for (u32 lane : Lanes{lanes}) sectors[count++] = address[lane] / kSectorBytes;
    std::sort(sectors, sectors + count);
    total.sectors += static_cast<u64>(std::unique(sectors, sectors + count) - sectors);
}

void begin_counters() { totals.assign(machine.options.counters ? machine.code->instructions.size() : 0, {}); }

void end_counters() {
    for (std::size_t n = 0; n < totals.size(); ++n) {
        if (totals[n].requests == 0) continue;
        const Instruction& at = machine.instructions[n];
        SiteCounters counters = totals[n];
        counters.site = machine.code->site(at);
        counters.operation = at.opcode->name;
        auto& all = machine.result->counters;
        auto same = std::find_if(all.begin(), all.end(), [&](const SiteCounters& c) { return c.site == counters.site && c.operation == counters.operation; });
        if (same == all.end()) {
            all.push_back(counters);
            continue;
        }
        same->requests += counters.requests;
        same->transactions += counters.transactions;
        same->excess += counters.excess;
        same->sectors += counters.sectors;
        same->bytes += counters.bytes;
    }
}

}  // namespace jmarlin::machine
