/* The product with NEON's dot products (Armv8.2): sdot multiplies 16 signed bytes with 16 signed ones and adds each four products to
   one of 4 sums. A code is a signed byte like any other. */
#if defined(__aarch64__)

#include <arm_neon.h>
#include <string.h>

#include "product.h"

#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))

enum {
    COLUMNS = 2,              /* times 16 rows and three places fill 24 of 32 registers */
    PART = 16,                /* bytes of a vector */
};

TARGET INLINE void widen(const uint16_t *from, float *to, int count)
{
    for (int i = 0; i < count; i += 4) {
        vst1q_f32(to + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from + i))));
    }
}

TARGET INLINE void narrow(const float *from, uint16_t *to)
{
    for (int i = 0; i < STRIP; i += 4) {
        vst1_u16(to + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(from + i))));
    }
}

/* ---- few rows: sums of a column along k ---- */

/* Stores the sums over each of four vectors. */
TARGET INLINE void store_folded(const int32x4_t given[4], int32_t *to)
{
    vst1q_s32(to, vpaddq_s32(vpaddq_s32(given[0], given[1]), vpaddq_s32(given[2], given[3])));
}

TARGET INLINE void few_sums(const uint8_t *block, int quarter, const int8_t *digits, int64_t row_pitch, int64_t place_pitch, int rows,
        int blocks, int places, int32_t sums[][2][QUARTER])
{
    for (int row = 0; row < rows; row++) {
        for (int four = 0; four < 4; four++) {
            int32x4_t sum[4], last[4];
            for (int pair = 0; pair < 2; pair++) {
                int32x4_t dots[2][3];    /* [even or odd column][place] */
                for (int place = 0; place < places; place++) {
                    dots[0][place] = dots[1][place] = vdupq_n_s32(0);
                }
                for (int b = 0; b < blocks; b++) {
                    const uint8_t *line = line_of(block + b * BLOCK_BYTES, quarter, 2 * four + pair);
                    prefetch(line);
                    for (int at = 0; at < LINE; at += PART) {
                        uint8x16_t bytes = vld1q_u8(line + at);
                        int8x16_t even = vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15)));
                        int8x16_t odd = vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4));
                        for (int place = 0; place < places; place++) {
                            int8x16_t given = vld1q_s8(digits + row * row_pitch + place * place_pitch + b * LINE + at);
                            dots[0][place] = vdotq_s32(dots[0][place], even, given);
                            dots[1][place] = vdotq_s32(dots[1][place], odd, given);
                        }
                    }
                }
                for (int column = 0; column < 2; column++) {
                    sum[2 * pair + column] = vaddq_s32(vshlq_n_s32(dots[column][0], 8), dots[column][1]);
                    if (places == 3) {
                        last[2 * pair + column] = dots[column][2];
                    }
                }
            }
            store_folded(sum, sums[row][0] + 4 * four);
            if (places == 3) {
                store_folded(last, sums[row][1] + 4 * four);
            }
        }
    }
}

/* ---- many rows: sums of 4 x 4 rows, step by step ---- */

/* Four steps lie in one vector of codes: the instruction takes one of them by its number, a constant. */
TARGET INLINE int32x4_t dot_step(int32x4_t sum, int8x16_t digits, int8x16_t codes, int step)
{
    switch (step) {
        case 0: return vdotq_laneq_s32(sum, digits, codes, 0);
        case 1: return vdotq_laneq_s32(sum, digits, codes, 1);
        case 2: return vdotq_laneq_s32(sum, digits, codes, 2);
        default: return vdotq_laneq_s32(sum, digits, codes, 3);
    }
}

TARGET INLINE void many_sums(const uint8_t codes[][LONGEST_SEGMENT], const int8_t *digits, int steps, int places,
        int32_t sums[][2][UNIT_ROWS])
{
    int32x4_t dots[COLUMNS][3][4];
    memset(dots, 0, sizeof dots);
    for (int step = 0; step < steps; step += 4) {
        for (int i = 0; i < 4; i++) {
            for (int column = 0; column < COLUMNS; column++) {
                int8x16_t four = vreinterpretq_s8_u8(vld1q_u8(codes[column] + 4 * step));
                for (int place = 0; place < places; place++) {
                    for (int part = 0; part < 4; part++) {
                        int8x16_t given = vld1q_s8(digits + place * LINE + part * PART);
                        dots[column][place][part] = dot_step(dots[column][place][part], given, four, i);
                    }
                }
            }
            digits += places * LINE;
        }
    }
    for (int column = 0; column < COLUMNS; column++) {
        for (int part = 0; part < 4; part++) {
            vst1q_s32(sums[column][0] + 4 * part, vaddq_s32(vshlq_n_s32(dots[column][0][part], 8), dots[column][1][part]));
            vst1q_s32(sums[column][1] + 4 * part, dots[column][2][part]);
        }
    }
}

#include "strip.h"

const struct product product_neon = {read, multiply};

#endif
