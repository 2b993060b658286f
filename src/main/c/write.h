/* A strip's part of a row of results: bias added, rounded to nearest even, cut off at n. Included by each instruction set. */
#ifndef JMARLIN_WRITE_H
#define JMARLIN_WRITE_H

#include <string.h>

#include "product.h"

/* Rounds STRIP numbers. */
typedef void narrow_fp16(const float *from, uint16_t *to);

/* Writes the totals [STRIP] of a row. NOTES: only rows without NaN come here with results that count, so bf16 needs no case for it. */
INLINE void write_row(const struct call *call, int64_t row, int64_t strip, const float *totals, narrow_fp16 *narrow)
{
    const struct layer *layer = call->layer;
    int64_t column = strip * STRIP;
    int count = layer->n - column < STRIP ? (int) (layer->n - column) : STRIP;
    float y[STRIP];
    for (int i = 0; i < STRIP; i++) {
        y[i] = layer->bias == 0 ? totals[i] : totals[i] + layer->bias[column + i];
    }
    uint8_t *to = call->c + (row * layer->n + column) * element_bytes(call->type);
    if (call->type == FP32) {
        memcpy(to, y, 4 * (size_t) count);
        return;
    }
    uint16_t halves[STRIP];
    if (call->type == FP16) {
        narrow(y, halves);
    } else {
        for (int i = 0; i < STRIP; i++) {
            uint32_t bits;
            memcpy(&bits, &y[i], 4);
            halves[i] = (uint16_t) ((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
        }
    }
    memcpy(to, halves, 2 * (size_t) count);
}

#endif
