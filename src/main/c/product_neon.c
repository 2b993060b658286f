/* The product with NEON's dot products (Armv8.2): sdot multiplies 16 signed bytes with 16 signed ones and adds each four products to
   one of 4 sums. A code is a signed byte like any other. */
#if defined(__aarch64__)

#include <arm_neon.h>
#include <string.h>

#include "product.h"

#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))

enum {
    ROWS = 4,                 /* times even and odd columns and three places fill 24 of 32 registers */
    PART = 16,                /* bytes of a vector */
    FOUR = QUARTER / 4,       /* columns of a vector */
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

TARGET INLINE int8x16_t low_codes(uint8x16_t codes)
{
    return vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8(15)));
}

TARGET INLINE int8x16_t high_codes(uint8x16_t codes)
{
    return vreinterpretq_s8_u8(vshrq_n_u8(codes, 4));
}

TARGET INLINE int32x4_t two_places(int32x4_t high, int32x4_t low)
{
    return vaddq_s32(vshlq_n_s32(high, 8), low);
}

TARGET INLINE float32x4_t times(int32x4_t sums, int32x4_t zeros, int32_t activations)
{
    return vcvtq_f32_s32(vsubq_s32(sums, vmulq_n_s32(zeros, activations)));
}

/* Four columns of the quarter, from column on. */
TARGET INLINE void add_row(const struct quarter *to, int row, int column, int32x4_t sums, int32x4_t last, int places)
{
    int32x4_t zeros = vld1q_s32(to->zeros + column);
    float32x4_t value = times(sums, zeros, to->activations[2 * row]);
    if (places == 3) {
        value = vfmaq_n_f32(times(last, zeros, to->activations[2 * row + 1]), value, 256);
    }
    float32x4_t scales = vmulq_n_f32(vld1q_f32(to->scales + column), to->units[row]);
    float *total = to->totals[row] + column;
    vst1q_f32(total, vfmaq_f32(vld1q_f32(total), value, scales));
}

/* ---- many rows: 4 columns, two steps of each ---- */

TARGET INLINE void turn_lines(const uint8_t *block, int quarter, uint8_t *turned)
{
    for (int two = 0; two < 4; two++) {
        const uint8_t *first = line_of(block, quarter, 2 * two), *second = line_of(block, quarter, 2 * two + 1);
        prefetch(first);
        prefetch(second);
        for (int at = 0; at < LINE; at += PART) {
            uint64x2_t a = vreinterpretq_u64_u8(vld1q_u8(first + at)), b = vreinterpretq_u64_u8(vld1q_u8(second + at));
            uint8_t *to = turned + at / 8 * LINE + two * PART;
            vst1q_u8(to, vreinterpretq_u8_u64(vzip1q_u64(a, b)));
            vst1q_u8(to + LINE, vreinterpretq_u8_u64(vzip2q_u64(a, b)));
        }
    }
}

/* Adds up the two steps of each column: of even columns to even words, of odd ones to odd words. */
TARGET INLINE int32x4_t both_steps(int32x4_t even, int32x4_t odd)
{
    return vaddq_s32(vtrn1q_s32(even, odd), vtrn2q_s32(even, odd));
}

TARGET INLINE void many_rows(const uint8_t *turned, int stride, int vectors, const int8_t *digits, int64_t place_bytes, int rows,
        int places, const struct quarter *to)
{
    for (int column = 0; column < QUARTER; column += FOUR) {
        int32x4_t even[ROWS][3], odd[ROWS][3];
        for (int row = 0; row < rows; row++) {
            for (int place = 0; place < places; place++) {
                even[row][place] = odd[row][place] = vdupq_n_s32(0);
            }
        }
        for (int v = 0; v < vectors; v++) {
            uint8x16_t codes = vld1q_u8(turned + v * stride * LINE + column / FOUR * PART);
            for (int row = 0; row < rows; row++) {
                for (int place = 0; place < places; place++) {
                    int64_t eight;
                    memcpy(&eight, digits + (row * places + place) * place_bytes + v * stride * 8, 8);
                    int8x16_t given = vreinterpretq_s8_s64(vdupq_n_s64(eight));
                    even[row][place] = vdotq_s32(even[row][place], low_codes(codes), given);
                    odd[row][place] = vdotq_s32(odd[row][place], high_codes(codes), given);
                }
            }
        }
        for (int row = 0; row < rows; row++) {
            int32x4_t sums = both_steps(two_places(even[row][0], even[row][1]), two_places(odd[row][0], odd[row][1]));
            add_row(to, row, column, sums, places == 3 ? both_steps(even[row][2], odd[row][2]) : sums, places);
        }
    }
}

#include "strip.h"

/* ---- few rows: sums of a column along k ---- */

/* The sums over each of four vectors. */
TARGET INLINE int32x4_t fold4(const int32x4_t given[4])
{
    return vpaddq_s32(vpaddq_s32(given[0], given[1]), vpaddq_s32(given[2], given[3]));
}

TARGET INLINE void few_rows(const uint8_t *block, int blocks, int quarter, const int8_t *digits, int64_t place_bytes, int rows, int places,
        const struct quarter *to)
{
    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < QUARTER; column += FOUR) {
            int32x4_t sum[4], last[4];
            for (int pair = 0; pair < 2; pair++) {
                int32x4_t dots[2][3];    /* [even or odd column][place] */
                for (int place = 0; place < places; place++) {
                    dots[0][place] = dots[1][place] = vdupq_n_s32(0);
                }
                for (int b = 0; b < blocks; b++) {
                    const uint8_t *line = line_of(block + b * BLOCK_BYTES, quarter, column / 2 + pair);
                    prefetch(line);
                    for (int at = 0; at < LINE; at += PART) {
                        uint8x16_t codes = vld1q_u8(line + at);
                        for (int place = 0; place < places; place++) {
                            int8x16_t given = vld1q_s8(digits + (row * places + place) * place_bytes + b * LINE + at);
                            dots[0][place] = vdotq_s32(dots[0][place], low_codes(codes), given);
                            dots[1][place] = vdotq_s32(dots[1][place], high_codes(codes), given);
                        }
                    }
                }
                for (int odd = 0; odd < 2; odd++) {
                    sum[2 * pair + odd] = two_places(dots[odd][0], dots[odd][1]);
                    last[2 * pair + odd] = places == 3 ? dots[odd][2] : dots[odd][1];
                }
            }
            add_row(to, row, column, fold4(sum), fold4(last), places);
        }
    }
}

#include "few.h"

const struct product product_neon = {read, multiply};

#endif
