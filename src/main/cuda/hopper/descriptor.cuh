// Where the tensor cores find a tile in shared memory.
#pragma once

#include "ptx_sm90.cuh"

namespace jmarlin {
namespace hopper {

// Matrix descriptor of a K-major tile of rows of 128 bytes in the 128-byte swizzle (Parallel Thread Execution ISA 9.0, 9.7.15.5.1):
//   bits  0-13  start address / 16
//   bits 16-29  leading dimension offset / 16: not used by swizzled K-major tiles, 1
//   bits 32-45  stride dimension offset / 16: from one group of 8 rows to the next, 1024 bytes
//   bits 49-51  base offset: 0, the tile starts at a multiple of 1024
//   bits 62-63  swizzle: 1 = 128 bytes
// Chunk c (16 bytes) of row i lies at 128 i + 16 (c ^ i % 8). The next 16 k are 32 bytes further: add 2 to the descriptor.
constexpr u32 kDescriptorHigh = 1024 >> 4 | u32(1) << 30;

JMARLIN_DEVICE u64 swizzled_descriptor(u32 address) {
    return u64(kDescriptorHigh) << 32 | u64(1) << 16 | (address & 0x3ffff) >> 4;
}

}  // namespace hopper
}  // namespace jmarlin
