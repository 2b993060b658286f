// Operations of a whole warp or block, called by every lane.
#pragma once

#include "machine.hpp"

namespace jmarlin::emulator {

void collective_block_sync(Site site);
void collective_warp_sync(Site site);
u32 collective_shuffle(u32 value, u32 source_lane, Site site);
void collective_ldmatrix(u32* result, u32 row_address, Site site);
void collective_mma_half(float* d, const u32* a, u32 b0, u32 b1, Site site);
void collective_mma_bfloat16(float* d, const u32* a, u32 b0, u32 b1, Site site);

}  // namespace jmarlin::emulator
