/* The product with AVX2: vpmaddubsw multiplies 32 unsigned bytes (codes) with 32 signed ones (digits) and adds each two products in
   16 bits. These reach 15 * 128 * 2 = 3840, so that up to eight of them can be added before vpmaddwd takes pairs to 32 bits, which
   multiplies by the worth of the place at once. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "product.h"

#define TARGET __attribute__((target("avx2,fma,f16c")))

enum {
    COLUMNS = 4,              /* times two places in 16 bits fill 8 of 16 registers */
    STEPS_IN_16_BITS = 8,
    HALF_LINE = LINE / 2,
};

TARGET INLINE void widen(const uint16_t *from, float *to, int count)
{
    for (int i = 0; i < count; i += 8) {
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) (from + i))));
    }
}

TARGET INLINE void narrow(const float *from, uint16_t *to)
{
    for (int i = 0; i < STRIP; i += 8) {
        _mm_storeu_si128((__m128i *) (to + i), _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
    }
}

TARGET INLINE __m256i load(const void *from)
{
    return _mm256_loadu_si256((const __m256i *) from);
}

/* 16 sums of 16 bits to 8 of 32 bits, times the worth of their place. */
TARGET INLINE __m256i worth(__m256i sums, int of_one)
{
    return _mm256_madd_epi16(sums, _mm256_set1_epi16((short) of_one));
}

/* ---- few rows: sums of a column along k ---- */

/* Stores the sums over each of eight vectors. */
TARGET INLINE void store_folded(const __m256i given[8], int32_t *to)
{
    __m256i first = _mm256_hadd_epi32(_mm256_hadd_epi32(given[0], given[1]), _mm256_hadd_epi32(given[2], given[3]));
    __m256i second = _mm256_hadd_epi32(_mm256_hadd_epi32(given[4], given[5]), _mm256_hadd_epi32(given[6], given[7]));
    __m256i sums = _mm256_add_epi32(_mm256_permute2x128_si256(first, second, 0x20), _mm256_permute2x128_si256(first, second, 0x31));
    _mm256_storeu_si256((__m256i *) to, sums);
}

TARGET INLINE void few_sums(const uint8_t *block, int quarter, const int8_t *digits, int64_t row_pitch, int64_t place_pitch, int rows,
        int blocks, int places, int32_t sums[][2][QUARTER])
{
    const __m256i mask = _mm256_set1_epi8(15);
    for (int row = 0; row < rows; row++) {
        for (int eight = 0; eight < 2; eight++) {
            __m256i sum[8], last[8];
            for (int pair = 0; pair < 4; pair++) {
                /* [even or odd column][place], a quarter of the 16 bits' range for each half line */
                __m256i words[2][3];
                for (int place = 0; place < places; place++) {
                    words[0][place] = words[1][place] = _mm256_setzero_si256();
                }
                for (int b = 0; b < blocks; b++) {
                    const uint8_t *line = line_of(block + b * BLOCK_BYTES, quarter, 4 * eight + pair);
                    prefetch(line);
                    for (int half = 0; half < LINE; half += HALF_LINE) {
                        __m256i bytes = load(line + half);
                        __m256i even = _mm256_and_si256(bytes, mask), odd = _mm256_and_si256(_mm256_srli_epi32(bytes, 4), mask);
                        for (int place = 0; place < places; place++) {
                            __m256i given = load(digits + row * row_pitch + place * place_pitch + b * LINE + half);
                            words[0][place] = _mm256_add_epi16(words[0][place], _mm256_maddubs_epi16(even, given));
                            words[1][place] = _mm256_add_epi16(words[1][place], _mm256_maddubs_epi16(odd, given));
                        }
                    }
                }
                for (int column = 0; column < 2; column++) {
                    sum[2 * pair + column] = _mm256_add_epi32(worth(words[column][0], 256), worth(words[column][1], 1));
                    if (places == 3) {
                        last[2 * pair + column] = worth(words[column][2], 1);
                    }
                }
            }
            store_folded(sum, sums[row][0] + 8 * eight);
            if (places == 3) {
                store_folded(last, sums[row][1] + 8 * eight);
            }
        }
    }
}

/* ---- many rows: sums of 8 rows at a time, step by step ---- */

/* NOTES: names, not arrays, which gcc 12 keeps in memory. */
#define EACH_COLUMN(DO) DO(0) DO(1) DO(2) DO(3)

TARGET INLINE void many_sums(const uint8_t codes[][LONGEST_SEGMENT], const int8_t *digits, int steps, int places,
        int32_t sums[][2][UNIT_ROWS])
{
    for (int half = 0; half < 2; half++) {
#define DECLARE(i) __m256i sum##i = _mm256_setzero_si256(), last##i = sum##i;
        EACH_COLUMN(DECLARE)
        const int8_t *given = digits + half * HALF_LINE;
        for (int begin = 0; begin < steps; begin += STEPS_IN_16_BITS) {
#define DECLARE_WORDS(i) __m256i high##i = _mm256_setzero_si256(), middle##i = high##i, third##i = high##i;
            EACH_COLUMN(DECLARE_WORDS)
#pragma GCC unroll 1        /* unrolled, the loop is reordered until nothing fits the registers */
            for (int step = begin; step < begin + STEPS_IN_16_BITS; step++) {
                __m256i high = load(given), middle = load(given + LINE), third = places == 3 ? load(given + 2 * LINE) : middle;
#define MULTIPLY(i) { \
                    int32_t four; \
                    memcpy(&four, codes[i] + 4 * step, 4); \
                    __m256i broadcast = _mm256_set1_epi32(four); \
                    high##i = _mm256_add_epi16(high##i, _mm256_maddubs_epi16(broadcast, high)); \
                    middle##i = _mm256_add_epi16(middle##i, _mm256_maddubs_epi16(broadcast, middle)); \
                    if (places == 3) { \
                        third##i = _mm256_add_epi16(third##i, _mm256_maddubs_epi16(broadcast, third)); \
                    } \
                }
                EACH_COLUMN(MULTIPLY)
                given += places * LINE;
            }
#define WIDEN(i) \
            sum##i = _mm256_add_epi32(sum##i, _mm256_add_epi32(worth(high##i, 256), worth(middle##i, 1))); \
            last##i = _mm256_add_epi32(last##i, worth(third##i, 1));
            EACH_COLUMN(WIDEN)
        }
#define STORE(i) \
        _mm256_storeu_si256((__m256i *) (sums[i][0] + 8 * half), sum##i); \
        _mm256_storeu_si256((__m256i *) (sums[i][1] + 8 * half), last##i);
        EACH_COLUMN(STORE)
    }
}

#include "strip.h"

const struct product product_avx2 = {read, multiply};

#endif
