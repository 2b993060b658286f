/*
 * The outline of the product of one strip with all rows, the same for every instruction set. The file of an instruction set includes
 * this after it has defined
 *   TARGET               the function attribute that allows its instructions
 *   ROWS                 rows that many_rows takes at a time: 2 or 4, where their number is a constant of the code, or 16, any number
 *   widen, narrow        fp16 to float and back, see read.h and write.h
 *   turn_lines, many_rows
 * which are all that is written with intrinsics; the rest becomes vectors as it stands. What few rows need is in few.h.
 */
#include <string.h>

#include "product.h"
#include "read.h"
#include "write.h"

/*
 * turn_lines(block, quarter, turned)
 *   the quarter's eight lines, to [8][LINE]: vector v takes bytes 8 v to 8 v + 7 of each line. So its word of 32 bits number
 *   2 pair + s holds step 2 v + s, four rows, of columns 2 pair (low nibbles) and 2 pair + 1 of the quarter.
 * many_rows(turned, stride, vectors, digits, place_bytes, rows, places, to)
 *   over turned lines, for 1 to ROWS rows; vectors and their 8 digits lie stride times LINE and stride times 8 bytes apart. Digits of
 *   the next place lie place_bytes on, after the last place those of the next row. For each row i and column x of the quarter adds to
 *   its total
 *     ((sum of codes * digits) - zeros[x] * activations[i]) * (units[i] * scales[x])
 *   with one rounding at its end. Of three places the first bracket is 256 times that of the first two, plus that of the last with its
 *   own sum of activations, added in floats with one rounding: all together need 35 bits.
 */

/* Scales and zero points of a scale row of a strip. */
struct scales {
    float values[STRIP];
    int32_t zeros[STRIP];
};

TARGET INLINE void read_scales(const struct layer *layer, int64_t strip, int64_t segment, struct scales *to)
{
    const struct strip *weights = &layer->strips[strip];
    int64_t at = segment / layer->segments_per_scale * STRIP;
    if (layer->scale_type == FP16) {
        widen(weights->scales + at, to->values, STRIP);
    } else {
        for (int i = 0; i < STRIP; i++) {
            uint32_t bits = (uint32_t) weights->scales[at + i] << 16;
            memcpy(&to->values[i], &bits, 4);
        }
    }
    float half = half_shift(layer->scale_type);
    for (int i = 0; i < STRIP; i++) {
        to->values[i] = to->values[i] * half * layer->factors[strip * STRIP + i];
        to->zeros[i] = 8;
    }
    for (int i = 0; weights->zeros != 0 && i < STRIP; i += 2) {    /* 0x8000 | z << 4 (column % 2) */
        to->zeros[i] = weights->zeros[at + i] & 0x7fff;
        to->zeros[i + 1] = (weights->zeros[at + i + 1] & 0x7fff) >> 4;
    }
}

TARGET INLINE struct quarter quarter_of(const struct call *call, int64_t segment, int64_t row, int quarter, const struct scales *scales,
        float totals[][STRIP])
{
    int column = quarter * QUARTER;
    int64_t at = segment * call->rows + row;
    return (struct quarter) {scales->values + column, scales->zeros + column, call->units + at, call->sums + 2 * at,
            (float (*)[STRIP]) &totals[row][column]};
}

INLINE const uint8_t *segment_codes(const struct layer *layer, int64_t strip, int64_t segment)
{
    return layer->strips[strip].codes + segment_block(layer, segment) * BLOCK_BYTES;
}

/* ---- many rows ---- */

/* A quarter's lines of a segment, turned. */
struct turned {
    uint8_t lines[LONGEST_SEGMENT / STRIP * QUARTER_BYTES];
};

TARGET INLINE void turn_segment(const struct layer *layer, int64_t strip, int64_t segment, int quarter, struct turned *to)
{
    const uint8_t *block = segment_codes(layer, strip, segment);
    for (int b = 0; b < segment_blocks(layer, segment); b++) {
        turn_lines(block + b * BLOCK_BYTES, quarter, to->lines + b * QUARTER_BYTES);
    }
}

