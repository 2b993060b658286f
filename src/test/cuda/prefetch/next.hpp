// What a kernel is told of the product that runs after it.
#pragma once

#include "gemm_args.cuh"
#include "../striped/problem.hpp"

namespace striped_test {

/** Where the thread blocks of a product start, see prefetch.cuh: in tiles of `columns`, `units_per_start` apart. */
inline jmarlin::Prefetch next_product(u64 codes, const Packed& packed, int columns, int m_tiles, int units_per_start, int starts,
                                      int units) {
    return {codes, packed.k_blocks, packed.strips, columns / 64, m_tiles, units_per_start, starts, units};
}

}  // namespace striped_test
