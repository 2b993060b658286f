// The tiles of 8-bit weights. A stage is twice as long: of narrower tiles, with more activations, two do not fit 99 KB beside every
// number of scales, and the registers do not hold more rows. Java's twin: plan.KernelSet.
#pragma once

#define JMARLIN_STRIPED_TILES(TILE, ...) \
    TILE(__VA_ARGS__, 8, 128)            \
    TILE(__VA_ARGS__, 16, 256)           \
    TILE(__VA_ARGS__, 32, 256)
