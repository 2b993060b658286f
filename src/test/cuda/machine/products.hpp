// What the rest of the machine needs to know of products, and of lanes that meet.
#pragma once

#include "state.hpp"

namespace jmarlin::machine {

/** Reports an instruction that touches registers of a product under way (wgmma.cpp). */
void check_busy_registers(const Warp& warp, const Instruction& at, u32 lanes);

/** bar.warp.sync of lanes that are all there (barriers.cpp). */
void meet_lanes(Warp& warp, u32 lanes);

/** Of a bit per lane, the four lanes of every row (lane / 4): all of them. */
inline u32 whole_rows(u32 written) {
    u32 all = written & written >> 1;
    all &= all >> 2;
    return (all & 0x11111111u) * 15;
}

/**
 * d[16][kColumns] += a[16][16] * b[16][columns], exact products added in the order of k, each sum rounded to fp32. How tensor
 * cores round is not specified (9.7.14.5); with data whose sums are exact it does not matter.
 */
void multiply_add(float* d, u32 columns, const float (&a)[16][16], const float* b);

}  // namespace jmarlin::machine
