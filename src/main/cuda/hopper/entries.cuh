// ENTRIES(f16_sym_g64, Half, Symmetric4, 1): an entry point of the Hopper kernel for each of the file's tiles, with the type, what a
// weight is and the scale rows of a k-block. To be included after the list of tiles, JMARLIN_HOPPER_TILES.
#pragma once

#include "hopper.cuh"
#include "one_tile.cuh"

#define ENTRY(name, T, Form, scale_rows, batch, columns, neighbours, split)                                                       \
    extern "C" __global__ void __cluster_dims__(neighbours * split) __launch_bounds__(jmarlin::hopper::kThreads, 1)               \
        hopper_##name##_m##batch##_n##columns##_p##neighbours##_s##split(const __grid_constant__ jmarlin::GemmArgs args) {        \
        using Shape = jmarlin::hopper::Shape<jmarlin::T, jmarlin::Form, scale_rows, batch, columns, neighbours, split>;           \
        jmarlin::hopper::multiply<Shape>(args);                                                                                   \
    }

#ifdef JMARLIN_TILE
#define TILES JMARLIN_ONE_TILE
#else
#define TILES JMARLIN_HOPPER_TILES
#endif
#define ENTRIES(name, T, Form, scale_rows) TILES(ENTRY, name, T, Form, scale_rows)
