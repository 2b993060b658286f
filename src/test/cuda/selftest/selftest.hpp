#pragma once

#include <functional>
#include <string>

#include "machine.hpp"

namespace jmarlin::selftest {

/** Prints "ok NAME" or "FAIL NAME: WHY". What the check returns or throws is why; nothing is good. */
void check(const std::string& name, const std::function<std::string()>& why);

/** 16-bit arithmetic against exact sums; halves.cpp. */
void check_halves();

}  // namespace jmarlin::selftest
