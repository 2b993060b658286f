// The tiles that exist as kernels: TILE(what it is given besides, rows, columns, neighbours in n, blocks along k). Java's twin:
// plan.HopperTile.INSTANCES.
//
// Narrow columns in clusters of four for layers of few columns; wide tiles, or pairs of narrow ones, for the others; stripes
// (1 block along k) for shapes that fill clusters badly.
#pragma once

#define JMARLIN_HOPPER_TILES(TILE, ...) \
    TILE(__VA_ARGS__, 8, 128, 1, 1)     \
    TILE(__VA_ARGS__, 8, 128, 1, 2)     \
    TILE(__VA_ARGS__, 8, 128, 1, 4)     \
    TILE(__VA_ARGS__, 16, 128, 1, 4)    \
    TILE(__VA_ARGS__, 16, 256, 1, 1)    \
    TILE(__VA_ARGS__, 16, 256, 1, 2)    \
    TILE(__VA_ARGS__, 16, 256, 1, 4)    \
    TILE(__VA_ARGS__, 16, 128, 2, 2)    \
    TILE(__VA_ARGS__, 32, 128, 1, 4)    \
    TILE(__VA_ARGS__, 32, 256, 1, 1)    \
    TILE(__VA_ARGS__, 32, 256, 1, 4)    \
    TILE(__VA_ARGS__, 32, 128, 2, 2)    \
    TILE(__VA_ARGS__, 64, 128, 1, 4)    \
    TILE(__VA_ARGS__, 64, 256, 1, 1)    \
    TILE(__VA_ARGS__, 64, 256, 1, 2)    \
    TILE(__VA_ARGS__, 64, 256, 1, 4)    \
    TILE(__VA_ARGS__, 64, 128, 2, 2)    \
    TILE(__VA_ARGS__, 64, 256, 2, 1)    \
    TILE(__VA_ARGS__, 128, 128, 1, 4)   \
    TILE(__VA_ARGS__, 128, 128, 2, 2)   \
    TILE(__VA_ARGS__, 128, 256, 1, 1)   \
    TILE(__VA_ARGS__, 128, 256, 2, 1)   \
    TILE(__VA_ARGS__, 128, 256, 1, 2)   \
    TILE(__VA_ARGS__, 128, 256, 2, 2)
