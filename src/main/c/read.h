/* Rows of activations as digits, see product.h. Included by each instruction set, which says how 16-bit floats are widened; the
   compiler makes vectors of the loops. No operation here depends on how many values a vector holds. */
#ifndef JMARLIN_READ_H
#define JMARLIN_READ_H

#include <string.h>

#include "product.h"

typedef int8_t bytes16 __attribute__((vector_size(16)));
typedef int32_t ints4 __attribute__((vector_size(16)));

/* Widens count (16, 32, 64 or 128) numbers. */
typedef void widen_fp16(const uint16_t *from, float *to, int count);

/* The largest number of units: every digit is at most 127, of the three of fp32 also if the product that computes it rounds up. */
#define LARGEST_OF_TWO 32639.0f
#define LARGEST_OF_THREE 8355583.0f
/* Magnitudes of a segment between which unit and scale stay normal floats, as bits: 2^-70 and 2^100. */
#define SMALLEST_BITS 0x1c800000
#define LARGEST_BITS 0x71800000

/* The segment's activations as floats, in the order of the rows of the weights, zeros from k on. */
INLINE void load_segment(const struct call *call, int64_t row, int64_t segment, float *x, widen_fp16 *widen)
{
    const struct layer *layer = call->layer;
    int rows = (int) layer->segment_rows;
    int64_t begin = segment * rows;
    int64_t left = layer->k > begin ? layer->k - begin : 0;    /* the second half of the last block may be all padding */
    int count = left < rows ? (int) left : rows;
    uint16_t halves[LONGEST_SEGMENT];
    void *to = call->type == FP32 ? (void *) x : (void *) halves;
    if (count < rows) {
        memset(to, 0, (size_t) rows * (size_t) element_bytes(call->type));
    }
    const uint8_t *from = call->a + row * layer->k * element_bytes(call->type);
    if (layer->order == 0) {
        memcpy(to, from + begin * element_bytes(call->type), (size_t) count * (size_t) element_bytes(call->type));
    } else if (call->type == FP32) {
        for (int i = 0; i < count; i++) {
            memcpy(&x[i], from + 4 * (int64_t) layer->order[begin + i], 4);
        }
    } else {
        for (int i = 0; i < count; i++) {
            memcpy(&halves[i], from + 2 * (int64_t) layer->order[begin + i], 2);
        }
    }
    if (call->type == FP16) {
        widen(halves, x, rows);
    } else if (call->type == BF16) {
        for (int i = 0; i < rows; i++) {
            uint32_t bits = (uint32_t) halves[i] << 16;
            memcpy(&x[i], &bits, 4);
        }
    }
}

