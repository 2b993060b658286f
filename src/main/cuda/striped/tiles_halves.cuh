// The tiles in halves: TILE(what it is given besides, rows, columns, warps that share a block). Java's twin: plan.TileShape.IN_HALVES.
#pragma once

#define JMARLIN_STRIPED_TILES(TILE, ...) \
    TILE(__VA_ARGS__, 32, 128, 2)        \
    TILE(__VA_ARGS__, 64, 256, 2)
