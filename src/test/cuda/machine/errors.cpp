// What was found: texts of errors, the result's questions, coverage.
#include <algorithm>
#include <cstdio>
#include <set>
#include <tuple>

#include "state.hpp"

namespace jmarlin::machine {

namespace {

constexpr std::size_t kMostErrors = 100;

std::set<std::tuple<ErrorKind, u32, u32>> reported;   // kind and the two instructions

}  // namespace

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
        case ErrorKind::kMbarrier: return "MBARRIER";
        case ErrorKind::kProxy: return "PROXY";
        case ErrorKind::kWgmma: return "WGMMA";
        case ErrorKind::kMetadata: return "METADATA";
        case ErrorKind::kExited: return "EXITED";
        case ErrorKind::kDoubleWrite: return "DOUBLE WRITE";
        case ErrorKind::kBadArgument: return "BAD ARGUMENT";
    }
    return "UNKNOWN";
}

std::string hex(u64 value) {
    char text[32];
    std::snprintf(text, sizeof text, "0x%llx", value);
    return text;
}

std::string thread_text(u32 global_index) {
    u32 index = global_index % machine.threads;
    return "block " + std::to_string(global_index / machine.threads) + ", warp " + std::to_string(index / kWarpSize) + ", lane " +
           std::to_string(index % kWarpSize);
}

std::string thread_text(const Warp& warp, u32 lane) {
    return thread_text(warp.block->index * machine.threads + warp.index * kWarpSize + lane);
}

void forget_reports() { reported.clear(); }

void record(ErrorKind kind, const std::string& text) {
    Result& result = *machine.result;
    if (result.errors.size() < kMostErrors) result.errors.push_back({kind, std::string(error_kind_name(kind)) + ": " + text});
    else ++result.suppressed;
}

void fail(ErrorKind kind, const Warp& warp, u32 lane, const Instruction& at, const std::string& text) {
    record(kind, thread_text(warp, lane) + " at " + at_text(at) + ": " + text);
    throw Stop();
}

bool is_reported(ErrorKind kind, const Instruction& at, const Instruction* earlier) {
    return reported.count(std::make_tuple(kind, machine.code->index(at), earlier ? machine.code->index(*earlier) : ~0u)) != 0;
}

void report(ErrorKind kind, const Instruction& at, const Instruction* earlier, const std::string& text) {
    if (is_reported(kind, at, earlier)) return;
    reported.insert(std::make_tuple(kind, machine.code->index(at), earlier ? machine.code->index(*earlier) : ~0u));
    record(kind, text);
}

void report(ErrorKind kind, const Warp& warp, u32 lane, const Instruction& at, const Instruction* earlier, const std::string& text) {
    report(kind, at, earlier, thread_text(warp, lane) + " at " + at_text(at) + ": " + text);
}

bool Result::has(ErrorKind kind) const {
    return std::any_of(errors.begin(), errors.end(), [&](const Error& e) { return e.kind == kind; });
}

u64 Result::excess(const std::string& operation_prefix) const {
    u64 sum = 0;
    for (const SiteCounters& each : counters)
        if (each.operation.compare(0, operation_prefix.size(), operation_prefix) == 0) sum += each.excess;
    return sum;
}

u64 Result::requests(const std::string& operation_prefix) const {
    u64 sum = 0;
    for (const SiteCounters& each : counters)
        if (each.operation.compare(0, operation_prefix.size(), operation_prefix) == 0) sum += each.requests;
    return sum;
}

std::string Result::text() const {
    std::string all;
    for (const Error& each : errors) all += each.text + "\n";
    if (suppressed) all += "and " + std::to_string(suppressed) + " more\n";
    if (!completed && errors.empty()) all += "the launch did not complete\n";
    return all;
}

void Coverage::add(const Entry& entry, const std::vector<bool>& executed) {
    for (auto& each : entries_) {
        if (each.first != entry.name) continue;
        for (std::size_t i = 0; i < executed.size(); ++i)
            if (executed[i]) each.second[i] = true;
        return;
    }
    entries_.push_back({entry.name, executed});
}

const std::vector<bool>& Coverage::of(const std::string& entry) const {
    static const std::vector<bool> never;
    for (const auto& each : entries_)
        if (each.first == entry) return each.second;
    return never;
}

}  // namespace jmarlin::machine