/* The largest magnitude, as bits: of floats without sign these have the same order. */
INLINE int32_t largest_bits(const float *x, int count)
{
    int32_t largest = 0;
    for (int i = 0; i < count; i++) {
        int32_t bits;
        memcpy(&bits, &x[i], 4);
        bits &= 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    return largest;
}

/* Word j of vector i becomes word i of vector j. */
INLINE void turn(const ints4 from[4], ints4 to[4])
{
    ints4 low01 = __builtin_shuffle(from[0], from[1], (ints4) {0, 4, 1, 5});
    ints4 low23 = __builtin_shuffle(from[2], from[3], (ints4) {0, 4, 1, 5});
    ints4 high01 = __builtin_shuffle(from[0], from[1], (ints4) {2, 6, 3, 7});
    ints4 high23 = __builtin_shuffle(from[2], from[3], (ints4) {2, 6, 3, 7});
    to[0] = __builtin_shuffle(low01, low23, (ints4) {0, 1, 4, 5});
    to[1] = __builtin_shuffle(low01, low23, (ints4) {2, 3, 6, 7});
    to[2] = __builtin_shuffle(high01, high23, (ints4) {0, 1, 4, 5});
    to[3] = __builtin_shuffle(high01, high23, (ints4) {2, 3, 6, 7});
}

/* 64 bytes of a block from the order of its rows into that of a line: 4 x 16 bytes [p][t][e], each to 4 words [t] of [e][p]; then the
   words to [t][j]. */
INLINE void to_line_order(const int8_t *rows, ints4 line[4])
{
    const bytes16 pairs = {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15};
    ints4 words[4];
    for (int j = 0; j < 4; j++) {
        bytes16 sixteen;
        memcpy(&sixteen, rows + 16 * j, 16);
        words[j] = (ints4) __builtin_shuffle(sixteen, pairs);
    }
    turn(words, line);
}

/* Puts the digits of one place of a segment, given in the order of rows, into that of lines: whole ones, see segment_bytes. */
INLINE void store_lines(const int8_t *rows, const struct layer *layer, int64_t segment, int8_t *to)
{
    int8_t whole[STRIP] = {0};
    if (layer->segment_rows < STRIP) {
        int64_t part = layer->segment_rows;
        memcpy(whole + segment % (STRIP / part) * part, rows, (size_t) part);
        rows = whole;
    }
    for (int block = 0; block < segment_bytes(layer) / STRIP; block++) {
        ints4 line[4];
        to_line_order(rows + block * STRIP, line);
        memcpy(to + block * LINE, line, LINE);
    }
}

/* Takes the last digit off values. Returns the sum of these digits. */
INLINE int32_t split_last(int32_t *values, int count, int8_t *digits)
{
    int32_t sum = 0;
    for (int i = 0; i < count; i++) {
        int32_t digit = (int8_t) values[i];
        digits[i] = (int8_t) digit;
        sum += digit;
        values[i] = (values[i] - digit) >> 8;
    }
    return sum;
}

/* One segment of one row. Returns false if it cannot be held in digits. */
INLINE bool read_segment(const struct call *call, int64_t row, int64_t segment, int places, widen_fp16 *widen)
{
    int rows = (int) call->layer->segment_rows;
    float x[LONGEST_SEGMENT];
    load_segment(call, row, segment, x, widen);
    int32_t bits = largest_bits(x, rows);
    bool usable = bits == 0 || (bits >= SMALLEST_BITS && bits <= LARGEST_BITS);
    float largest = 0;
    if (usable) {
        memcpy(&largest, &bits, 4);
    } else {
        memset(x, 0, sizeof x);
    }
    float most = places == 3 ? LARGEST_OF_THREE : LARGEST_OF_TWO;
    float per_unit = largest == 0 ? 0 : most / largest;
    int32_t values[LONGEST_SEGMENT];
    for (int i = 0; i < rows; i++) {
        float scaled = x[i] * per_unit;
        values[i] = (int32_t) (scaled + __builtin_copysignf(0.5f, scaled));
    }
    int32_t sum = 0, last_sum = 0;
    int8_t digits[3][LONGEST_SEGMENT];
    if (places == 3) {
        last_sum = split_last(values, rows, digits[2]);
    }
    for (int i = 0; i < rows; i++) {
        sum += values[i];
    }
    split_last(values, rows, digits[1]);
    split_last(values, rows, digits[0]);
    call->units[segment * call->rows + row] = largest / most;
    int32_t *sums = call->sums + (segment * call->rows + row) * 2;
    sums[0] = sum;
    sums[1] = last_sum;
    int8_t *lines = row_digits(call, segment, row);
    for (int place = 0; place < places; place++) {
        store_lines(digits[place], call->layer, segment, lines + place * segment_bytes(call->layer));
    }
    return usable;
}

INLINE void read_places(const struct call *call, int64_t unit, int places, widen_fp16 *widen)
{
    for (int64_t row = unit * UNIT_ROWS; row < (unit + 1) * UNIT_ROWS && row < call->rows; row++) {
        bool usable = true;
        for (int64_t segment = 0; segment < call->layer->segments; segment++) {
            usable &= read_segment(call, row, segment, places, widen);
        }
        call->refused[row] = !usable;
    }
}

/* Reads the rows of a unit. */
INLINE void read_unit(const struct call *call, int64_t unit, widen_fp16 *widen)
{
    if (call->type == FP32) {
        read_places(call, unit, 3, widen);
    } else {
        read_places(call, unit, 2, widen);
    }
}

#endif
