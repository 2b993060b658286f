// A list of tiles with one tile, the one that the build compiles an image of: -DJMARLIN_TILE=8,64.
#pragma once

#define JMARLIN_ONE_TILE(TILE, ...) JMARLIN_EXPANDED(TILE, __VA_ARGS__, JMARLIN_TILE)
#define JMARLIN_EXPANDED(TILE, ...) TILE(__VA_ARGS__)
