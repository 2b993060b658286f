// The tiles of 2:4 sparse weights, whose activations are twice as deep: no 32x128, and 64x256 not on devices with 99 KB of shared memory.
// Java's twin: plan.KernelSet.
#pragma once

#define JMARLIN_STRIPED_TILES(TILE, ...) \
    TILE(__VA_ARGS__, 8, 64)             \
    TILE(__VA_ARGS__, 16, 128)           \
    TILE(__VA_ARGS__, 16, 256)           \
    TILE(__VA_ARGS__, 32, 256)           \
    TILE(__VA_ARGS__, 64, 256)
