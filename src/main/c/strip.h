/*
 * The outline of the product of one strip with all rows, the same for every instruction set. The file of an instruction set includes
 * this after it has defined
 *   TARGET               the function attribute that allows its instructions
 *   COLUMNS              columns that many_sums takes at a time
 *   widen, narrow        fp16 to float and back, see read.h and write.h
 *   few_sums, many_sums  digit sums, the only part that is written with intrinsics; all else becomes vectors as it stands
 */
#include <string.h>

#include "product.h"
#include "read.h"
#include "write.h"

/* Digit sums of a row (few) or a column (many): [0] of all places together, of three places but the last, [1] the last of three. */
typedef int32_t digit_sums[2][16];

/*
 * few_sums(block, quarter, digits, row_pitch, place_pitch, rows, blocks, places, sums)
 *   of 16 columns, 16 quarter to 16 quarter + 15, over 1 or 2 blocks, for 1 or 2 rows; digits as unit_digits says, of the first row;
 *   sums [rows], each with an element per column.
 * many_sums(codes, digits, steps, places, sums)
 *   of COLUMNS columns, codes [COLUMNS][LONGEST_SEGMENT] as bytes, four for each step, for 16 rows; digits as unit_digits says;
 *   sums [COLUMNS], each with an element per row.
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

/* Adds to a total: ((sum of codes * activations) - zero point * (sum of activations)) * unit * scale, with one rounding at its end.
   Of three places the last is apart, because all together need 35 bits. */
INLINE float add_scaled(float total, int32_t sum, int32_t last, int32_t zero, int32_t activations, int32_t last_activations, float unit,
        float scale, int places)
{
    float value = (float) (sum - zero * activations);
    if (places == 3) {
        value = __builtin_fmaf(value, 256, (float) (last - zero * last_activations));
    }
    return __builtin_fmaf(value, unit * scale, total);
}

/* ---- few rows ---- */

/* Adds a segment of 1 or 2 blocks to the totals of 1 or 2 rows, row and the one after it. */
TARGET INLINE void add_segment(const struct call *call, int64_t strip, int64_t unit, int64_t segment, int row, int rows, int blocks,
        int places, float totals[2][STRIP])
{
    const struct layer *layer = call->layer;
    const uint8_t *block = layer->strips[strip].codes + segment_block(layer, segment) * BLOCK_BYTES;
    int64_t place_pitch = segment_bytes(layer), pitch = places * place_pitch;
    const int8_t *digits = unit_digits(call, unit) + (segment * unit_rows(call, unit) + row) * pitch;
    const float *units = unit_units(call, unit) + segment * UNIT_ROWS + row;
    const int32_t *activations = unit_sums(call, unit) + segment * 2 * UNIT_ROWS + row;
    struct scales scales;
    read_scales(layer, strip, segment, &scales);
    for (int quarter = 0; quarter < STRIP / QUARTER; quarter++) {
        digit_sums sums[2];
        few_sums(block, quarter, digits, pitch, place_pitch, rows, blocks, places, sums);
        for (int i = 0; i < rows; i++) {
            for (int x = 0; x < QUARTER; x++) {
                int column = quarter * QUARTER + x;
                totals[i][column] = add_scaled(totals[i][column], sums[i][0][x], sums[i][1][x], scales.zeros[column], activations[i],
                        activations[UNIT_ROWS + i], units[i], scales.values[column], places);
            }
        }
    }
}

TARGET INLINE void multiply_rows(const struct call *call, int64_t strip, int64_t unit, int row, int rows, int places)
{
    const struct layer *layer = call->layer;
    float totals[2][STRIP] = {{0}};
    for (int64_t segment = 0; segment < layer->segments; segment++) {
        if (segment_blocks(layer, segment) == 2) {
            add_segment(call, strip, unit, segment, row, rows, 2, places, totals);
        } else {
            add_segment(call, strip, unit, segment, row, rows, 1, places, totals);
        }
    }
    for (int i = 0; i < rows; i++) {
        write_row(call, unit * UNIT_ROWS + row + i, strip, totals[i], widen, narrow);
    }
}

/* Two rows at a time: what one more would save is little, because the strip is in the cache then. */
TARGET INLINE void multiply_few(const struct call *call, int64_t strip, int64_t unit, int places)
{
    int rows = unit_rows(call, unit), row = 0;
    for (; row + 2 <= rows; row += 2) {
        multiply_rows(call, strip, unit, row, 2, places);
    }
    if (row < rows) {
        multiply_rows(call, strip, unit, row, 1, places);
    }
}