/* Adds a segment to the totals of 1 to ROWS rows, row and those after it. Half a block is every other vector.
   NOTES: what many_rows gets is constant where that makes addresses constant. */
TARGET INLINE void add_rows(const struct call *call, int64_t segment, int quarter, int64_t row, int rows, int places,
        const struct scales *scales, const struct turned *turned, float totals[][STRIP])
{
    const int8_t *digits = row_digits(call, segment, row);
    struct quarter to = quarter_of(call, segment, row, quarter, scales, totals);
    switch (call->layer->segment_rows) {
        case 32: many_rows(turned->lines + segment % 2 * LINE, 2, 4, digits + segment % 2 * 8, 64, rows, places, &to); break;
        case 64: many_rows(turned->lines, 1, 8, digits, 64, rows, places, &to); break;
        default: many_rows(turned->lines, 1, 8 * segment_blocks(call->layer, segment), digits, 128, rows, places, &to);
    }
}

/* Rows of A. */
struct rows {
    int64_t first, end;
};

TARGET INLINE void add_all_rows(const struct call *call, int64_t segment, int quarter, struct rows rows, int places,
        const struct scales *scales, const struct turned *turned, float totals[][STRIP])
{
    int64_t row = rows.first;
    for (; row + ROWS <= rows.end; row += ROWS) {
        add_rows(call, segment, quarter, row, ROWS, places, scales, turned, totals);
    }
    if (ROWS == 16 && row < rows.end) {
        add_rows(call, segment, quarter, row, (int) (rows.end - row), places, scales, turned, totals);
        return;
    }
    for (; row + 2 <= rows.end; row += 2) {
        add_rows(call, segment, quarter, row, 2, places, scales, turned, totals);
    }
    if (row < rows.end) {
        add_rows(call, segment, quarter, row, 1, places, scales, turned, totals);
    }
}

/* NOTES: functions of their own, because gcc 12 finds registers for the loops of short ones only. */
TARGET static __attribute__((noinline)) void add_two_places(const struct call *call, int64_t segment, int quarter, struct rows rows,
        const struct scales *scales, const struct turned *turned, float totals[][STRIP])
{
    add_all_rows(call, segment, quarter, rows, 2, scales, turned, totals);
}

TARGET static __attribute__((noinline)) void add_three_places(const struct call *call, int64_t segment, int quarter, struct rows rows,
        const struct scales *scales, const struct turned *turned, float totals[][STRIP])
{
    add_all_rows(call, segment, quarter, rows, 3, scales, turned, totals);
}

/* NOTES: lines are turned a segment ahead: vectors that were just stored cost some ten clocks to load. */
TARGET static void multiply_many(const struct call *call, int64_t strip, struct rows rows)
{
    const struct layer *layer = call->layer;
    float totals[MOST_ROWS][STRIP];
    memset(totals, 0, (size_t) rows.end * sizeof totals[0]);
    struct turned turned[2][STRIP / QUARTER];
    for (int quarter = 0; quarter < STRIP / QUARTER; quarter++) {
        turn_segment(layer, strip, 0, quarter, &turned[0][quarter]);
    }
    for (int64_t segment = 0; segment < layer->segments; segment++) {
        struct scales scales;
        read_scales(layer, strip, segment, &scales);
        for (int quarter = 0; quarter < STRIP / QUARTER; quarter++) {
            if (segment + 1 < layer->segments) {
                turn_segment(layer, strip, segment + 1, quarter, &turned[(segment + 1) % 2][quarter]);
            }
            const struct turned *now = &turned[segment % 2][quarter];
            if (call->type == FP32) {
                add_three_places(call, segment, quarter, rows, &scales, now, totals);
            } else {
                add_two_places(call, segment, quarter, rows, &scales, now, totals);
            }
        }
    }
    for (int64_t row = rows.first; row < rows.end; row++) {
        write_row(call, row, strip, totals[row], widen, narrow);
    }
}

TARGET static void read(const struct call *call, int64_t unit)
{
    read_unit(call, unit, widen);
}
