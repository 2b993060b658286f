/* The product with AVX2: vpmaddubsw multiplies 32 unsigned bytes (codes) with 32 signed ones (digits) and adds each two products in
   16 bits. These reach 15 * 128 * 2 = 3840, so that up to eight of them can be added before vpmaddwd takes pairs to 32 bits, which
   multiplies by the worth of the place at once. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "product.h"

#define TARGET __attribute__((target("avx2,fma,f16c")))

enum {
    ROWS = 2,                 /* times even and odd columns and two places in 16 bits fill 8 of 16 registers */
    HALF_LINE = LINE / 2,     /* a vector */
    EIGHT = QUARTER / 2,      /* columns of a vector */
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

TARGET INLINE __m256i low_codes(__m256i codes)
{
    return _mm256_and_si256(codes, _mm256_set1_epi8(15));
}

TARGET INLINE __m256i high_codes(__m256i codes)
{
    return low_codes(_mm256_srli_epi32(codes, 4));
}

/* NOTES: gcc 12 moves the multiplications before the additions, until their results fill the registers. */
TARGET INLINE void dot(__m256i *sums, __m256i codes, __m256i digits)
{
    __m256i products;
    __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(*sums), "=&x"(products) : "x"(codes), "x"(digits));
}

/* 16 sums of 16 bits to 8 of 32 bits, times the worth of their place. */
TARGET INLINE __m256i worth(__m256i sums, int of_one)
{
    return _mm256_madd_epi16(sums, _mm256_set1_epi16((short) of_one));
}

TARGET INLINE __m256 times(__m256i sums, __m256i zeros, int32_t activations)
{
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(sums, _mm256_mullo_epi32(zeros, _mm256_set1_epi32(activations))));
}

/* Eight columns of the quarter, from column on. */
TARGET INLINE void add_row(const struct quarter *to, int row, int column, __m256i sums, __m256i last, int places)
{
    __m256i zeros = load(to->zeros + column);
    __m256 value = times(sums, zeros, to->activations[2 * row]);
    if (places == 3) {
        value = _mm256_fmadd_ps(value, _mm256_set1_ps(256), times(last, zeros, to->activations[2 * row + 1]));
    }
    __m256 scales = _mm256_mul_ps(_mm256_set1_ps(to->units[row]), _mm256_loadu_ps(to->scales + column));
    float *total = to->totals[row] + column;
    _mm256_storeu_ps(total, _mm256_fmadd_ps(value, scales, _mm256_loadu_ps(total)));
}

/* ---- many rows: 8 columns, two steps of each ---- */

TARGET INLINE void turn_lines(const uint8_t *block, int quarter, uint8_t *turned)
{
    for (int four = 0; four < 2; four++) {
        for (int half = 0; half < LINE; half += HALF_LINE) {
            __m256i lines[4];
            for (int i = 0; i < 4; i++) {
                const uint8_t *line = line_of(block, quarter, 4 * four + i);
                prefetch(line);
                lines[i] = load(line + half);
            }
            /* words 0 and 2 (1 and 3) of 64 bits of two lines */
            __m256i even[2] = {_mm256_unpacklo_epi64(lines[0], lines[1]), _mm256_unpacklo_epi64(lines[2], lines[3])};
            __m256i odd[2] = {_mm256_unpackhi_epi64(lines[0], lines[1]), _mm256_unpackhi_epi64(lines[2], lines[3])};
            __m256i words[4] = {
                _mm256_permute2x128_si256(even[0], even[1], 0x20), _mm256_permute2x128_si256(odd[0], odd[1], 0x20),
                _mm256_permute2x128_si256(even[0], even[1], 0x31), _mm256_permute2x128_si256(odd[0], odd[1], 0x31),
            };
            for (int i = 0; i < 4; i++) {
                _mm256_storeu_si256((__m256i *) (turned + (half / 8 + i) * LINE + four * HALF_LINE), words[i]);
            }
        }
    }
}

/* Adds up the two steps of each column: of even columns to even words, of odd ones to odd words. */
TARGET INLINE __m256i both_steps(__m256i even, __m256i odd)
{
    even = _mm256_add_epi32(even, _mm256_srli_epi64(even, 32));
    odd = _mm256_add_epi32(odd, _mm256_slli_epi64(odd, 32));
    return _mm256_blend_epi32(even, odd, 0xaa);
}

