/* Products of random numbers by AMX and by VNNI, compared bit for bit, before AMX is used for others. */
#include "amx.h"

#if defined(__x86_64__)
#include <string.h>

#include "product.h"

enum {
    K = 200, N = STRIP, BLOCKS = (K + STRIP - 1) / STRIP,
    ROWS = 21,                /* a full tile and one with five rows */
    MOST_SEGMENTS = 4 * BLOCKS,
};

/* The next random number, a linear congruential generator with the numbers of Numerical Recipes. */
static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 16;
}

static void multiply(const struct product *product, const struct layer *layer, const uint16_t *a, uint16_t *c)
{
    int8_t digits[MOST_SEGMENTS * ROWS * 2 * STRIP];    /* twice 64 bytes a segment of 16, 32 or 64 rows; longer ones need no more */
    float units[MOST_SEGMENTS * ROWS];
    int32_t sums[MOST_SEGMENTS * ROWS * 2];
    uint8_t refused[ROWS];
    struct call call = {
        .layer = layer, .type = FP16, .rows = ROWS, .a = (const uint8_t *) a, .c = (uint8_t *) c, .digits = digits, .units = units,
        .sums = sums, .refused = refused, .output_type = FP16,
    };
    for (int64_t unit = 0; unit * UNIT_ROWS < ROWS; unit++) {
        product->read(&call, unit);
    }
    product->multiply(&call, 0);
}

bool amx_is_right(void)
{
    uint32_t state = 1;
    uint8_t codes[BLOCKS * BLOCK_BYTES];
    uint16_t scales[MOST_SEGMENTS * STRIP], zeros[MOST_SEGMENTS * STRIP], a[ROWS * K], amx[ROWS * N], vnni[ROWS * N];
    float factors[STRIP];
    for (size_t i = 0; i < sizeof codes; i++) {
        codes[i] = (uint8_t) next(&state);
    }
    for (int i = 0; i < MOST_SEGMENTS * STRIP; i++) {
        scales[i] = (uint16_t) (0x3400 + next(&state) % 0x400);                              /* 1/4 to 1/2 */
        zeros[i] = (uint16_t) (0x8000 | (next(&state) & 15) << (i % 2 == 0 ? 0 : 4));
    }
    for (int i = 0; i < STRIP; i++) {
        factors[i] = 1;
    }
    for (int i = 0; i < ROWS * K; i++) {
        a[i] = (uint16_t) ((next(&state) & 0x8000) | (0x3000 + next(&state) % 0x1000));      /* magnitudes 1/8 to 2 */
    }
    for (int64_t segment_rows = STRIP / 4; segment_rows <= LONGEST_SEGMENT; segment_rows *= 2) {
        struct strip strip = {codes, scales, zeros};
        struct layer layer = {K, N, BLOCKS, INT4, segment_rows, BLOCKS * STRIP / segment_rows, 1, FP16, factors, 0, 0, 0, &strip};
        multiply(&product_amx, &layer, a, amx);
        multiply(&product_vnni, &layer, a, vnni);
        if (memcmp(amx, vnni, sizeof amx) != 0) {
            return false;
        }
    }
    return true;
}
#else
bool amx_is_right(void)
{
    return false;
}
#endif