/* ---- many rows ---- */

INLINE void split(const uint8_t *bytes, int count, uint8_t *low, uint8_t *high)
{
    for (int i = 0; i < count; i++) {
        low[i] = bytes[i] & 15;
        high[i] = bytes[i] >> 4;
    }
}

/* The codes of a segment of a strip as bytes, four of a column for each step; of half a block only its half, as store_steps does. */
TARGET INLINE void decode(const struct layer *layer, int64_t strip, int64_t segment, uint8_t codes[STRIP][LONGEST_SEGMENT])
{
    const uint8_t *block = layer->strips[strip].codes + segment_block(layer, segment) * BLOCK_BYTES;
    for (int pair = 0; pair < STRIP / 2; pair++) {
        for (int b = 0; b < segment_blocks(layer, segment); b++) {
            const uint8_t *line = line_of(block + b * BLOCK_BYTES, pair / 8, pair % 8);
            prefetch(line);
            if (layer->segment_rows < STRIP) {
                uint8_t half[LINE / 2];
                for (int t = 0; t < 4; t++) {
                    memcpy(half + 8 * t, line + 16 * t + segment % 2 * 8, 8);
                }
                split(half, LINE / 2, codes[2 * pair], codes[2 * pair + 1]);
            } else {
                split(line, LINE, codes[2 * pair] + b * LINE, codes[2 * pair + 1] + b * LINE);
            }
        }
    }
}

TARGET INLINE void multiply_many(const struct call *call, int64_t strip, int64_t units, int places)
{
    const struct layer *layer = call->layer;
    float totals[MOST_UNITS][STRIP][UNIT_ROWS];
    memset(totals, 0, (size_t) units * sizeof totals[0]);
    for (int64_t segment = 0; segment < layer->segments; segment++) {
        uint8_t codes[STRIP][LONGEST_SEGMENT];
        struct scales scales;
        decode(layer, strip, segment, codes);
        read_scales(layer, strip, segment, &scales);
        int steps = layer->segment_rows < STRIP ? 8 : 16 * segment_blocks(layer, segment);
        for (int64_t unit = 0; unit < units; unit++) {
            const int8_t *digits = unit_digits(call, unit) + segment * layer->segment_rows * UNIT_ROWS * places;
            const float *row_units = unit_units(call, unit) + segment * UNIT_ROWS;
            const int32_t *activations = unit_sums(call, unit) + segment * 2 * UNIT_ROWS;
            for (int first = 0; first < STRIP; first += COLUMNS) {
                digit_sums sums[COLUMNS];
                many_sums(codes + first, digits, steps, places, sums);
                for (int i = 0; i < COLUMNS; i++) {
                    int column = first + i;
                    float *total = totals[unit][column];
                    for (int row = 0; row < UNIT_ROWS; row++) {
                        total[row] = add_scaled(total[row], sums[i][0][row], sums[i][1][row], scales.zeros[column], activations[row],
                                activations[UNIT_ROWS + row], row_units[row], scales.values[column], places);
                    }
                }
            }
        }
    }
    for (int64_t unit = 0; unit < units; unit++) {
        for (int row = 0; row < unit_rows(call, unit); row++) {
            float one[STRIP];
            for (int column = 0; column < STRIP; column++) {
                one[column] = totals[unit][column][row];
            }
            write_row(call, unit * UNIT_ROWS + row, strip, one, widen, narrow);
        }
    }
}

/* ---- what the instruction set offers ---- */

TARGET INLINE void multiply_places(const struct call *call, int64_t strip, int places)
{
    int64_t units = (call->rows + UNIT_ROWS - 1) / UNIT_ROWS;
    int few = unit_rows(call, units - 1) <= FEW_ROWS;
    if (units > few) {
        multiply_many(call, strip, units - few, places);
    }
    if (few) {
        multiply_few(call, strip, units - 1, places);
    }
}

TARGET static void multiply(const struct call *call, int64_t strip)
{
    if (call->type == FP32) {
        multiply_places(call, strip, 3);
    } else {
        multiply_places(call, strip, 2);
    }
}

TARGET static void read(const struct call *call, int64_t unit)
{
    read_unit(call, unit, widen);
}
