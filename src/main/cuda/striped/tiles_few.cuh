// The tiles of weights that fewer models have, 4 bits each: as tiles.cuh, without those in between. Java's twin: plan.KernelSet.
#pragma once

#define JMARLIN_STRIPED_TILES(TILE, ...) \
    TILE(__VA_ARGS__, 8, 64)             \
    TILE(__VA_ARGS__, 16, 128)           \
    TILE(__VA_ARGS__, 32, 128)           \
    TILE(__VA_ARGS__, 32, 256)           \
    TILE(__VA_ARGS__, 64, 256)
