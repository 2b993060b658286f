#include "counters.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace jmarlin::emulator {

namespace {

constexpr u32 kBanks = 32;
constexpr u32 kSectorBytes = 32;

std::map<std::tuple<const char*, int, const char*>, SiteCounters> totals;
std::vector<AccessLog> logs;

/**
 * Shared memory serves up to 128 bytes at a time: 32 lanes of 4 bytes, 16 of 8, 8 of 16. Within such a phase a bank
 * delivers one 32-bit word per pass, to any number of lanes; so a phase takes as many passes as its busiest bank
 * holds different words.
 */
void count_shared(u32 bytes, u32 lanes, const u64* address, SiteCounters& total) {
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

void count_global(u32 lanes, const u64* address, SiteCounters& total) {
    u64 sectors[kWarpSize];   // naturally aligned accesses of at most 16 bytes lie in one sector each
    u32 count = 0;
    for (u32 lane = 0; lane < kWarpSize; ++lane)
        if (lanes >> lane & 1) sectors[count++] = address[lane] / kSectorBytes;
    std::sort(sectors, sectors + count);
    total.sectors += static_cast<u64>(std::unique(sectors, sectors + count) - sectors);
}

}  // namespace

void AccessLog::add(const Thread& thread, const char* operation, Site site, u32 bytes, u64 address, bool shared) {
    u32 bit = 1u << thread.lane;
    std::size_t i = cursor_[thread.lane];
    while (i < used_ && (requests_[i].site != site || requests_[i].operation != operation || (requests_[i].lanes & bit))) ++i;
    if (i == used_) {
        if (used_ == requests_.size()) requests_.emplace_back();
        Request& fresh = requests_[used_++];
        fresh.operation = operation;
        fresh.site = site;
        fresh.bytes = bytes;
        fresh.shared = shared;
        fresh.lanes = 0;
    }
    requests_[i].lanes |= bit;
    requests_[i].address[thread.lane] = address;
    cursor_[thread.lane] = i + 1;
}

void AccessLog::flush() {
    for (std::size_t i = 0; i < used_; ++i) {
        const Request& request = requests_[i];
        SiteCounters& total = totals[std::make_tuple(request.site.file, request.site.line, request.operation)];
        ++total.requests;
        total.bytes += u64{request.bytes} * static_cast<u32>(__builtin_popcount(request.lanes));
        if (request.shared) count_shared(request.bytes, request.lanes, request.address, total);
        else count_global(request.lanes, request.address, total);
    }
    used_ = 0;
    std::fill(std::begin(cursor_), std::end(cursor_), 0);
}

void begin_counters() {
    totals.clear();
    if (logs.size() < machine.warps.size()) logs.resize(machine.warps.size());
    for (Warp& warp : machine.warps) warp.log = &logs[warp.global_index];
}

void end_counters() {
    for (Warp& warp : machine.warps) warp.log->flush();
    for (auto& entry : totals) {
        SiteCounters counters = entry.second;
        counters.site = site_text(Site{std::get<0>(entry.first), std::get<1>(entry.first)});
        counters.operation = std::get<2>(entry.first);
        machine.result->counters.push_back(counters);
    }
}

}  // namespace jmarlin::emulator