/* Of a block, whose sums fit into 16 bits, to sums [row][even or odd column]: 8 vectors, or 4 of half a block. */
TARGET INLINE void add_block(const uint8_t *turned, int stride, int vectors, const int8_t *digits, int64_t place_bytes, int rows,
        int places, __m256i sums[][2], __m256i last[][2])
{
    __m256i words[ROWS][3][2];
    for (int row = 0; row < rows; row++) {
        for (int place = 0; place < places; place++) {
            words[row][place][0] = words[row][place][1] = _mm256_setzero_si256();
        }
    }
#pragma GCC unroll 1        /* unrolled, the loop is reordered until nothing fits the registers */
    for (int v = 0; v < vectors; v++) {
        __m256i codes = load(turned + v * stride * LINE), even = low_codes(codes), odd = high_codes(codes);
        for (int row = 0; row < rows; row++) {
            for (int place = 0; place < places; place++) {
                int64_t eight;
                memcpy(&eight, digits + (row * places + place) * place_bytes + v * stride * 8, 8);
                __m256i given = _mm256_set1_epi64x(eight);
                dot(&words[row][place][0], even, given);
                dot(&words[row][place][1], odd, given);
            }
        }
    }
    for (int row = 0; row < rows; row++) {
        for (int odd = 0; odd < 2; odd++) {
            __m256i two = _mm256_add_epi32(worth(words[row][0][odd], 256), worth(words[row][1][odd], 1));
            sums[row][odd] = _mm256_add_epi32(sums[row][odd], two);
            if (places == 3) {
                last[row][odd] = _mm256_add_epi32(last[row][odd], worth(words[row][2][odd], 1));
            }
        }
    }
}

TARGET INLINE void many_rows(const uint8_t *turned, int stride, int vectors, const int8_t *digits, int64_t place_bytes, int rows,
        int places, const struct quarter *to)
{
    for (int column = 0; column < QUARTER; column += EIGHT) {
        __m256i sums[ROWS][2], last[ROWS][2];
        for (int row = 0; row < rows; row++) {
            sums[row][0] = sums[row][1] = last[row][0] = last[row][1] = _mm256_setzero_si256();
        }
        for (int v = 0; v < vectors; v += 8) {
            add_block(turned + v * LINE + column / EIGHT * HALF_LINE, stride, stride == 1 ? 8 : 4, digits + v * 8, place_bytes, rows,
                    places, sums, last);
        }
        for (int row = 0; row < rows; row++) {
            add_row(to, row, column, both_steps(sums[row][0], sums[row][1]), both_steps(last[row][0], last[row][1]), places);
        }
    }
}

#include "strip.h"

/* ---- few rows: sums of a column along k ---- */

/* The sums over each of eight vectors. */
TARGET INLINE __m256i fold8(const __m256i given[8])
{
    __m256i first = _mm256_hadd_epi32(_mm256_hadd_epi32(given[0], given[1]), _mm256_hadd_epi32(given[2], given[3]));
    __m256i second = _mm256_hadd_epi32(_mm256_hadd_epi32(given[4], given[5]), _mm256_hadd_epi32(given[6], given[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(first, second, 0x20), _mm256_permute2x128_si256(first, second, 0x31));
}

TARGET INLINE void few_rows(const uint8_t *block, int blocks, int quarter, const int8_t *digits, int64_t place_bytes, int rows, int places,
        const struct quarter *to)
{
    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < QUARTER; column += EIGHT) {
            __m256i sum[8], last[8];
            for (int pair = 0; pair < 4; pair++) {
                /* [even or odd column][place], a quarter of the 16 bits' range for each half line */
                __m256i words[2][3];
                for (int place = 0; place < places; place++) {
                    words[0][place] = words[1][place] = _mm256_setzero_si256();
                }
                for (int b = 0; b < blocks; b++) {
                    const uint8_t *line = line_of(block + b * BLOCK_BYTES, quarter, column / 2 + pair);
                    prefetch(line);
                    for (int half = 0; half < LINE; half += HALF_LINE) {
                        __m256i codes = load(line + half), even = low_codes(codes), odd = high_codes(codes);
                        for (int place = 0; place < places; place++) {
                            __m256i given = load(digits + (row * places + place) * place_bytes + b * LINE + half);
                            dot(&words[0][place], even, given);
                            dot(&words[1][place], odd, given);
                        }
                    }
                }
                for (int odd = 0; odd < 2; odd++) {
                    sum[2 * pair + odd] = _mm256_add_epi32(worth(words[odd][0], 256), worth(words[odd][1], 1));
                    last[2 * pair + odd] = places == 3 ? worth(words[odd][2], 1) : sum[2 * pair + odd];
                }
            }
            add_row(to, row, column, fold8(sum), places == 3 ? fold8(last) : sum[0], places);
        }
    }
}

#include "few.h"

const struct product product_avx2 = {read, multiply};

#endif
