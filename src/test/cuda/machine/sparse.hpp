// 2:4 sparsity: of every four neighbouring k, A holds two, and metadata says which (Parallel Thread Execution ISA 9.0, 9.7.14.6, 9.7.15.6).
//
// A quad of dense k has a nibble, first | second << 2 with first < second. Lane 4r + t of a warp gives the nibbles of row r in its low
// half, of row r + 8 in its high one: lane t even of k 0 .. 15, odd of 16 .. 31. The selector chooses whose metadata it is, that of
// lanes t = 0, 1 (selector 0) or 2, 3 (selector 1):
//
//   bits of lane 4r + 2 * selector + odd:   31 .. 28 | .. | 19 .. 16 | 15 .. 12 | 11 .. 8 | 7 .. 4 | 3 .. 0
//     quad of k, row r + 8 and row r          4 odd + 3       4 odd    4 odd + 3                     4 odd
#pragma once

#include "state.hpp"

namespace jmarlin::machine {

/** Reads metadata and selector. Fails if nobody wrote it, reports a nibble whose two are not in order. */
Places read_places(Warp& w, const Instruction& i, const Operand& metadata, const Operand& selector);

/** d[16][columns] += a * b[32][columns] with A's stored elements in their places, added as multiply_add adds; no other k of B matters. */
void multiply_add_sparse(float* d, u32 columns, const float (&a)[16][16], const Places& places, const float* b);

}  // namespace jmarlin::machine
