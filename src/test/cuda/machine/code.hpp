// Decoded instructions: what the parser makes of an entry's body and the warps execute.
#pragma once

#include <string>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "machine.hpp"

namespace jmarlin::machine {

constexpr u32 kWarpSize = 32;
constexpr u32 kAllLanes = ~0u;

struct Warp;
struct Instruction;

/** What becomes of the lanes that executed an instruction. */
enum class Next : u8 {
    kGo,      // on to the next one
    kMeet,    // other lanes of the warp must come here first: execute it again with them
    kSleep,   // until somebody wakes the warp: execute it again
    kBlock,   // the whole warp waits, behind the instruction, until somebody releases it
    kBranch,  // to the target
    kExit,
    kYield    // on to the next one, but it is another warp's turn
};

using Handler = Next (*)(Warp& warp, const Instruction& instruction, u32 lanes);

/** Where the bytes of an access lie (5.1, state spaces). */
enum class Space : u8 { kNone, kParam, kShared, kCluster, kGlobal, kLocal, kGeneric };

/**
 * A row of the opcode table. The signature has a letter per operand, capital if it is written, with the braces of vectors:
 *   R, r  register of 16 or 32 bits, or (r) a constant       D, d  of 64 bits       P, p  a predicate
 *   a     an address, [register + offset]                   i     an integer constant        L  a label
 */
struct Opcode {
    std::string signature;
    Handler run = nullptr;
    bool aligned = false;      // all 32 lanes must execute it together
    Space space = Space::kNone;
    u8 bytes = 0;              // of an element
    u8 count = 1;              // elements
    bool sign = false;         // elements shorter than their register are extended by their sign
    u32 detail = 0;            // a number that means something to the handler
    std::string name{};
};

/** By full opcode; one that takes several shapes of operands has a row for each. */
using OpcodeTable = std::unordered_multimap<std::string, Opcode>;

const OpcodeTable& opcodes();

void add_arithmetic(OpcodeTable& table);   // arithmetic.cpp
void add_conversions(OpcodeTable& table);  // conversions.cpp
void add_control(OpcodeTable& table);      // warp.cpp
void add_accesses(OpcodeTable& table);     // accesses.cpp
void add_barriers(OpcodeTable& table);     // barriers.cpp
void add_mbarriers(OpcodeTable& table);    // mbarriers.cpp
void add_copies(OpcodeTable& table);       // copies.cpp
void add_bulk_copies(OpcodeTable& table);  // bulk_copies.cpp
void add_products(OpcodeTable& table);     // products.cpp
void add_wgmma(OpcodeTable& table);        // wgmma.cpp

/** Constants have negative indices: ~index into those of their width. */
struct Operand {
    s32 index;
    s32 offset;     // of an address; the value of an 'i'
    char kind;      // R r D d P p; a: address in a register of 32 bits, q: of 64
};

struct Instruction {
    Handler run;
    const Operand* operands;
    const Opcode* opcode;
    s32 guard;        // predicate, -1 for none
    bool negated;
    bool aligned;
    u8 count;         // operands
    u32 target;       // of a branch
    u32 line;         // of the text
    u32 source_line;  // of the innermost .loc, 0 for none
    u32 source_file;
    std::size_t text; // where it begins
    u32 text_length;
};

/** Special registers (10) are registers like others, filled when a warp starts. */
enum class Special : u8 {
    kTidX, kTidY, kTidZ, kNtidX, kNtidY, kNtidZ, kCtaidX, kCtaidY, kCtaidZ, kNctaidX, kNctaidY, kNctaidZ, kLaneid, kWarpid,
    kNwarpid, kClusterCtarank, kClusterNctarank, kClusteridX, kNclusteridX, kClusterCtaidX, kClusterNctaidX,
    kLanemaskEq, kLanemaskLt, kLanemaskLe, kLanemaskGt, kLanemaskGe, kDynamicSharedBytes
};

struct Code {
    std::string entry;
    std::string module;
    std::vector<Instruction> instructions;
    std::vector<Operand> operands;
    u32 registers_32 = 0, registers_64 = 0, predicates = 0;
    std::vector<u32> constants_32;    // 32 lanes each
    std::vector<u64> constants_64;
    std::vector<std::pair<Special, u32>> specials;   // and their registers
    u32 static_shared = 0;            // bytes of .shared variables, before the dynamic ones
    u32 local = 0;                    // bytes of .local variables of a thread
    const std::string* text;          // of the module
    const std::vector<std::string>* files;

    u32 index(const Instruction& i) const { return static_cast<u32>(&i - instructions.data()); }
    /** "line 120: ld.shared.u32 %r1, [%r2]; (striped.cuh:88)" */
    std::string describe(const Instruction& i) const;
    /** "striped.cuh:88", or "line 120" of a text without .loc. */
    std::string site(const Instruction& i) const;
};

/** Where shared memory begins in its window: not at 0, as on the hardware, which keeps some for itself. */
constexpr u32 kSharedBase = 1024;
constexpr u32 kRankShift = 24;                             // shared::cluster: the rank + 1 above the address; 0 is the own block
constexpr u64 kSharedWindow = u64{0x5a} << 56;             // generic addresses of shared memory
constexpr u64 kLocalWindow = u64{0x5b} << 56;

}  // namespace jmarlin::machine
