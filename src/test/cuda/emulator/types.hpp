// The integer names of ptx.cuh, and the label of the kernel line that called a primitive.
#pragma once

#include <cstddef>
#include <string>

namespace jmarlin {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using s32 = int;
using s64 = long long;

namespace emulator {

constexpr u32 kWarpSize = 32;
constexpr u32 kAllLanes = 0xffffffffu;

/** The source line that called a primitive. Every primitive takes one as its last, defaulted argument. */
struct Site {
    const char* file;
    int line;

    bool operator==(const Site& other) const { return line == other.line && file == other.file; }
    bool operator!=(const Site& other) const { return !(*this == other); }
};

/** "dequant.cuh:57" */
std::string site_text(Site site);

/** A small number for a site, the same one for the whole process; never 0. */
u16 site_id(Site site);

/** The site behind a number, "?" for 0. */
std::string site_text(u16 id);

}  // namespace emulator
}  // namespace jmarlin

/** The defaulted argument that records where a primitive was called. */
#define JMARLIN_SITE ::jmarlin::emulator::Site site = {__builtin_FILE(), __builtin_LINE()}
