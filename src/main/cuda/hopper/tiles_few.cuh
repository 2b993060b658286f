// The tiles of the number forms beside int4 and of sparse weights, as tiles.cuh has them; of a k-block of 128 k, or of 4096 bytes, a stage
// has the fewer. Java's twin: plan.KernelSet.
#pragma once

#define JMARLIN_HOPPER_TILES(TILE, ...) \
    TILE(__VA_ARGS__, 8, 128, 1, 1)     \
    TILE(__VA_ARGS__, 8, 128, 1, 4)     \
    TILE(__VA_ARGS__, 16, 128, 2, 2)    \
    TILE(__VA_ARGS__, 32, 128, 1, 4)    \
    TILE(__VA_ARGS__, 64, 128, 2, 2)    \
    TILE(__VA_ARGS__, 128, 128, 2, 2)
