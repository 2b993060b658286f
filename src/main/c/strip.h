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

#include "planes.h"
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

/* Scales and zero points of a scale row of a strip, of one plane. */
struct scales {
    float values[STRIP];
    int32_t zeros[STRIP];
};

/* Of all planes; and what the sum of the activations is multiplied by, where there are float zeros. */
struct scale_row {
    struct scales planes[PLANES];
    float zero_terms[STRIP];
};

/* Sixteen-bit numbers of a strip as floats. */
TARGET INLINE void widen_row(const struct layer *layer, const uint16_t *from, float *to)
{
    if (layer->scale_type == FP16) {
        widen(from, to, STRIP);
        return;
    }
    for (int i = 0; i < STRIP; i++) {
        uint32_t bits = (uint32_t) from[i] << 16;
        memcpy(&to[i], &bits, 4);
    }
}

/* The zero points of integers: 0x8000 | z << 4 (column % 2), or 0x8000 | z of 8-bit codes. */
INLINE void read_zeros(const struct layer *layer, const uint16_t *from, int32_t *to)
{
    int odd_shift = layer->code_type == INT8 ? 0 : 4;
    for (int i = 0; i < STRIP; i += 2) {
        to[i] = from[i] & 0x7fff;
        to[i + 1] = (from[i + 1] & 0x7fff) >> odd_shift;
    }
}

/* Of count planes. */
TARGET INLINE void read_scales(const struct layer *layer, int64_t strip, int64_t segment, int count, struct scale_row *to)
{
    const struct strip *weights = &layer->strips[strip];
    int64_t at = segment / layer->segments_per_scale * STRIP;
    int32_t middle = count == 1 ? 8 : layer->code_type == INT8 ? 128 : FLOAT_MIDDLE;
    struct scales *low = &to->planes[0], *high = &to->planes[1];
    widen_row(layer, weights->scales + at, low->values);
    float half = half_shift(layer->scale_type);
    for (int i = 0; i < STRIP; i++) {
        low->values[i] = low->values[i] * half * layer->factors[strip * STRIP + i];
        low->zeros[i] = middle;
    }
    if (layer->zero_factors != 0) {
        /* code * scale + Z = (code - middle) * scale + (middle * scale + Z), and the second term is small if the middle is -Z / scale */
        widen_row(layer, weights->zeros + at, to->zero_terms);
        float most = layer->code_type == INT8 ? 255 : 15;
        for (int i = 0; i < STRIP; i++) {
            float zero = to->zero_terms[i] * layer->zero_factors[strip * STRIP + i];
            float wanted = low->values[i] == 0 ? (float) middle : -zero / low->values[i];
            wanted = wanted < 0 ? 0 : wanted > most ? most : wanted;
            low->zeros[i] = (int32_t) (wanted + 0.5f);
            to->zero_terms[i] = __builtin_fmaf((float) low->zeros[i], low->values[i], zero);
        }
    } else if (weights->zeros != 0) {
        read_zeros(layer, weights->zeros + at, low->zeros);
    }
    for (int i = 0; count == 2 && i < STRIP; i++) {
        high->values[i] = 16 * low->values[i];
        high->zeros[i] = low->zeros[i] >> 4;
        low->zeros[i] &= 15;
    }
}

/* Adds to each row's totals the sum of its activations times the float zeros. */
TARGET INLINE void add_zero_terms(const struct call *call, int64_t segment, int64_t first, int64_t end, const struct scale_row *scales,
        float totals[][STRIP])
{
    for (int64_t row = first; call->layer->zero_factors != 0 && row < end; row++) {
        int64_t at = segment * call->rows + row;
        const int32_t *sums = call->sums + 2 * at;
        float sum = call->type == FP32 ? __builtin_fmaf((float) sums[0], 256, (float) sums[1]) : (float) sums[0];
        float activations = sum * call->units[at];
        for (int i = 0; i < STRIP; i++) {
            totals[row][i] = __builtin_fmaf(scales->zero_terms[i], activations, totals[row][i]);
        }
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

/* ---- many rows ---- */

/* A quarter's lines of a segment, turned. */
struct turned {
    uint8_t lines[LONGEST_SEGMENT / STRIP * QUARTER_BYTES];
};

TARGET INLINE void turn_segment(const struct layer *layer, int64_t strip, int64_t segment, int quarter, int plane, int count,
        struct planes *planes, struct turned *to)
{
    const uint8_t *block = plane_blocks(layer, strip, segment, plane, count, planes);
    for (int b = 0; b < segment_blocks(layer, segment); b++) {
        turn_lines(block + b * BLOCK_BYTES, quarter, to->lines + b * QUARTER_BYTES);
    }
}

/* Adds a segment to the totals of 1 to ROWS rows, row and those after it. Half a block is every other vector; a
   quarter, the half that it is in, of which the rest has no digits.
   NOTES: what many_rows gets is constant where that makes addresses constant. */
TARGET INLINE void add_rows(const struct call *call, int64_t segment, int quarter, int64_t row, int rows, int places,
        const struct scales *scales, const struct turned *turned, float totals[][STRIP])
{
    const int8_t *digits = row_digits(call, segment, row);
    struct quarter to = quarter_of(call, segment, row, quarter, scales, totals);
    switch (call->layer->segment_rows) {
        case 16: many_rows(turned->lines + segment / 2 % 2 * LINE, 2, 4, digits + segment / 2 % 2 * 8, 64, rows, places, &to); break;
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
TARGET INLINE void multiply_planes(const struct call *call, int64_t strip, struct rows rows, int count)
{
    const struct layer *layer = call->layer;
    float totals[MOST_ROWS][STRIP];
    memset(totals, 0, (size_t) rows.end * sizeof totals[0]);
    struct planes planes;
    planes.first = -1;        /* an initializer would clear the blocks */
    struct turned turned[2][PLANES][STRIP / QUARTER];
    for (int plane = 0; plane < count; plane++) {
        for (int quarter = 0; quarter < STRIP / QUARTER; quarter++) {
            turn_segment(layer, strip, 0, quarter, plane, count, &planes, &turned[0][plane][quarter]);
        }
    }
    for (int64_t segment = 0; segment < layer->segments; segment++) {
        struct scale_row scales;
        read_scales(layer, strip, segment, count, &scales);
        for (int plane = 0; plane < count; plane++) {
            for (int quarter = 0; quarter < STRIP / QUARTER; quarter++) {
                if (segment + 1 < layer->segments) {
                    turn_segment(layer, strip, segment + 1, quarter, plane, count, &planes, &turned[(segment + 1) % 2][plane][quarter]);
                }
                const struct turned *now = &turned[segment % 2][plane][quarter];
                if (call->type == FP32) {
                    add_three_places(call, segment, quarter, rows, &scales.planes[plane], now, totals);
                } else {
                    add_two_places(call, segment, quarter, rows, &scales.planes[plane], now, totals);
                }
            }
        }
        add_zero_terms(call, segment, rows.first, rows.end, &scales, totals);
    }
    for (int64_t row = rows.first; row < rows.end; row++) {
        write_row(call, row, strip, totals[row], widen, narrow);
    }
}

/* NOTES: the number of planes is constant where it matters: 4-bit codes have one. */
TARGET static void multiply_many(const struct call *call, int64_t strip, struct rows rows)
{
    if (planes_of(call->layer) == 1) {
        multiply_planes(call, strip, rows, 1);
    } else {
        multiply_planes(call, strip, rows, PLANES);
    }
}

TARGET static void read(const struct call *call, int64_t unit)
{
    read_unit(call, unit, widen);
}
