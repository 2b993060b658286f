// The tiles that exist as kernels: TILE(what it is given besides, rows, columns). Java's twin: plan.TileShape.INSTANCES.
#pragma once

#define JMARLIN_STRIPED_TILES(TILE, ...) \
    TILE(__VA_ARGS__, 8, 64)             \
    TILE(__VA_ARGS__, 8, 128)            \
    TILE(__VA_ARGS__, 16, 128)           \
    TILE(__VA_ARGS__, 16, 256)           \
    TILE(__VA_ARGS__, 32, 128)           \
    TILE(__VA_ARGS__, 32, 256)           \
    TILE(__VA_ARGS__, 48, 256)           \
    TILE(__VA_ARGS__, 64, 256)
