/*
 * Codes that are no 4-bit integers, as two planes of such: code = 16 high + low, each plane a block in the order of 4-bit codes. The
 * product with a plane is the product with 4-bit weights, of which the high plane's scales are 16 times as large.
 *
 *   8-bit integers    a word of a lane holds rows 16 j + 8 p + 2 t + {0, 1}, columns h, in bytes 2 e + h; word 2 j + p of its eight
 *   4-bit floats      twice their value, from -12 on: 0..24. Of a half of a word magnitude i at bits 3 i to 3 i + 2, its sign at bit
 *                     13, 12, 14, 15; nibble i of the planes
 */
#ifndef JMARLIN_PLANES_H
#define JMARLIN_PLANES_H

#include <string.h>

#include "product.h"

enum {
    PLANES = 2,
    LANES = 32,
    LANE_WORDS = 4,           /* of 32 bits, in a piece of 16 bytes */
    FLOAT_MIDDLE = 12,
};

/* The planes of one or two blocks. */
struct planes {
    uint8_t blocks[PLANES][LONGEST_SEGMENT / STRIP][BLOCK_BYTES];
    int64_t first;            /* the block that they begin with, or -1 */
};

/* The low nibbles of a word's bytes 2 e + h: those of e, side by side in the lower byte of each half. */
INLINE uint32_t low_nibbles(uint32_t word)
{
    return (word & 0x000f000f) | (word >> 4 & 0x00f000f0);
}

INLINE void split_bytes(const uint8_t *block, uint8_t *low, uint8_t *high)
{
    for (int sub = 0; sub < 4; sub++) {
        for (int piece = 0; piece < 2; piece++) {
            const uint8_t *from = block + (2 * sub + piece) * SUB_BLOCK_BYTES;
            for (int i = 0; i < LANES * 2; i++) {
                uint32_t rows[2];          /* p = 0 and 1 */
                memcpy(rows, from + 8 * i, 8);
                uint32_t lows = low_nibbles(rows[0]) | low_nibbles(rows[1]) << 8;
                uint32_t highs = low_nibbles(rows[0] >> 4) | low_nibbles(rows[1] >> 4) << 8;
                int at = sub * SUB_BLOCK_BYTES + i / 2 * 16 + 8 * piece + i % 2 * 4;
                memcpy(low + at, &lows, 4);
                memcpy(high + at, &highs, 4);
            }
        }
    }
}

/* Adds code i of a half of a word to the planes' halves. */
INLINE void split_float(uint16_t half, int i, int sign_bit, uint16_t *low, uint16_t *high)
{
    uint16_t m = half >> 3 * i & 7, sign = half >> sign_bit & 1;
    uint16_t twice = (uint16_t) (m + (m >> 2) * ((m & 3) + 2 * (m & m >> 1 & 1)));    /* 0, 1, 2, 3, 4, 6, 8, 12 */
    uint16_t code = (uint16_t) (FLOAT_MIDDLE + twice - 2 * sign * twice);
    *low = (uint16_t) (*low | (code & 15) << 4 * i);
    *high = (uint16_t) (*high | code >> 4 << 4 * i);
}

INLINE void split_floats(const uint8_t *block, uint8_t *low, uint8_t *high)
{
    for (int at = 0; at < BLOCK_BYTES; at += 2) {
        uint16_t half, lows = 0, highs = 0;
        memcpy(&half, block + at, 2);
        split_float(half, 0, 13, &lows, &highs);
        split_float(half, 1, 12, &lows, &highs);
        split_float(half, 2, 14, &lows, &highs);
        split_float(half, 3, 15, &lows, &highs);
        memcpy(low + at, &lows, 2);
        memcpy(high + at, &highs, 2);
    }
}

/* Asks for the block that is taken apart four blocks on; what the products ask for lies among the planes, which are at hand.
   NOTES: without, cold weights arrive at two thirds of the rate, see prefetch. */
INLINE void prefetch_block(const uint8_t *block, int64_t bytes)
{
    for (int64_t at = 0; at < bytes; at += LINE) {
        __builtin_prefetch(block + 4 * bytes + at);
    }
}

/* The blocks of one of count planes of a segment: where they lie, or taken apart. Segments of part of a block find it as the one before
   left it. */
INLINE const uint8_t *plane_blocks(const struct layer *layer, int64_t strip, int64_t segment, int plane, int count, struct planes *planes)
{
    int64_t first = segment_block(layer, segment);
    const uint8_t *codes = layer->strips[strip].codes + first * (count == 1 ? BLOCK_BYTES : block_bytes(layer));
    if (count == 1) {
        return codes;
    }
    if (planes->first != first) {
        planes->first = first;
        for (int b = 0; b < segment_blocks(layer, segment); b++) {
            const uint8_t *block = codes + b * block_bytes(layer);
            prefetch_block(block, block_bytes(layer));
            if (layer->code_type == INT8) {
                split_bytes(block, planes->blocks[0][b], planes->blocks[1][b]);
            } else {
                split_floats(block, planes->blocks[0][b], planes->blocks[1][b]);
            }
        }
    }
    return planes->blocks[plane][0];
}

#endif
