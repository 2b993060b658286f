/* The product with AVX-512 VNNI: vpdpbusd multiplies 64 unsigned bytes (codes) with 64 signed ones (digits) and adds each four
   products to one of 16 sums. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "product.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")))

enum {
    COLUMNS = 8,              /* times three places fill 24 of 32 registers */
};

TARGET INLINE void widen(const uint16_t *from, float *to, int count)
{
    for (int i = 0; i < count; i += 16) {
        _mm512_storeu_ps(to + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) (from + i))));
    }
}

TARGET INLINE void narrow(const float *from, uint16_t *to)
{
    for (int i = 0; i < STRIP; i += 16) {
        _mm256_storeu_si256((__m256i *) (to + i), _mm512_cvtps_ph(_mm512_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
    }
}

/* NOTES: gcc 12 copies registers around its own intrinsic of this instruction, which costs a third of the time. */
TARGET INLINE void dot(__m512i *sums, __m512i codes, __m512i digits)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sums) : "v"(codes), "v"(digits));
}

/* ---- few rows: 16 sums of a column along k ---- */

TARGET INLINE __m512i low_codes(__m512i line)
{
    return _mm512_and_si512(line, _mm512_set1_epi8(15));
}

TARGET INLINE __m512i high_codes(__m512i line)
{
    return _mm512_and_si512(_mm512_srli_epi32(line, 4), _mm512_set1_epi8(15));
}

/* Parts of the sums over four vectors: number 4 i + x of the result is a part of vector x's. */
TARGET INLINE __m512i fold4(const __m512i given[4])
{
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(given[0], given[1]), _mm512_unpackhi_epi32(given[0], given[1]));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(given[2], given[3]), _mm512_unpackhi_epi32(given[2], given[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* Stores the 16 sums over vectors 0 to 15, from what fold4 made of each four. */
TARGET INLINE void store_folded(const __m512i fours[4], int32_t *to)
{
    __m512i first = _mm512_add_epi32(_mm512_shuffle_i32x4(fours[0], fours[1], 0x88), _mm512_shuffle_i32x4(fours[0], fours[1], 0xdd));
    __m512i second = _mm512_add_epi32(_mm512_shuffle_i32x4(fours[2], fours[3], 0x88), _mm512_shuffle_i32x4(fours[2], fours[3], 0xdd));
    _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_shuffle_i32x4(first, second, 0x88), _mm512_shuffle_i32x4(first, second, 0xdd)));
}

/* One column: the first two places go to sum, times 256 in between; a third to last. */
TARGET INLINE void column_sums(const __m512i *codes, const __m512i digits[3][2], int blocks, int places, __m512i *sum, __m512i *last)
{
    __m512i high = _mm512_setzero_si512(), third = high;
    for (int b = 0; b < blocks; b++) {
        dot(&high, codes[b], digits[0][b]);
    }
    high = _mm512_slli_epi32(high, 8);
    for (int b = 0; b < blocks; b++) {
        dot(&high, codes[b], digits[1][b]);
    }
    for (int b = 0; places == 3 && b < blocks; b++) {
        dot(&third, codes[b], digits[2][b]);
    }
    *sum = high;
    *last = third;
}

TARGET INLINE void few_sums(const uint8_t *block, int quarter, const int8_t *digits, int64_t row_pitch, int64_t place_pitch, int rows,
        int blocks, int places, int32_t sums[][2][QUARTER])
{
    __m512i given[2][3][2];
    for (int row = 0; row < rows; row++) {
        for (int place = 0; place < places; place++) {
            for (int b = 0; b < blocks; b++) {
                given[row][place][b] = _mm512_loadu_si512(digits + row * row_pitch + place * place_pitch + b * LINE);
            }
        }
    }
    __m512i fours[2][4], last_fours[2][4];
    for (int four = 0; four < 4; four++) {
        __m512i sum[2][4], last[2][4];
        for (int pair = 0; pair < 2; pair++) {
            __m512i low[2], high[2];
            for (int b = 0; b < blocks; b++) {
                const uint8_t *line = line_of(block + b * BLOCK_BYTES, quarter, 2 * four + pair);
                prefetch(line);
                low[b] = low_codes(_mm512_loadu_si512(line));
                high[b] = high_codes(_mm512_loadu_si512(line));
            }
            for (int row = 0; row < rows; row++) {
                column_sums(low, given[row], blocks, places, &sum[row][2 * pair], &last[row][2 * pair]);
                column_sums(high, given[row], blocks, places, &sum[row][2 * pair + 1], &last[row][2 * pair + 1]);
            }
        }
        for (int row = 0; row < rows; row++) {
            fours[row][four] = fold4(sum[row]);
            last_fours[row][four] = fold4(last[row]);
        }
    }
    for (int row = 0; row < rows; row++) {
        store_folded(fours[row], sums[row][0]);
        if (places == 3) {
            store_folded(last_fours[row], sums[row][1]);
        }
    }
}

/* ---- many rows: sums of 16 rows, step by step ---- */

/* NOTES: a name for each sum, because gcc 12 keeps an array of them in memory. */
#define EACH_COLUMN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

TARGET INLINE void many_sums(const uint8_t codes[][LONGEST_SEGMENT], const int8_t *digits, int steps, int places,
        int32_t sums[][2][UNIT_ROWS])
{
#define DECLARE(i) __m512i high##i = _mm512_setzero_si512(), middle##i = high##i, last##i = high##i;
    EACH_COLUMN(DECLARE)
    for (int step = 0; step < steps; step++) {
        __m512i high = _mm512_loadu_si512(digits), middle = _mm512_loadu_si512(digits + LINE), last = middle;
        if (places == 3) {
            last = _mm512_loadu_si512(digits + 2 * LINE);
        }
#define MULTIPLY(i) { \
            int32_t four; \
            memcpy(&four, codes[i] + 4 * step, 4); \
            __m512i broadcast = _mm512_set1_epi32(four); \
            dot(&high##i, broadcast, high); \
            dot(&middle##i, broadcast, middle); \
            if (places == 3) { \
                dot(&last##i, broadcast, last); \
            } \
        }
        EACH_COLUMN(MULTIPLY)
        digits += places * LINE;
    }
#define STORE(i) \
    _mm512_storeu_si512(sums[i][0], _mm512_add_epi32(_mm512_slli_epi32(high##i, 8), middle##i)); \
    _mm512_storeu_si512(sums[i][1], last##i);
    EACH_COLUMN(STORE)
}

#include "strip.h"

const struct product product_vnni = {read, multiply};

#endif
