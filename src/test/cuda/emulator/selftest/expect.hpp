// The self test's cases: each prints "ok NAME" or "FAIL NAME: WHY".
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "emulator.hpp"

namespace selftest {

using namespace jmarlin::emulator;
using jmarlin::u16;
using jmarlin::u32;
using jmarlin::u64;

/** What is wrong; empty if nothing is. */
using Check = std::function<std::string()>;

void add(const std::string& name, Check check);

void add_defects();
void add_arithmetic();
void add_fragments();
void add_counters();
void add_clusters();

inline std::string expect_equal(u64 expected, u64 actual, const std::string& what) {
    return expected == actual ? "" : what + ": expected " + std::to_string(expected) + ", got " + std::to_string(actual);
}

struct Policy {
    const char* name;
    Schedule schedule;
    u64 seed;
};

constexpr Policy kPolicies[] = {{"greedy", Schedule::kGreedy, 1},      {"reversed", Schedule::kReversed, 1},
                                {"round robin", Schedule::kRoundRobin, 1}, {"random 1", Schedule::kRandom, 1},
                                {"random 2", Schedule::kRandom, 2}};

}  // namespace selftest
