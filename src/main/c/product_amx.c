/* The product with AMX from LEAST_ROWS rows on, with AVX-512 VNNI below: tdpbsud adds to a tile of up to 16 x 16 sums, of rows of A and
   columns, the products of up to 16 rows of 64 signed bytes (digits) with 64 x 16 unsigned ones (codes), lying in steps of four. */
#if defined(__x86_64__)

#include "vnni.h"

enum {
    ROWS = 16,                /* of a tile */
    LEAST_ROWS = 5,           /* a tile of 16 rows took a prototype as long as 5 rows with VNNI */
};

/* The tiles, by number: sums of each place, digits, codes. */
#define HIGH "0"
#define MIDDLE "1"
#define LAST "2"
#define DIGITS "3"
#define CODES "4"

/* NOTES: not gcc's intrinsics, which do not say that they read and write memory. */
#define CLEAR(tile) __asm__ volatile("tilezero %%tmm" tile ::: "memory")
#define LOAD(tile, from, stride) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" tile :: "r"(from), "r"((int64_t) (stride)) : "memory")
#define STORE(tile, to, stride) __asm__ volatile("tilestored %%tmm" tile ", (%0,%1,1)" :: "r"(to), "r"((int64_t) (stride)) : "memory")
#define DOT(sums) __asm__ volatile("tdpbsud %%tmm" CODES ", %%tmm" DIGITS ", %%tmm" sums ::: "memory")

/* The operand of ldtilecfg. */
struct configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* Shapes for rows of A. Of half a block digits reach from its first word to its last, and are zero in between. */
INLINE void configure(int rows, bool half)
{
    struct configuration to = {.palette = 1};
    int steps = half ? 14 : 16;
    for (int i = 0; i < 3; i++) {
        to.rows[i] = (uint8_t) rows;
        to.row_bytes[i] = LINE;
    }
    to.rows[3] = (uint8_t) rows;
    to.row_bytes[3] = (uint16_t) (4 * steps);
    to.rows[4] = (uint8_t) steps;
    to.row_bytes[4] = LINE;
    __asm__ volatile("ldtilecfg %0" :: "m"(to));
}

/* ---- many rows ---- */

/* Two steps of 16 columns in their order, a byte per code. */
TARGET INLINE void store_steps(__m512i codes, uint8_t *to)
{
    __m512i even = low_codes(codes), odd = low_codes(_mm512_srli_epi32(codes, 4));
    _mm512_storeu_si512(to, _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)));
    _mm512_storeu_si512(to + LINE, _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd));
}

TARGET INLINE void many_rows(const uint8_t *turned, int stride, int vectors, const int8_t *digits, int64_t place_bytes, int rows,
        int places, const struct quarter *to)
{
    uint8_t codes[LONGEST_SEGMENT / 4][LINE];    /* [step][column][4 rows of the weights]; of half a block what lies between is anything */
    for (int v = 0; v < vectors; v++) {
        store_steps(load(turned + v * stride * LINE), codes[2 * v * stride]);
    }
    int32_t sums[3][ROWS][QUARTER];
    CLEAR(HIGH);
    CLEAR(MIDDLE);
    CLEAR(LAST);
    for (int b = 0; b < (vectors + 7) / 8; b++) {
        const int8_t *from = digits + b * LINE;
        LOAD(CODES, codes[b * STRIP / 4], LINE);
        LOAD(DIGITS, from, places * place_bytes);
        DOT(HIGH);
        LOAD(DIGITS, from + place_bytes, places * place_bytes);
        DOT(MIDDLE);
        if (places == 3) {
            LOAD(DIGITS, from + 2 * place_bytes, places * place_bytes);
            DOT(LAST);
        }
    }
    STORE(HIGH, sums[0], LINE);
    STORE(MIDDLE, sums[1], LINE);
    STORE(LAST, sums[2], LINE);
    for (int row = 0; row < rows; row++) {
        add_row(to, row, two_places(load(sums[0][row]), load(sums[1][row])), load(sums[2][row]), places);
    }
}

#include "strip.h"

/* All rows of full tiles, then those that are left. */
TARGET static void multiply_tiles(const struct call *call, int64_t strip)
{
    if (call->rows < LEAST_ROWS) {
        product_vnni.multiply(call, strip);
        return;
    }
    int64_t full = call->rows / ROWS * ROWS;
    bool half = call->layer->segment_rows < STRIP;
    if (full > 0) {
        configure(ROWS, half);
        multiply_many(call, strip, (struct rows) {0, full});
    }
    if (full < call->rows) {
        configure((int) (call->rows - full), half);
        multiply_many(call, strip, (struct rows) {full, call->rows});
    }
    __asm__ volatile("tilerelease");
}

const struct product product_amx = {read, multiply_tiles};

#endif
