/* A strip's part of a row of results: bias and epilogue, rounded to nearest even once, cut off at n. Included by each instruction set. */
#ifndef JMARLIN_WRITE_H
#define JMARLIN_WRITE_H

#include <math.h>
#include <string.h>

#include "product.h"
#include "read.h"

/* Rounds STRIP numbers. */
typedef void narrow_fp16(const float *from, uint16_t *to);

/*
 * e^x to 2 units of the last place; what lies beyond the ends becomes infinite, or 1e-38. x = n ln 2 + f with |f| <= ln 2 / 2: the
 * series of e^f ends with f^7 / 7!, and leaves 0.347^8 / 8! = 5e-9. NOTES: n is in the low bits of x / ln 2 + 1.5 * 2^23, so that
 * nothing is converted and the loop becomes vectors; ln 2 is in two parts, so that n times the first is exact.
 */
INLINE float exponential(float x)
{
    const float most = 0x1.62e42ep6f;      /* below 128 ln 2 */
    float inside = x < -87 ? -87 : x > most ? most : x;
    float shifted = inside * 0x1.715476p0f + 0x1.8p23f;
    float n = shifted - 0x1.8p23f;
    float f = __builtin_fmaf(n, -0x1.62e4p-1f, inside);
    f = __builtin_fmaf(n, -0x1.7f7d1cp-20f, f);
    float series = 1.f / 5040;
    series = __builtin_fmaf(series, f, 1.f / 720);
    series = __builtin_fmaf(series, f, 1.f / 120);
    series = __builtin_fmaf(series, f, 1.f / 24);
    series = __builtin_fmaf(series, f, 1.f / 6);
    series = __builtin_fmaf(series, f, 0.5f);
    series = __builtin_fmaf(series, f, 1);
    series = __builtin_fmaf(series, f, 1);
    uint32_t bits, exponent;
    memcpy(&bits, &series, 4);
    memcpy(&exponent, &shifted, 4);
    bits += exponent << 23;
    memcpy(&series, &bits, 4);
    return x > most ? INFINITY : series;
}

/* Pairs of columns g, u become silu(g) * u, in the first half of y. */
INLINE void silu_mul(float *y)
{
    float products[STRIP / 2];
    for (int i = 0; i < STRIP / 2; i++) {
        products[i] = y[2 * i] / (1 + exponential(-y[2 * i])) * y[2 * i + 1];
    }
    memcpy(y, products, sizeof products);
}

INLINE void add_residual(const struct call *call, int64_t at, int count, float *y, widen_fp16 *widen)
{
    float r[STRIP] = {0};
    const uint8_t *from = call->residual + at * element_bytes(call->output_type);
    if (call->output_type == FP32) {
        memcpy(r, from, 4 * (size_t) count);
    } else {
        uint16_t halves[STRIP] = {0};
        memcpy(halves, from, 2 * (size_t) count);
        if (call->output_type == FP16) {
            widen(halves, r, STRIP);
        } else {
            for (int i = 0; i < STRIP; i++) {
                uint32_t bits = (uint32_t) halves[i] << 16;
                memcpy(&r[i], &bits, 4);
            }
        }
    }
    for (int i = 0; i < STRIP; i++) {
        y[i] += r[i];
    }
}

/* To bf16. NOTES: a carry must not turn a NaN, of a residual for instance, into another number. */
INLINE uint16_t narrow_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, nan = bits >> 16 | 0x40;
    return (uint16_t) ((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

/* Writes the totals [STRIP] of a row, unless it was refused. */
INLINE void write_row(const struct call *call, int64_t row, int64_t strip, const float *totals, widen_fp16 *widen, narrow_fp16 *narrow)
{
    if (call->refused[row]) {
        return;
    }
    const struct layer *layer = call->layer;
    int64_t column = strip * STRIP, columns = layer->n;
    int count = layer->n - column < STRIP ? (int) (layer->n - column) : STRIP;
    float factor = call->row_factors == 0 ? 1 : call->row_factors[row];
    float y[STRIP];
    for (int i = 0; i < STRIP; i++) {
        y[i] = layer->bias == 0 ? totals[i] * factor : __builtin_fmaf(totals[i], factor, layer->bias[column + i]);
    }
    if (call->silu_mul) {
        silu_mul(y);
        column /= 2;
        columns /= 2;
        count /= 2;
    }
    int64_t at = row * columns + column;
    if (call->residual != 0) {
        add_residual(call, at, count, y, widen);
    }
    uint8_t *to = call->c + at * element_bytes(call->output_type);
    if (call->output_type == FP32) {
        memcpy(to, y, 4 * (size_t) count);
        return;
    }
    uint16_t halves[STRIP];
    if (call->output_type == FP16) {
        narrow(y, halves);
    } else {
        for (int i = 0; i < STRIP; i++) {
            halves[i] = narrow_bf16(y[i]);
        }
    }
    memcpy(to, halves, 2 * (size_t) count);
}

#endif
