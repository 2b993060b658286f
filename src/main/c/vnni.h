/* What the products with AVX-512 VNNI and with AMX share: vectors of 16 columns. */
#ifndef JMARLIN_VNNI_H
#define JMARLIN_VNNI_H

#include <immintrin.h>
#include <string.h>

#include "product.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")))

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

TARGET INLINE __m512i load(const void *from)
{
    return _mm512_loadu_si512(from);
}

TARGET INLINE __m512i low_codes(__m512i codes)
{
    return _mm512_and_si512(codes, _mm512_set1_epi8(15));
}

TARGET INLINE __m512i two_places(__m512i high, __m512i low)
{
    return _mm512_add_epi32(_mm512_slli_epi32(high, 8), low);
}

TARGET INLINE __m512 times(__m512i sums, __m512i zeros, int32_t activations)
{
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(sums, _mm512_mullo_epi32(zeros, _mm512_set1_epi32(activations))));
}

TARGET INLINE void add_row(const struct quarter *to, int row, __m512i sums, __m512i last, int places)
{
    __m512i zeros = load(to->zeros);
    __m512 value = times(sums, zeros, to->activations[2 * row]);
    if (places == 3) {
        value = _mm512_fmadd_ps(value, _mm512_set1_ps(256), times(last, zeros, to->activations[2 * row + 1]));
    }
    __m512 scales = _mm512_mul_ps(_mm512_set1_ps(to->units[row]), _mm512_loadu_ps(to->scales));
    _mm512_storeu_ps(to->totals[row], _mm512_fmadd_ps(value, scales, _mm512_loadu_ps(to->totals[row])));
}

TARGET INLINE void turn_lines(const uint8_t *block, int quarter, uint8_t *to)
{
    __m512i even[4], odd[4];    /* words 0, 2, 4, 6 (1, 3, 5, 7) of 64 bits of two lines */
    for (int i = 0; i < 4; i++) {
        const uint8_t *first = line_of(block, quarter, 2 * i), *second = line_of(block, quarter, 2 * i + 1);
        prefetch(first);
        prefetch(second);
        even[i] = _mm512_unpacklo_epi64(load(first), load(second));
        odd[i] = _mm512_unpackhi_epi64(load(first), load(second));
    }
    for (int i = 0; i < 2; i++) {
        const __m512i *pairs = i == 0 ? even : odd;
        __m512i low = _mm512_shuffle_i64x2(pairs[0], pairs[1], 0x88), high = _mm512_shuffle_i64x2(pairs[2], pairs[3], 0x88);
        _mm512_storeu_si512(to + i * LINE, _mm512_shuffle_i64x2(low, high, 0x88));
        _mm512_storeu_si512(to + (4 + i) * LINE, _mm512_shuffle_i64x2(low, high, 0xdd));
        low = _mm512_shuffle_i64x2(pairs[0], pairs[1], 0xdd);
        high = _mm512_shuffle_i64x2(pairs[2], pairs[3], 0xdd);
        _mm512_storeu_si512(to + (2 + i) * LINE, _mm512_shuffle_i64x2(low, high, 0x88));
        _mm512_storeu_si512(to + (6 + i) * LINE, _mm512_shuffle_i64x2(low, high, 0xdd));
    }
}

#endif
