// ENTRIES(f16_sym_g64, Half, Symmetric4, 1): an entry point of the striped kernel for each of the file's tiles, with the type, what a
// weight is and the scale rows of a block. To be included after the list of tiles, JMARLIN_STRIPED_TILES, and after an ENTRY of
// the file's own if its tiles have more numbers.
#pragma once

#include "one_tile.cuh"
#include "striped.cuh"

#ifndef ENTRY
#define ENTRY(name, T, Form, scale_rows, batch, columns)                                                           \
    extern "C" __global__ void __launch_bounds__(256, 1)                                                           \
        striped_##name##_m##batch##_n##columns(const __grid_constant__ jmarlin::GemmArgs args) {                   \
        jmarlin::striped_gemm<jmarlin::StripedShape<jmarlin::T, jmarlin::Form, scale_rows, batch, columns>>(args); \
    }
#endif

#ifdef JMARLIN_TILE
#define TILES JMARLIN_ONE_TILE
#else
#define TILES JMARLIN_STRIPED_TILES
#endif
#define ENTRIES(name, T, Form, scale_rows) TILES(ENTRY, name, T, Form, scale_rows)
